"""Pitch and energy of phonemes: data, loss, and control at synthesis."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfspeech import train
from tfspeech.errors import SpecError
from tfspeech.tasks.parallel_tts.data import segment_means
from tfspeech.tasks.parallel_tts.task import ParallelSynthesis
from tfspeech.tasks.registry import build_task
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.speech.phrases import Phrase, encode_phrases

TEXTS = ("the red box.", "the white door, and the old hat!", "a bird")


@pytest.fixture(scope="module")
def run(small_parallel):
    return load_task(small_parallel)


@pytest.fixture(scope="module")
def task(run):
    return run[1]


@pytest.fixture(scope="module")
def utterances(run):
    config, task = run
    data = config.read_data()
    return task.timed(data, data.corpus.indices("validation"))


def test_means_of_segments_are_those_of_numpy():
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(2, 9, 3)).astype("f4")
    durations = np.array([[2, 0, 4, 3], [1, 5, 0, 0]], np.int32)
    found = segment_means(tf.constant(frames), tf.constant(durations)).numpy()
    for row, counts in enumerate(durations):
        for segment, (start, count) in enumerate(
            zip(np.cumsum(counts) - counts, counts, strict=True)
        ):
            wanted = frames[row, start : start + count].mean(0) if count else 0.0
            np.testing.assert_allclose(found[row, segment], wanted, atol=1e-5)


def test_a_batch_holds_segments_with_pitch_and_energy(task, utterances):
    (batch,) = utterances.batches(99)
    assert set(task.model.signature) <= set(batch)
    assert "frame_features" not in batch
    order = np.argsort(utterances.frames.lengths, kind="stable")
    for place, row in enumerate(order):
        frames = utterances.frames[row]
        count, durations = len(frames), batch["durations"][place].numpy()
        targets = batch["frames"][place, :count]
        np.testing.assert_array_equal(targets, frames[:, task.targets])
        assert durations.sum() == count
        places = batch["frame_segments"][place, :count]
        wanted = np.repeat(np.arange(len(durations)), durations)
        np.testing.assert_array_equal(places, wanted)
        # ln F0 and the log gain, of recordings.
        first = durations[: np.flatnonzero(durations)[3]].sum()
        last = first + durations[durations > 0][3]
        segment = np.flatnonzero(durations)[3]
        wanted = frames[first:last, [frames.shape[1] - 2, 16 + 8]].mean(0)
        found = batch["prosody"][place, segment]
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_loss_is_that_of_numpy(task, utterances):
    (batch,) = utterances.batches(99)
    outputs = task.model(batch)
    model, sums = task.model, {"frames": 0.0, "durations": 0.0, "prosody": 0.0}

    def normalized(layer, name, row, length):
        mean, std = layer.mean.numpy(), layer.std.numpy()
        pair = (x[name][row][:length].numpy() for x in (outputs, batch))
        predicted, wanted = ((x.reshape(int(length), -1) - mean) / std for x in pair)
        return predicted - wanted.clip(-1, 1)

    for row, (frames, segments) in enumerate(
        zip(batch["frame_lengths"], batch["segment_lengths"], strict=True)
    ):
        error = np.abs(normalized(model.normalization, "frames", row, frames))
        error[:, -2:] *= task.config.pitch_weight
        sums["frames"] += error.mean(1).sum()
        error = normalized(model.duration_normalization, "log_durations", row, segments)
        sums["durations"] += np.square(error).sum()
        error = normalized(model.prosody_normalization, "prosody", row, segments)
        heard = batch["durations"][row][:segments].numpy() > 0
        sums["prosody"] += np.square(error)[heard].mean(1).sum()
    losses = task.losses_of(outputs, batch)
    count = batch["frame_lengths"].numpy().sum()
    assert set(losses.terms) == set(sums)
    for name, total in sums.items():
        assert float(losses.terms[name]) == pytest.approx(total / count, rel=1e-4)


def test_errors_of_segments_are_weighted_beside_those_of_frames(task, utterances):
    (batch,) = utterances.batches(99)
    losses = task.losses_of(task.model(batch), batch)
    terms = {name: float(term) for name, term in losses.terms.items()}
    of_segments = terms["durations"] + terms["prosody"]
    wanted = terms["frames"] + task.config.segment_weight * of_segments
    assert task.config.segment_weight == 3.0
    assert float(losses.total) == pytest.approx(wanted)


def test_two_halves_of_a_batch_have_its_loss(task, utterances):
    (batch,) = utterances.batches(99)
    halves = [
        {k: v[part] for k, v in batch.items()} for part in (slice(2), slice(2, 9))
    ]
    whole = task.losses("model", batch, training=False).total
    parts = sum(
        task.losses("model", half, training=False).total
        * (task.weight(half) / task.weight(batch))
        for half in halves
    )
    assert float(parts) == pytest.approx(float(whole), rel=1e-4)


def test_neighbours_in_a_batch_change_no_speech(task):
    together = task.speak(TEXTS)
    for text, speech in zip(TEXTS, together, strict=True):
        (alone,) = task.speak([text])
        np.testing.assert_array_equal(alone.alignment, speech.alignment)
        np.testing.assert_allclose(alone.frames, speech.frames, atol=2e-4)


def test_pitch_and_its_range_move_the_melody_alone(task):
    names = [condition.name for condition in task.conditions]
    assert names == ["rate", "semitones", "pitch_range", "energy"]
    (own,) = task.speak([TEXTS[1]])
    middle = float(task.model.prosody_normalization.mean[0])
    for semitones, pitch_range in ((12.0, 1.0), (0.0, 0.1), (-6.0, 1.5)):
        (found,) = task.speak([TEXTS[1]], semitones=semitones, pitch_range=pitch_range)
        wanted = middle + pitch_range * (own.frames[:, -2] - middle)
        wanted += np.log(2) * semitones / 12
        np.testing.assert_allclose(found.frames[:, -2], wanted, atol=1e-4)
        rest = found.frames - own.frames
        np.testing.assert_allclose(np.delete(rest, -2, axis=1), 0.0, atol=1e-5)


def test_energy_is_what_the_model_is_asked_for_in_db(task):
    segments, lengths = tf.constant([[2, 30, 40, 1]]), tf.constant([4])
    durations = tf.constant([[3, 4, 5, 2]])
    soft, own, loud = (
        task.speak_timed(
            *(segments, lengths, durations), {"energy": np.float32([[energy]])}
        )[0].frames
        for energy in (-6.0, 0.0, 6.0)
    )
    assert np.abs(loud - own).max() > 1e-4
    assert np.abs(soft - loud).max() > np.abs(own - loud).max()


def test_markup_changes_the_words_that_it_encloses(task):
    usual = {c.name: c.default for c in task.conditions}

    def spoken(**changes):
        phrases = [Phrase("the white", usual), Phrase("door", usual | changes)]
        return task.speak_phrases(phrases), encode_phrases(task.front_end, phrases)[1]

    own, places = spoken()
    in_door = own.alignment @ (places == 1) > 0.5
    assert 0 < in_door.sum() < len(in_door)
    (text,) = task.speak(["the white door"])
    np.testing.assert_allclose(own.frames, text.frames, atol=1e-4)
    raised, _ = spoken(semitones=12.0)
    moved = raised.frames - own.frames
    np.testing.assert_allclose(moved[in_door, -2], np.log(2), atol=1e-4)
    np.testing.assert_allclose(moved[~in_door], 0.0, atol=1e-4)
    slow, _ = spoken(rate=0.25)
    before, after = (each.alignment.sum(axis=0) for each in (own, slow))
    assert after[places == 1].sum() > 2 * before[places == 1].sum()
    np.testing.assert_allclose(after[places == 0], before[places == 0], atol=1)
    loud, _ = spoken(energy=6.0)
    assert np.abs(loud.frames - own.frames)[in_door].max() > 1e-4


def test_mel_spectra_are_a_target_too_and_are_learned_with_pitch(parallel_flags):
    config, *_ = train.parse([*parallel_flags, "--target=mel"])
    task = build_task(config)
    assert [condition.name for condition in task.conditions] == ["rate"]
    (speech,) = task.speak([TEXTS[0]])
    assert speech.frames.shape[1] == config.frames.frame_dim
    assert speech.frames[:, :16].any()
    assert not speech.frames[:, 16:].any()
    with pytest.raises(SpecError, match="frames with pitch: give --lpc-order 24"):
        train.parse([*parallel_flags, "--target=mel", "--no-pitch"])


@pytest.fixture(scope="module")
def adversarial(parallel_flags):
    """An untrained task with a discriminator."""
    config, *_ = train.parse([*parallel_flags, "--adversarial-weight=0.5"])
    return build_task(config)


def test_model_and_discriminator_move_by_errors_of_their_own(adversarial, utterances):
    (batch,) = utterances.batches(99)
    assert list(adversarial.groups) == ["model", "discriminator"]
    discriminator = adversarial.models["discriminator"]
    # Neither ln F0 nor voicing is judged.
    assert discriminator.feature_dim == 9
    discriminator.last.kernel.assign(0 * discriminator.last.kernel)
    for score in (0.0, 1.0, 0.25):
        discriminator.last.bias.assign([score])
        own = adversarial.losses("model", batch, training=False)
        other = adversarial.losses("discriminator", batch, training=False)
        wanted = {"recorded": (1 - score) ** 2, "predicted": score**2}
        assert {n: float(t) for n, t in other.terms.items()} == pytest.approx(wanted)
        assert float(own.terms["adversarial"]) == pytest.approx((1 - score) ** 2)
        terms = {n: float(t) for n, t in own.terms.items()}
        wanted = sum(terms.values()) - 0.5 * terms["adversarial"]
        wanted += 2.0 * (terms["durations"] + terms["prosody"])  # They count thrice.
        assert float(own.total) == pytest.approx(wanted)


def test_the_model_learns_from_the_scores_and_the_discriminator_leaves_it(
    parallel_flags, utterances
):
    config, *_ = train.parse([*parallel_flags, "--adversarial-weight=0.5"])
    task = build_task(config)
    (batch,) = utterances.batches(99)
    with tf.GradientTape(persistent=True) as tape:
        adversarial = task.losses("model", batch).terms["adversarial"]
        total = task.losses("discriminator", batch).total
    body = task.model.body[0].hidden.kernel.value
    assert np.abs(tape.gradient(adversarial, body)).max() > 0
    assert tape.gradient(total, body) is None


@pytest.mark.parametrize("name", ["adversarial_weight", "variance_scaling"])
def test_dense_networks_have_neither_discriminator_nor_scaling(name, dense_flags):
    with pytest.raises(SpecError, match=f"{name} is for parallel_tts"):
        train.parse([*dense_flags, f"--{name.replace('_', '-')}=0.5"])


def spread(frames, lengths):
    """The standard deviation of each value around the mean of its utterance."""
    valid = [x[:n] for x, n in zip(np.array(frames), lengths, strict=True)]
    return np.sqrt(np.mean(np.concatenate([x - x.mean(0) for x in valid]) ** 2, 0))


@pytest.mark.slow
@pytest.mark.headline
def test_scaling_gives_filters_the_variance_of_recordings(task, utterances):
    task.measure_stds(utterances.batches(2))
    (batch,) = utterances.batches(99)
    lengths = batch["frame_lengths"].numpy()
    recorded = spread(batch["frames"], lengths)
    predicted = spread(task.model(batch)["frames"], lengths)
    ratio = task.model.variance_ratio.numpy()
    np.testing.assert_allclose(ratio, recorded / predicted, rtol=1e-3)
    segments, counts, durations = utterances.segments(np.arange(len(lengths)))

    def spoken(variance_scaling):
        settings = dataclasses.replace(task.config, variance_scaling=variance_scaling)
        more = task.features, task.linguistic, task.front_end, list
        scaled = ParallelSynthesis(task.model, settings, *more)
        return scaled.speak_timed(segments, counts, durations)

    plain, scaled = spoken(0.0), spoken(0.5)
    for one, other in zip(plain, scaled, strict=True):
        means = [each.frames[:, task.targets].mean(0) for each in (one, other)]
        np.testing.assert_allclose(*means, atol=1e-4)
        stds = [each.frames[:, task.targets].std(0) for each in (one, other)]
        wanted = np.append(ratio[:-2] ** 0.5, [1.0, 1.0])
        np.testing.assert_allclose(stds[1], stds[0] * wanted, rtol=1e-3)
