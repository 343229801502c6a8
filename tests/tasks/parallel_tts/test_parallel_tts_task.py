"""The parametric task: durations, loss, data, and what must not change a result."""

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.audio.trajectory import with_deltas
from tfspeech.errors import CorpusError, SpecError, TextError
from tfspeech.tasks.parallel_tts.config import ParametricConfig, check_prosody
from tfspeech.tasks.parallel_tts.task import whole_durations
from tfspeech.tasks.runs import load_task
from tfspeech.text.linguistic import (
    encode_segments,
    frame_features,
    segment_features,
)
from tfspeech.text.phonemes import PHONEMES
from tfspeech.training.distribution import Distribution

TEXTS = ("the red box.", "the white door, and the old hat!", "a bird")


@pytest.fixture(scope="module")
def run(small_dense):
    return load_task(small_dense)


@pytest.fixture(scope="module")
def task(run):
    return run[1]


@pytest.fixture(scope="module")
def data(run):
    return run[0].read_data()


@pytest.fixture(scope="module")
def spoken(data):
    return data.spoken(data.corpus.indices("validation"))


def test_whole_durations_keep_sums_phonemes_and_padding():
    durations = tf.constant([[0.2, 0.4, 2.6, 0.49, 3.3, 7.0], [0.6, 0.6, 0.6, 9, 9, 9]])
    is_phoneme = tf.constant([[0, 1, 1, 0, 1, 0], [1, 0, 0, 1, 1, 1]]) > 0
    whole = whole_durations(durations, is_phoneme, tf.constant([6, 3])).numpy()
    assert whole.tolist() == [[0, 1, 3, 0, 3, 7], [1, 1, 0, 0, 0, 0]]


def test_rounding_errors_of_durations_do_not_add_up():
    rng = np.random.default_rng(0)
    durations = rng.uniform(1, 6, (3, 200)).astype("f4")
    whole = whole_durations(durations, tf.fill([3, 200], True), tf.fill([3], 200))
    assert np.abs(np.cumsum(whole, 1) - np.cumsum(durations, 1)).max() <= 0.51
    assert whole.numpy().min() >= 1


def test_what_is_spoken_is_what_was_recorded(data, spoken):
    indices = data.corpus.indices("validation")
    assert spoken.segments.nrows() == len(indices)
    for row, index in enumerate(indices):
        wanted = encode_segments(data._front_end, data.corpus.utterances[index].text)
        np.testing.assert_array_equal(spoken.segments[row], wanted)
        frames = 1 + len(data.store[index]) // data.features.hop_length
        assert spoken.frames[row].shape == (frames, data.features.frame_dim)
        assert int(tf.reduce_sum(spoken.durations[row])) == frames


def test_a_batch_holds_features_and_targets_with_differences(task, spoken):
    batches = task.batches(spoken)
    (batch,) = batches.ordered(99)
    order = np.argsort(spoken.frames.row_lengths(), kind="stable")
    dim = task.linguistic.linguistic_dim
    for place, row in enumerate(order):
        frames = spoken.frames[row][:, task.targets]
        count = len(frames)
        assert batch["frame_lengths"][place] == count
        wanted = with_deltas(frames[None], [count])[0]
        np.testing.assert_allclose(batch["frames"][place, :count], wanted, atol=1e-5)
        segments, durations = spoken.segments[row], spoken.durations[row]
        wanted, _ = frame_features(
            segments[None], [len(segments)], durations[None], dim
        )
        np.testing.assert_allclose(
            batch["frame_features"][place, :count], wanted[0], atol=1e-6
        )
        np.testing.assert_allclose(
            batch["log_durations"][place, : len(segments)],
            np.log(1 + durations.numpy()),
            rtol=1e-5,
        )
        assert not batch["frame_features"][place, count:].numpy().any()
        assert not batch["log_durations"][place, len(segments) :].numpy().any()


def test_the_loss_is_that_of_numpy(task, spoken):
    (batch,) = task.batches(spoken).ordered(99)
    outputs = task.model(batch)
    total = 0.0
    for row in range(len(batch["frame_lengths"])):
        for name, length, layer in (
            ("frames", batch["frame_lengths"][row], task.model.normalization),
            (
                *("log_durations", batch["segment_lengths"][row]),
                task.model.duration_normalization,
            ),
        ):
            pair = (x[name][row][:length].numpy() for x in (outputs, batch))
            predicted, wanted = (x.reshape([int(length), -1]) for x in pair)
            mean, scale = layer.mean.numpy(), layer.std.numpy()
            wanted = np.clip((wanted - mean) / scale, -1, 1)
            error = np.square((predicted - mean) / scale - wanted)
            if name == "frames":
                dims = error.shape[1] // 2
                error[:, dims:] *= task.config.delta_weight
                error[:, [dims - 2, dims - 1, -2, -1]] *= task.config.pitch_weight
            total += error.mean(1).sum()
    wanted = total / batch["frame_lengths"].numpy().sum()
    assert float(task.loss(outputs, batch)) == pytest.approx(wanted, rel=1e-4)


