"""Duration-based synthesis: durations, loss, data, what must not change a result."""

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.audio.trajectory import with_deltas
from tfspeech.errors import CorpusError, SpecError, TextError
from tfspeech.tasks.parallel_tts.config import ParallelSynthesisConfig
from tfspeech.tasks.parallel_tts.prediction import whole_durations
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
def indices(data):
    return data.corpus.indices("validation")


@pytest.fixture(scope="module")
def utterances(task, data, indices):
    return task.timed(data, indices)


def mean_loss(task, utterances):
    total = frames = 0.0
    for batch in utterances.batches(1):
        count = float(tf.reduce_sum(batch["frame_lengths"]))
        loss = task.losses("model", batch, training=False).total
        total, frames = total + count * float(loss), frames + count
    return total / frames


@pytest.mark.slow
@pytest.mark.headline
def test_validation_measures_the_validation_split(run, data, indices, utterances):
    config, task = run
    training = config.read_training(task, data)
    texts = data.texts(indices)
    assert training.spoken_texts == [texts[0], texts[-1]]
    np.testing.assert_array_equal(training.recording(1), data.store[indices[-1]])
    for frames, index in zip(training.spoken_frames, indices[[0, -1]], strict=True):
        np.testing.assert_allclose(frames, data.frames(index), atol=1e-4)
    scores = training.validate()
    measured = task.model.prediction_std.numpy(), task.model.duration_std.numpy()
    assert scores["loss"] == pytest.approx(mean_loss(task, utterances), rel=1e-4)
    others = task.timed(data, data.corpus.indices("test"))
    assert scores["loss"] != pytest.approx(mean_loss(task, others), rel=5e-4)
    task.measure_stds(utterances.batches(1))
    np.testing.assert_allclose(measured[0], task.model.prediction_std, rtol=1e-4)
    np.testing.assert_allclose(measured[1], task.model.duration_std, rtol=1e-4)


def test_frames_to_normalise_by_are_thinned_where_there_are_many(data, utterances):
    every = utterances.sample_frames(np.array([2, 0]), 10_000)
    lengths = utterances.frames.lengths[[2, 0]]
    assert len(every) == lengths.sum()
    few = utterances.sample_frames(np.array([2, 0]), int(lengths.sum()) // 2)
    wanted = [each[::3] for each in np.split(every, lengths[:1])]
    np.testing.assert_array_equal(few, np.concatenate(wanted))


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


def test_segments_are_those_of_the_texts_and_recordings(data, indices, utterances):
    segments, lengths, durations = utterances.segments(tf.range(len(indices)))
    assert len(segments) == len(indices)
    for row, index in enumerate(indices):
        wanted = encode_segments(data.front_end, data.corpus.utterances[index].text)
        np.testing.assert_array_equal(segments[row, : lengths[row]], wanted)
        frames = 1 + len(data.store[index]) // data.features.hop_length
        assert data.frames(index).shape == (frames, data.features.frame_dim)
        assert int(tf.reduce_sum(durations[row])) == frames
        assert not segments[row, lengths[row] :].numpy().any()


def test_a_batch_holds_features_and_targets_with_differences(
    task, data, indices, utterances
):
    (batch,) = utterances.batches(99)
    order = np.argsort(data.frame_lengths(indices), kind="stable")
    dim = task.linguistic.linguistic_dim
    for place, row in enumerate(order):
        frames = data.frames(indices[row])[:, task.targets]
        count = len(frames)
        assert batch["frame_lengths"][place] == count
        wanted = with_deltas(frames[None], [count])[0]
        np.testing.assert_allclose(batch["frames"][place, :count], wanted, atol=1e-5)
        segments, _, durations = utterances.segments([row])
        (size,) = segments[0].shape
        wanted, _ = frame_features(segments, [size], durations, dim)
        np.testing.assert_allclose(
            batch["frame_features"][place, :count], wanted[0], atol=1e-6
        )
        np.testing.assert_array_equal(batch["segments"][place, :size], segments[0])
        wanted = segment_features(segments, [size], dim)[0]
        found = batch["segment_features"][place]
        np.testing.assert_allclose(found[:size], wanted, atol=1e-6)
        assert not found[size:].numpy().any()
        np.testing.assert_allclose(
            batch["log_durations"][place, :size],
            np.log(1 + durations[0].numpy()),
            rtol=1e-5,
        )
        assert not batch["frame_features"][place, count:].numpy().any()
        assert not batch["log_durations"][place, size:].numpy().any()


def test_the_loss_is_that_of_numpy(task, utterances):
    (batch,) = utterances.batches(99)
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
    assert float(task.losses_of(outputs, batch).total) == pytest.approx(
        wanted, rel=1e-4
    )


def test_two_halves_of_a_batch_have_its_loss(task, utterances):
    (batch,) = utterances.batches(99)
    halves = [
        {k: v[part] for k, v in batch.items()} for part in (slice(2), slice(2, 9))
    ]
    whole = task.losses("model", batch).total
    parts = sum(
        task.losses("model", half).total * task.weight(half) / task.weight(batch)
        for half in halves
    )
    assert float(parts) == pytest.approx(float(whole), rel=1e-5)
    assert Distribution().share(batch).keys() == batch.keys()


def test_stds_are_those_of_the_predictions(task, utterances):
    batches = utterances.batches(2)
    task.measure_stds(batches)
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


def test_durations_of_phonemes_are_means_not_medians(task, utterances):
    model = task.model
    segments, lengths, _ = utterances.segments([0])
    features = segment_features(segments, lengths, task.linguistic.linguistic_dim)
    inputs = {"segment_features": features, "segment_lengths": lengths}
    logs = model.predict_log_durations(inputs).numpy()[0]
    std = float(model.duration_std)
    for sigma in (0.0, 1.0):
        model.duration_std.assign(sigma)
        names = [task.front_end.symbols[symbol] for symbol in segments[0]]
        heard = np.array([name in PHONEMES for name in names])
        wanted = np.expm1(logs + heard * sigma**2 / 2)
        wanted = np.where(heard, np.maximum(wanted, 1), wanted * (wanted >= 0.5))
        found = task.durations(segments, lengths, task.neutral)[0]
        np.testing.assert_array_equal(
            np.cumsum(found), np.floor(np.cumsum(wanted) + 0.5)
        )
    model.duration_std.assign(std)


def test_neighbours_in_a_batch_change_no_speech(task):
    together = task.speak(TEXTS)
    for text, speech in zip(TEXTS, together, strict=True):
        (alone,) = task.speak([text])
        np.testing.assert_array_equal(alone.alignment, speech.alignment)
        assert len(alone.frames) == alone.alignment.sum()
        np.testing.assert_allclose(alone.frames, speech.frames, atol=2e-4)
        assert not alone.frames[:, : task.features.num_mels].any()


def test_texts_that_cannot_be_said_are_refused(task):
    with pytest.raises(TextError):
        task.speak(["a", "?!"])


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"rate": 0.2}, "rate must be between"),
        ({"rate": float("nan")}, "rate must be between"),
        ({"semitones": -25}, "semitones must be between -24 and 24"),
        ({"speaker": 1}, "dense_synthesis has no speaker"),
    ],
)
def test_conditions_that_cannot_be_are_refused(task, conditions, reason):
    with pytest.raises(SpecError, match=reason):
        task.speak(["a"], **conditions)
    task.speak(["a"], rate=4)


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
        ParallelSynthesisConfig(**wrong)


def test_a_split_that_is_empty_is_named(task, data, monkeypatch):
    with pytest.raises(CorpusError, match="no nothing split"):
        task.evaluate_split(data, "nothing")
