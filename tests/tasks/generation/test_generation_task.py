"""Generation of words: losses against NumPy, groups, replicas, and what is drawn."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from numpy_losses import NUMPY_LOSSES

from models.layers.random import normal
from tfspeech.errors import CorpusError, SpecError
from tfspeech.tasks.adversarial import LOSSES
from tfspeech.tasks.generation.data import Windows
from tfspeech.tasks.runs import load_task
from tfspeech.training.distribution import create_distribution

SIZE = 32  # Frames of the window.


@pytest.fixture(scope="module")
def run(small_generator):
    return load_task(small_generator)


@pytest.fixture(scope="module")
def task(run):
    return run[1]


@pytest.fixture(scope="module")
def data(run):
    return run[0].read_data()


@pytest.fixture(scope="module")
def batch(task, data):
    windows = task.windows(data, data.corpus.indices("train"))
    rows = tf.constant([0, 3, 2, 9], tf.int64)
    return windows.load(rows, rows + 2**40)


def normalized(task, frames):
    normalization = task.model.normalization
    return (frames - normalization.mean.numpy()) / normalization.std.numpy()


def scores(task, batch, group):
    """The discriminator's scores of recordings and of a group's clips."""
    size = task.model.config.window_frames
    inside = np.arange(size) < batch["frame_lengths"].numpy()[:, None]
    recordings = {
        "frames": tf.constant(normalized(task, batch["frames"].numpy()), tf.float32),
        "inside": tf.constant(inside, tf.float32),
    }
    latent = normal(batch["seeds"], [4], f"{group}/latent")
    pair = recordings, task.model({"latent": latent})
    return [task.discriminator(each)["score"].numpy() for each in pair]


def test_windows_begin_with_the_recording_and_end_with_it(task, data, batch):
    assert task.model.config.window_frames == SIZE
    assert batch["frames"].shape[1] == SIZE
    indices, size = data.corpus.indices("train"), 28
    recordings = [data.frames(index)[:, task.predicted] for index in indices]
    lengths = [len(frames) for frames in recordings]
    rows = tf.constant([np.argmin(lengths), np.argmax(lengths)], tf.int64)
    assert min(lengths) < size < max(lengths)
    cut = Windows(data, indices, size, task.predicted).load(rows, rows)
    for row, place in enumerate(rows.numpy()):
        length = int(cut["frame_lengths"][row])
        assert length == min(lengths[place], size)
        np.testing.assert_allclose(
            cut["frames"][row, :length], recordings[place][:length], atol=1e-4
        )
        assert not cut["frames"][row, length:].numpy().any()


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_are_those_of_numpy(name, task, batch, monkeypatch):
    monkeypatch.setattr(task, "_loss", LOSSES[name])
    of_real, of_fake, taken = NUMPY_LOSSES[name]
    real, fake = scores(task, batch, "discriminator")
    found = task.losses("discriminator", batch)
    assert float(found.terms["real"]) == pytest.approx(of_real(real).mean(), rel=1e-4)
    assert float(found.terms["fake"]) == pytest.approx(of_fake(fake).mean(), rel=1e-4)
    middle = (real.mean() + fake.mean()) / 2
    told = np.concatenate([real > middle, fake <= middle]).mean()
    assert float(found.terms["accuracy"]) == pytest.approx(told)
    sizes = float(found.terms["real"] + found.terms["fake"])
    sizes += 0.5 * float(found.terms["gradient"])
    assert float(found.total) == pytest.approx(sizes, rel=1e-4)
    _, fake = scores(task, batch, "model")
    (term,) = task.losses("model", batch).terms.values()
    assert float(term) == pytest.approx(taken(fake).mean(), rel=1e-4)


def test_the_penalty_is_the_squared_slope_at_recordings(task, batch):
    found = float(task.losses("discriminator", batch).terms["gradient"])
    rng, step = np.random.default_rng(0), 1e-2

    def total(change):
        frames = normalized(task, batch["frames"].numpy()) + change
        inside = tf.sequence_mask(batch["frame_lengths"], SIZE, dtype=tf.float32)
        inputs = {"frames": tf.constant(frames, tf.float32), "inside": inside}
        return float(tf.reduce_sum(task.discriminator(inputs)["score"]))

    # The mean square slope along random directions is that of the gradient.
    slopes = []
    for _ in range(60):
        direction = rng.normal(size=batch["frames"].shape)
        change = step * direction
        slopes.append((total(change) - total(-change)) / (2 * step))
    assert found == pytest.approx(np.mean(np.square(slopes)) / 4, rel=0.5)


def test_without_a_penalty_there_is_no_such_term(task, batch, monkeypatch):
    config = dataclasses.replace(task._config, gradient_penalty=0.0)
    monkeypatch.setattr(task, "_config", config)
    assert set(task.losses("discriminator", batch).terms) == {
        *("real", "fake", "accuracy")
    }


def test_each_group_moves_its_own_model(task, batch):
    assert list(task.groups) == ["discriminator", "model"]
    values = {
        name: [v.value for v in model.trainable_variables]
        for name, model in task.models.items()
    }
    for group in task.groups:
        with tf.GradientTape(persistent=True) as tape:
            loss = task.losses(group, batch).total
        moved = {
            name: [g is not None for g in tape.gradient(loss, each)]
            for name, each in values.items()
        }
        assert all(moved[group])
        if group == "discriminator":
            assert not any(moved["model"])


@pytest.mark.parametrize(
    "group", ["discriminator", pytest.param("model", marks=pytest.mark.slow)]
)
def test_gradients_of_replicas_add_up_to_that_of_the_batch(group, task, batch):
    """Each sees its rows, and the deviation of all of them."""
    weights = [v.value for v in task.models[group].trainable_variables]

    def gradients(part):
        with tf.GradientTape() as tape:
            loss = task.losses(group, part).total * task.weight(part) / 4.0
        return tape.gradient(loss, weights)

    replicas = create_distribution("mirrored")
    run = tf.function(
        lambda: replicas.strategy.run(lambda: gradients(replicas.share(batch)))
    )
    parts = [replicas.strategy.experimental_local_results(each) for each in run()]
    for pair, whole in zip(parts, gradients(batch), strict=True):
        np.testing.assert_allclose(sum(pair), whole, rtol=1e-3, atol=1e-4)


def test_a_discriminator_sees_how_much_clips_differ(task, batch):
    size = task.model.config.window_frames
    frames = tf.random.stateless_normal([3, size, task.model.frame_dim], [1, 2])
    inside = tf.ones([3, size])

    def score(chosen):
        inputs = {"frames": tf.gather(frames, chosen), "inside": inside}
        return float(task.discriminator(inputs)["score"][0])

    assert score([0, 0, 0]) != pytest.approx(score([0, 1, 2]), abs=1e-4)


def test_what_is_beyond_the_end_is_not_seen(task, batch):
    inside = tf.sequence_mask(batch["frame_lengths"], SIZE, dtype=tf.float32)
    inputs = {"frames": batch["frames"], "inside": inside}
    wanted = task.discriminator(inputs)["score"]
    inputs["frames"] += 1e3 * (1.0 - inside[:, :, tf.newaxis])
    np.testing.assert_allclose(task.discriminator(inputs)["score"], wanted, atol=1e-4)


def test_a_clip_depends_on_its_seed_and_the_temperature_alone(task):
    clips = task.draw_frames(70, seed=5)
    (alone,) = task.draw_frames(1, seed=5 + 66)
    np.testing.assert_allclose(clips[66], alone, atol=1e-4)
    assert len({clip.tobytes() for clip in clips}) == 70
    cold = task.draw_frames(2, temperature=0.0)
    np.testing.assert_allclose(*cold, atol=1e-5)
    for clip in clips:
        assert 2 <= len(clip) <= SIZE
        assert clip.shape[1] == task.features.frame_dim
        assert not clip[:, :16].any()
    lengths = [len(w) for w in task.waveforms(clips)]
    assert lengths == [(len(clip) - 1) * 100 for clip in clips]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"temperature": 2.1}, "temperature must be between 0 and 2"),
        ({"seed": -1}, "seed must be between 0 and 999999"),
        ({"seed": 999_999}, "seed must be between 0 and 999999"),
    ],
)
def test_what_is_out_of_range_is_refused(settings, reason, task):
    with pytest.raises(SpecError, match=reason):
        task.draw(2, **settings)


def test_contours_are_standardised_and_0_beyond_the_end(task, data):
    windows = task.windows(data, data.corpus.indices("train"))
    contours = task.contours(windows.clips())
    inside = contours[:, :, -1].astype(bool)
    assert not contours[~inside].any()
    values = contours[inside][:, :-1]
    np.testing.assert_allclose(values.mean(0), 0.0, atol=0.02)
    changing = values.std(0) > 0
    np.testing.assert_allclose(values.std(0)[changing], 1.0, atol=0.02)


def test_recordings_are_near_recordings(task, data, monkeypatch):
    """Recordings in place of clips score as recordings do, unlike what is drawn."""
    windows = task.windows(data, data.corpus.indices("train"))
    poor = task.evaluate_split(data, "test")
    recordings = windows.clips()[:: len(windows) // 12]  # Of all words.
    monkeypatch.setattr(task, "draw_frames", lambda count: recordings[:count])
    found = task.evaluate_split(data, "test")
    assert found["nearest"] == pytest.approx(0.0, abs=1e-3)
    assert found["frechet"] < 0.7 * poor["frechet"]
    assert poor["nearest"] > found["recording_nearest"] > 0


def test_a_split_of_one_recording_is_refused(task, data):
    with pytest.raises(CorpusError, match="two at least"):
        task.windows(data, np.array([0]))


def test_recordings_of_sentences_are_refused(task, data, monkeypatch):
    indices = data.corpus.indices("test")
    window_s = (SIZE - 1) * data.features.hop_length / data.features.sample_rate_hz
    longer = data.store.measurements.copy()
    most = indices[: len(indices) // 2 + 1]
    longer["seconds"][most] = window_s + 0.01
    monkeypatch.setattr(data.store, "measurements", longer)
    with pytest.raises(
        CorpusError, match=r"longer than a clip.* give more --first-fra"
    ):
        task.windows(data, indices)
    longer["seconds"][most] = window_s
    assert len(task.windows(data, indices)) == len(indices)


def test_windows_of_a_batch_are_each_recording_once(task, data):
    indices = data.corpus.indices("test")
    windows = Windows(data, indices, SIZE, task.predicted)
    lengths = [int(n) for batch in windows.batches() for n in batch["frame_lengths"]]
    assert lengths == [len(clip) for clip in windows.clips()]