def test_two_halves_of_a_batch_have_its_loss(task, spoken):
    (batch,) = task.batches(spoken).ordered(99)
    halves = [
        {k: v[part] for k, v in batch.items()} for part in (slice(2), slice(2, 9))
    ]
    whole = task.loss(task.model(batch), batch)
    parts = sum(
        task.loss(task.model(half), half) * task.weight(half) / task.weight(batch)
        for half in halves
    )
    assert float(parts) == pytest.approx(float(whole), rel=1e-5)
    assert Distribution().share(batch).keys() == batch.keys()


def test_deviations_are_those_of_the_predictions(task, spoken):
    batches = task.batches(spoken).ordered(2)
    task.measure_deviations(spoken, batches)
    squares = [
        np.square(task.model(batch)["frames"] - batch["frames"])[row, :length]
        for batch in batches
        for row, length in enumerate(batch["frame_lengths"])
    ]
    wanted = np.sqrt(np.concatenate(squares).mean(0))
    np.testing.assert_allclose(task.model.prediction_std, wanted, rtol=1e-3, atol=1e-5)
    squares = []
    for batch in batches:
        errors = task.model(batch)["log_durations"] - batch["log_durations"]
        # In these sentences every phoneme lasts, and no pause does but that at the end.
        heard = batch["log_durations"].numpy() > 0
        heard[np.arange(len(heard)), batch["segment_lengths"] - 1] = False
        heard[:, 0] = False
        squares.extend(np.square(errors.numpy()[heard]))
    found = float(task.model.duration_std)
    assert found == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-3)


def test_durations_of_phonemes_are_means_not_medians(task, spoken):
    model, (row,) = task.model, spoken.segments[:1]
    segments, lengths = row[None], tf.constant([len(row)])
    features = segment_features(segments, lengths, task.linguistic.linguistic_dim)
    logs = model.predict_log_durations(features, lengths).numpy()[0]
    deviation = float(model.duration_std)
    for sigma in (0.0, 1.0):
        model.duration_std.assign(sigma)
        names = [task.front_end.symbols[symbol] for symbol in row]
        heard = np.array([name in PHONEMES for name in names])
        wanted = np.expm1(logs + heard * sigma**2 / 2)
        wanted = np.where(heard, np.maximum(wanted, 1), wanted * (wanted >= 0.5))
        found = task.durations(segments, lengths, tf.ones([1]))[0]
        np.testing.assert_array_equal(
            np.cumsum(found), np.floor(np.cumsum(wanted) + 0.5)
        )
    model.duration_std.assign(deviation)


def test_neighbours_in_a_batch_change_no_speech(task):
    together = task.speak(TEXTS)
    for text, speech in zip(TEXTS, together, strict=True):
        (alone,) = task.speak([text])
        np.testing.assert_array_equal(alone.durations, speech.durations)
        assert len(alone.frames) == alone.durations.sum()
        np.testing.assert_allclose(alone.frames, speech.frames, atol=2e-4)
        assert not alone.frames[:, : task.features.num_mels].any()


def test_texts_that_cannot_be_said_are_refused(task):
    with pytest.raises(TextError):
        task.speak(["a", "?!"])


@pytest.mark.parametrize(
    ("rate", "semitones", "target", "reason"),
    [
        (0.2, 0, "lpc", "the rate must be between"),
        (float("nan"), 0, "lpc", "the rate must be between"),
        (1, -25, "lpc", "within 24 semitones"),
        (1, 1, "mel", "mel spectra have no pitch"),
    ],
)
def test_prosody_out_of_range_is_refused(rate, semitones, target, reason):
    with pytest.raises(SpecError, match=reason):
        check_prosody(rate, semitones, target)
    check_prosody(4, 0, target)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"target": "wave"}, "must be one of mel, lpc"),
        ({"delta_weight": -1.0}, "delta_weight must be 0 or more"),
        ({"pitch_weight": float("nan")}, "pitch_weight must be 0 or more"),
        ({"validation_sentences": 0}, "validation_sentences must be at least 1"),
    ],
)
def test_a_configuration_out_of_range_is_refused(wrong, reason):
    with pytest.raises(ValueError, match=reason):
        ParametricConfig(**wrong)


def test_a_split_that_is_empty_is_named(task, data, monkeypatch):
    with pytest.raises(CorpusError, match="no nothing split"):
        task.evaluate_split(data, "nothing")
