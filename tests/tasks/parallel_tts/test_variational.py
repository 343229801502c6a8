"""Renditions: the loss of a latent variable, and speech drawn from its prior."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate

from tfspeech import train
from tfspeech.errors import SpecError
from tfspeech.tasks.parallel_tts.config import ParallelSynthesisConfig
from tfspeech.tasks.parallel_tts.data import segment_words
from tfspeech.tasks.parallel_tts.losses import kl_divergence, latent_loss
from tfspeech.tasks.parallel_tts.prediction import draw_latent
from tfspeech.tasks.parallel_tts.statistics import measure_latent
from tfspeech.tasks.registry import build_task
from tfspeech.text.linguistic import encode_segments
from tfspeech.text.phonemes import PHONEMES

TEXTS = ("the red box.", "the white door, and the old hat!")


@pytest.fixture(scope="module")
def config(parallel_flags):
    flags = [*parallel_flags, "--latent-size=3", "--kl-warmup=2", "--kl-weight=0.5"]
    config, *_ = train.parse([*flags, "--free-bits=0.01"])
    return config.resolved(config.read_data())


@pytest.fixture(scope="module")
def data(config):
    return config.read_data()


@pytest.fixture(scope="module")
def task(config, data):
    """An untrained task, whose durations are not far from those of recordings."""
    keras.utils.set_random_seed(0)
    task = build_task(config)
    config.read_training(task, data).set_statistics()
    layer = task.model.variance_layer
    layer.kernel.assign(0.2 * layer.kernel)
    return task


@pytest.fixture(scope="module")
def utterances(task, data):
    return task.timed(data, data.corpus.indices("validation"))


def gaussians(mean, log_variance):
    return {
        "latent_mean": tf.constant(mean, tf.float32),
        "latent_log_variance": tf.constant(log_variance, tf.float32),
    }


def test_divergences_are_those_of_their_integrals():
    mean, std = np.array([0.0, 1.5, -0.3]), np.array([1.0, 0.4, 1.7])
    found = kl_divergence(gaussians([[mean]], [[2 * np.log(std)]]))[0, 0]
    z = np.linspace(-15.0, 15.0, 200_001)[:, None]
    q = np.exp(-0.5 * ((z - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    p = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    wanted = integrate.trapezoid(q * np.log((q + 1e-300) / p), z, axis=0)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert abs(found[0]) < 1e-6


def test_free_bits_are_those_of_every_dimension_of_every_word():
    config = ParallelSynthesisConfig(kl_weight=0.5, free_bits=0.2)
    means = [[[1.0, 0.1], [0.0, 2.0]], [[3.0, 0.0], [9.0, 9.0]]]
    outputs = gaussians(means, np.zeros([2, 2, 2]))
    # The second utterance has one word.
    batch = {"segment_words": tf.constant([[0, 0, 1], [0, 0, 0]])}
    total, weight = latent_loss(outputs, batch, config)
    assert float(total) == pytest.approx((0.5 + 0.2) + (0.2 + 2.0) + (4.5 + 0.2))
    assert weight == 0.5


@pytest.mark.parametrize(("done", "share"), [(0.0, 0.0), (0.5, 0.25), (7.0, 1.0)])
def test_the_weight_rises_over_the_first_epochs(done, share):
    config = ParallelSynthesisConfig(kl_weight=0.5, kl_warmup=2)
    outputs = gaussians([[[1.0]]], [[[0.0]]])
    batch = {"epochs_done": tf.constant([done]), "segment_words": tf.constant([[0]])}
    assert float(latent_loss(outputs, batch, config)[1]) == 0.5 * share


def test_words_begin_at_marks_and_pauses(task, utterances):
    text = "the red box, a bird"
    segments, lengths = encoded(task, text)
    padded = np.pad(segments, [(0, 0), (0, 2)])
    found = segment_words(padded, lengths)[0].numpy()
    names = [task.front_end.symbols[symbol] for symbol in segments[0]]
    starts = [place for place, name in enumerate(names) if name not in PHONEMES]
    assert np.flatnonzero(np.diff(found[: len(names)])).tolist() == [
        start - 1 for start in starts[1:]
    ]
    assert found[0] == 0
    assert not found[len(names) :].any()
    (batch,) = utterances.batches(99)
    wanted = segment_words(batch["segments"], batch["segment_lengths"])
    np.testing.assert_array_equal(batch["segment_words"], wanted)


def test_how_far_training_is_comes_with_the_examples(config, task, data):
    settings = dataclasses.replace(config.training, accumulate_steps=2)
    config = dataclasses.replace(config, training=settings)
    training = config.read_training(task, data)
    per_epoch = training.steps_per_epoch
    wanted = [0.5 * place / per_epoch for place in range(4)]
    for step in (0, 1, per_epoch):
        batches = list(training.batches(step).take(2))
        found = [batch["epochs_done"].numpy() for batch in batches]
        for each, batch, place in zip(found, batches, wanted, strict=False):
            assert each.shape == batch["seeds"].shape
            np.testing.assert_allclose(each, step / per_epoch + place, rtol=1e-6)


def test_the_loss_has_the_divergence_in_nats_per_frame(task, utterances):
    (batch,) = utterances.batches(99)
    losses = task.losses("model", batch, training=False)
    found = np.maximum(kl_divergence(task.model(batch)), 0.01)
    counts = batch["segment_words"].numpy().max(1) + 1
    total = sum(each[:count].sum() for each, count in zip(found, counts, strict=True))
    total /= batch["frame_lengths"].numpy().sum()
    assert float(losses.terms["kl"]) == pytest.approx(total, rel=1e-4)
    others = task.losses_of(task.model(batch), batch)
    assert set(losses.terms) - set(others.terms) == {"kl"}
    whole = float(others.total) + 0.5 * total
    assert float(losses.total) == pytest.approx(whole, rel=1e-4)


def test_two_halves_of_a_batch_have_its_loss_with_samples(task, utterances):
    (batch,) = utterances.batches(99)
    batch["seeds"] = tf.range(len(batch["segments"]), dtype=tf.int64)
    parts = [{k: v[p] for k, v in batch.items()} for p in (slice(2), slice(2, 9))]
    whole = task.losses("model", batch).total
    shares = [
        task.losses("model", part).total * (task.weight(part) / task.weight(batch))
        for part in parts
    ]
    assert float(sum(shares)) == pytest.approx(float(whole), rel=1e-4)


def test_dimensions_are_active_whose_means_differ_between_utterances():
    means = [[[0.0, 0.5, 0.2], [0.3, 0.5, 0.3]]], [[[0.0, 0.5, 0.2], [9.0, 9.0, 9.0]]]
    batches = [{"segment_words": tf.constant([[0, last]])} for last in (1, 0)]
    rows = iter(means)
    found = measure_latent(
        lambda _: gaussians(next(rows), np.zeros([1, 2, 3])), batches
    )
    # Variances 0.02, 0, 0.002
    assert found["active_dimensions"] == 1
    squares = 0.5 * np.array([0.29, 0.43, 0.29])
    assert found["kl_nats"] == pytest.approx(squares.sum() / 2, rel=1e-5)


def test_variance_and_durations_are_measured_at_the_mean_of_the_prior(task, utterances):
    before = utterances.batches(99)
    task.measure_stds(before)
    (batch,) = before
    outputs = task.model(batch | {"latent": tf.zeros([1, 1, 3])})
    frames = outputs["frames"].numpy(), batch["frames"].numpy()
    squares = [
        sum(
            np.square(each[row, :count] - each[row, :count].mean(0)).sum(0)
            for row, count in enumerate(batch["frame_lengths"])
        )
        for each in frames
    ]
    wanted = np.sqrt(squares[1] / squares[0])
    np.testing.assert_allclose(task.model.variance_ratio, wanted, rtol=1e-3)


def test_every_word_is_drawn_by_itself_from_the_seed_of_its_segments(task):
    segments, lengths = encoded(task, " ".join(["red box"] * 150))
    words = segment_words(segments, lengths)[0].numpy()
    seeds = np.where(np.arange(segments.size) < segments.size // 2, 3.0, 4.0)
    conditions = {"seed": tf.constant([seeds], tf.float32)}
    found = [
        draw_latent(
            *(segments, lengths, conditions | {"temperature": tf.constant([[t]])}, 4)
        )[0].numpy()
        for t in (1.0, 0.5)
    ]
    np.testing.assert_allclose(found[1], 0.5 * found[0], rtol=1e-6)
    _, firsts, counts = np.unique(words, return_index=True, return_counts=True)
    halves = firsts < segments.size // 2
    for first, count, other in zip(
        firsts[:9], counts, found[0][firsts[1:]], strict=False
    ):
        assert np.ptp(found[0][first : first + count], axis=0).max() == 0
        assert np.abs(found[0][first] - other).min() > 1e-6
    drawn = found[0][firsts]
    np.testing.assert_allclose(drawn.mean(0), 0.0, atol=0.25)
    np.testing.assert_allclose(drawn.std(0), 1.0, atol=0.2)
    one = draw_latent(
        *(segments, lengths),
        *({"seed": tf.constant([[3.0]]), "temperature": tf.ones([1, 1])}, 4),
    )[0].numpy()
    same = np.all(one == found[0], axis=1)
    assert same[firsts][halves].all()
    assert not same[firsts][~halves][1:].any()


def test_renditions_are_drawn_by_seeds_and_the_mean_one_is_the_default(task):
    mean = task.speak(TEXTS)
    still = task.speak(TEXTS, temperature=0.0, seed=7)
    drawn = {seed: task.speak(TEXTS, temperature=1.0, seed=seed) for seed in (1, 2)}
    again = task.speak(TEXTS, temperature=1.0, seed=1)
    for row, text in enumerate(TEXTS):
        np.testing.assert_array_equal(mean[row].frames, still[row].frames)
        np.testing.assert_array_equal(again[row].frames, drawn[1][row].frames)
        (alone,) = task.speak([text], temperature=1.0, seed=1)
        np.testing.assert_allclose(alone.frames, again[row].frames, atol=2e-4)
        renditions = mean[row], drawn[1][row], drawn[2][row]
        for one, other in itertools.pairwise(renditions):
            durations = (each.alignment.sum(0).tolist() for each in (one, other))
            assert next(durations) != next(durations)


def encoded(task, text):
    segments = encode_segments(task.front_end, text)[np.newaxis]
    return segments, np.array([segments.size], np.int32)


def test_the_served_graph_draws_the_same_renditions(task):
    server = task.server()
    rows = {"temperature": [0.0, 1.0, 1.0], "seed": [4.0, 4.0, 5.0]}
    segments, lengths = encoded(task, TEXTS[0])
    neutral = {c.name: tf.fill([3], c.default) for c in task.conditions}
    request = neutral | {k: tf.constant(v) for k, v in rows.items()}
    answer = server.acoustic(
        tf.repeat(segments, 3, 0), tf.repeat(lengths, 3), **request
    )
    for row, (temperature, seed) in enumerate(zip(*rows.values(), strict=True)):
        (speech,) = task.speak([TEXTS[0]], temperature=temperature, seed=seed)
        count = answer["frame_length"][row]
        assert count == len(speech.frames)
        found = answer["frames"][row, :count]
        np.testing.assert_allclose(found, speech.frames, atol=1e-3)
    reason = "seed must be between 0 and 999999, a whole number"
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        server.acoustic(
            *(tf.constant(segments), tf.constant(lengths)),
            **{k: v[:1] for k, v in request.items()} | {"seed": tf.constant([0.5])},
        )


@pytest.mark.slow
@pytest.mark.headline
def test_tflite_has_the_mean_rendition_alone(task):
    lite = task.lite()
    inputs = lite.inputs(TEXTS[0])
    assert set(inputs) == {"symbols", "rate", "semitones", "pitch_range", "energy"}
    answer = lite.function(**inputs)
    (speech,) = task.speak([TEXTS[0]])
    np.testing.assert_allclose(answer["frames"][0], speech.frames, atol=1e-4)


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"temperature": 2.5}, "temperature must be between 0 and 2"),
        ({"seed": 1.5}, "seed must be between 0 and 999999, a whole number"),
        ({"seed": float("nan")}, "seed must be between"),
    ],
)
def test_renditions_that_cannot_be_are_refused(task, conditions, reason):
    with pytest.raises(SpecError, match=reason):
        task.speak(["a"], **conditions)


def test_models_without_a_latent_variable_have_one_rendition(
    parallel_flags, dense_flags
):
    plain = build_task(train.parse(parallel_flags)[0])
    with pytest.raises(
        SpecError, match=r"has no temperature .*leave out --temperature"
    ):
        plain.speak(["a"], temperature=0.5)
    for flag in ("--kl-weight=1", "--kl-warmup=1", "--free-bits=1"):
        with pytest.raises(SpecError, match="is for parallel_tts, not for dense"):
            train.parse([*dense_flags, flag])
