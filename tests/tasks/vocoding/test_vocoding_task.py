"""Vocoding: segments, losses, and which frames a vocoder takes."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.excitation import pulses
from tfspeech.errors import CorpusError, SpecError
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.speech.evaluation import log_mels
from tfspeech.tasks.speech.task import compiled_vocoder, vocode
from tfspeech.tasks.vocoding.config import (
    VocodingConfig,
    check_frames,
    conditioning_values,
)
from tfspeech.tasks.vocoding.losses import mel_loss, periodicity_loss, stft_losses
from tfspeech.tasks.vocoding.vocoder import NeuralVocoder
from tfspeech.training.distribution import Distribution

FRAMES = AcousticConfig(sample_rate_hz=8000, num_mels=16, lpc_order=8, pitch=True)
SEEDS = np.array([7, 2**61, -5, 12, 3, 99])


@pytest.fixture(scope="module")
def run(small_vocoder):
    return load_task(small_vocoder)


@pytest.fixture(scope="module")
def task(run):
    return run[1]


@pytest.fixture(scope="module")
def data(run):
    return run[0].read_data()


@pytest.fixture(scope="module")
def recordings(task, data):
    return task.recordings(data, data.corpus.indices("train"))


def place_of(segment, values):
    """Where a segment of frames is in those of its recording."""
    count = len(segment)
    places = range(len(values) - count + 1)
    (found,) = (p for p in places if np.allclose(values[p : p + count], segment))
    return found


def test_a_segment_is_a_piece_of_a_recording_with_its_frames(task, data, recordings):
    rows, count = np.array([0, 3, 3, 9, 1, 1]), 12
    batch = recordings.segments(tf.constant(rows), tf.constant(SEEDS), count)
    hop, starts = FRAMES.hop_length, []
    indices = data.corpus.indices("train")
    for row, each in enumerate(rows):
        frames = data.frames(indices[each])
        start = place_of(batch["frames"][row], frames[:, task.values])
        starts.append(start)
        piece = data.store[indices[each]][start * hop : (start + count - 1) * hop]
        found = batch["waveform"][row].numpy()
        np.testing.assert_array_equal(found[:-1].ravel(), piece)
        assert not found[-1].any()
    assert len(set(starts)) > 3
    assert batch["frame_lengths"].numpy().tolist() == [count] * 6
    assert np.mean(np.square(batch["noise"])) == pytest.approx(1.0, rel=0.05)


def test_recordings_shorter_than_a_segment_are_padded(data, recordings):
    batch = recordings.segments(tf.constant([0]), tf.constant(SEEDS[:1]), 200)
    length = int(batch["frame_lengths"][0])
    index = data.corpus.indices("train")[0]
    assert length == len(data.frames(index))
    samples = (length - 1) * FRAMES.hop_length
    found = batch["waveform"].numpy().ravel()
    np.testing.assert_array_equal(found[:samples], data.store[index][:samples])
    assert not found[samples:].any()
    assert not batch["frames"].numpy()[0, length:].any()


def test_what_is_drawn_for_a_segment_belongs_to_its_seed(recordings):
    rows = tf.constant([0, 3, 3, 9, 1, 1])
    together = recordings.segments(rows, tf.constant(SEEDS), 12)
    half = recordings.segments(rows[1::2], tf.constant(SEEDS[1::2]), 12)
    for name, values in half.items():
        # Vectorised operations round by their place in a batch.
        wanted = together[name][1::2]
        np.testing.assert_allclose(values, wanted, atol=1e-3, err_msg=name)
    again = recordings.segments(rows, tf.constant(SEEDS + 1), 12)
    assert np.abs(again["noise"] - together["noise"]).max() > 1


def test_an_epoch_fills_the_training_set_with_segments(run, data):
    config, task = run
    training = config.read_training(task, data)
    frames = data.frame_lengths(data.corpus.indices("train"))
    assert training.examples == np.ceil(frames / 12).sum()
    (batch,) = training.batches(0).take(1)
    assert batch["frames"].shape == (4, 12, len(task.values))
    assert batch["seeds"].shape == (4,)


def test_the_loss_is_that_of_numpy():
    rng = np.random.default_rng(0)
    ours, theirs = (rng.normal(size=(2, 200)).astype("f4") for _ in range(2))
    lengths = np.array([200, 120])
    ours[1, 120:] = theirs[1, 120:] = 0.0
    wanted = {"magnitude": 0.0, "log_magnitude": 0.0}
    for size in (16, 32):
        step, angle = size // 4, 2 * np.pi * np.arange(size) / size
        spectra = []
        for signal in (ours, theirs):
            padded = np.pad(signal, [(0, 0), (size // 2, size // 2)])
            starts = range(0, padded.shape[1] - size + 1, step)
            pieces = np.stack([padded[:, s : s + size] for s in starts], 1)
            spectrum = np.fft.rfft(pieces * (0.5 - 0.5 * np.cos(angle)))
            # Those whose middle is inside.
            inside = np.arange(len(starts)) * step <= lengths[:, None]
            magnitudes = np.sqrt(np.abs(spectrum) ** 2 + 1e-6)
            spectra.append(np.where(inside[..., None], magnitudes, 1.0))
        a, b = spectra
        scale = step / (size // 2 + 1) / 2
        wanted["magnitude"] += scale * np.abs(a - b).sum()
        wanted["log_magnitude"] += scale * np.abs(np.log(a / b)).sum()
    found = stft_losses(tf.constant(ours), tf.constant(theirs), lengths, (16, 32))
    for name, value in wanted.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-4)


def test_the_loss_of_mels_is_of_the_frames_of_evaluation():
    rng = np.random.default_rng(0)
    ours, theirs = (rng.normal(size=(2, 1500)).astype("f4") for _ in range(2))
    lengths = np.array([15, 9])
    found = mel_loss(tf.constant(ours), tf.constant(theirs), lengths, FRAMES)
    wanted = 0.0
    for row, length in enumerate(lengths):
        frames = (log_mels(each[row], FRAMES)[:length] for each in (ours, theirs))
        wanted += np.abs(np.subtract(*frames)).mean(axis=1).sum()
    assert float(found) == pytest.approx(wanted, rel=1e-3)


def test_the_loss_of_periodicity_is_the_share_of_noise_whatever_the_glide():
    pitch_hz = np.geomspace(150, 250, 60)[np.newaxis]
    log_pitch = np.log(pitch_hz).astype("f4")
    voice = tf.reshape(pulses(log_pitch, FRAMES.hop_length, 8000), [1, -1])
    noise = np.random.default_rng(0).normal(size=voice.shape).astype("f4")

    def loss(ours, theirs, frames=60):
        lengths = np.array([frames])
        given = (0.1 * ours, 0.1 * theirs, log_pitch, lengths, FRAMES)
        return float(periodicity_loss(*given)) / frames

    silence = tf.zeros_like(voice)
    assert loss(voice, voice) == 0.0
    # The share of noise is 0, 1/2 or 1, and 0.05 is added to each.
    for other, wanted in (
        (voice + noise, np.log(0.55 / 0.05)),
        (noise, np.log(1.05 / 0.05)),
        (silence, np.log(1.05 / 0.05)),
    ):
        assert loss(voice, other) == pytest.approx(wanted, rel=0.15)
    assert loss(3 * noise, noise) < 1e-3
    cut = np.where(np.arange(voice.shape[1]) < 4000, noise, 1e9)
    assert loss(voice, cut, frames=30) == pytest.approx(loss(voice, noise, 30))


def test_shares_of_replicas_add_up_to_the_loss(task, recordings):
    rows = tf.constant([0, 3, 2, 9, 1, 5])
    batch = recordings.segments(rows, tf.constant(SEEDS), 60)
    assert len(np.unique(batch["frame_lengths"])) > 1
    halves = [{k: v[i::2] for k, v in batch.items()} for i in range(2)]
    whole = task.losses("model", batch)
    parts = [
        (task.losses("model", half), task.weight(half) / task.weight(batch))
        for half in halves
    ]
    for name, value in whole.terms.items():
        total = sum(losses.terms[name] * share for losses, share in parts)
        assert float(total) == pytest.approx(float(value), rel=1e-5)
    assert Distribution().share(batch).keys() == batch.keys()


def test_validation_measures_the_validation_split(run, data):
    config, task = run
    training = config.read_training(task, data)
    scores = training.validate()
    indices = data.corpus.indices("validation")
    validation = task.recordings(data, indices)
    batches = tf.data.Dataset.range(len(indices)).batch(1).map(validation.whole)
    assert scores["loss"] == pytest.approx(task.mean_loss(batches), rel=1e-4)
    others = task.recordings(data, data.corpus.indices("test")).batches()
    assert scores["loss"] != pytest.approx(task.mean_loss(others), rel=1e-4)
    first, last = training.resynthesise(2)
    np.testing.assert_array_equal(first.recording, data.store[indices[0]])
    np.testing.assert_allclose(last.frames, data.frames(indices[-1]), atol=1e-5)
    np.testing.assert_array_equal(last.waveform, task.waveforms([last.frames])[0])


def test_a_batch_is_vocoded_like_its_rows_alone_whatever_the_padding(task, data):
    frames = [data.frames(i)[:count] for i, count in ((0, 30), (1, 17), (2, 1))]
    padded = np.full((3, 35, FRAMES.frame_dim), np.nan, np.float32)
    for row, each in enumerate(frames):
        padded[row, : len(each)] = each
    lengths = np.array([len(each) for each in frames], np.int32)
    waveforms, counts = task.vocoder(padded, lengths)
    np.testing.assert_array_equal(counts, (lengths - 1) * FRAMES.hop_length)
    for row, each in enumerate(frames):
        (alone,) = task.waveforms([each])
        assert len(alone) == counts[row]
        np.testing.assert_allclose(waveforms[row, : len(alone)], alone, atol=1e-5)
        assert not waveforms[row, len(alone) :].numpy().any()


def test_what_is_made_of_mels_is_corrected_towards_them(task, small_gan, data):
    """Three times; what is made of linear prediction is not."""
    assert task.corrections == 0
    task, frames = load_task(small_gan)[1], data.frames(0)
    assert task.corrections == 3
    without = NeuralVocoder(task.model, task.features, task.values)
    distances = []
    for vocoder in (task.vocoder, compiled_vocoder(without, task.features)):
        (waveform,) = vocode(vocoder, [frames])
        distances.append(np.abs(log_mels(waveform, FRAMES) - frames[:, :16]).mean())
    assert distances[0] < 0.5 * distances[1]


def test_pulses_do_not_drift_within_a_minute():
    frames, hop, rate_hz = 4000, 276, 22050
    pitch_hz = 200 + 60 * np.sin(np.arange(frames) / 9)
    found = pulses(tf.constant(np.log(pitch_hz)[None], tf.float32), hop, rate_hz)
    assert found.shape == (1, frames, hop)
    # The same sum of harmonics in double precision, over the last hops.
    pitch_hz = np.exp(np.float32(np.log(pitch_hz))).astype(float)
    ahead = np.append(pitch_hz[1:], pitch_hz[-1])
    share = np.arange(hop) / hop
    sample_hz = pitch_hz[:, None] + share * (ahead - pitch_hz)[:, None]
    trapezoids = (pitch_hz + ahead) * hop / (2 * rate_hz)
    turns = (np.cumsum(trapezoids) - trapezoids)[:, None] + np.arange(hop) * (
        pitch_hz[:, None] + sample_hz
    ) / (2 * rate_hz)
    turns, sample_hz = turns[-30:], sample_hz[-30:]
    count = np.floor(rate_hz / 2 / sample_hz)
    harmonics = np.arange(1, 100)[:, None, None]
    cosines = np.where(harmonics <= count, np.cos(2 * np.pi * harmonics * turns), 0)
    wanted = 2 * cosines.sum(0) / np.sqrt(2 * count)
    error = np.mean(np.square(found[0, -30:] - wanted))
    assert error < 1e-3 * np.mean(np.square(wanted))
    assert np.mean(np.square(found)) == pytest.approx(1.0, rel=0.02)


def test_a_network_sees_mels_or_linear_prediction_and_always_the_pitch():
    seen = {
        name: conditioning_values(VocodingConfig(name), FRAMES).tolist()
        for name in ("mel", "lpc")
    }
    assert seen == {"mel": [*range(16), 25, 26], "lpc": [*range(16, 27)]}
    with pytest.raises(SpecError, match=r"give --pitch.*Received: pitch=False"):
        conditioning_values(VocodingConfig(), dataclasses.replace(FRAMES, pitch=False))


@pytest.mark.parametrize(
    ("conditioning", "change", "reason"),
    [
        ("mel", {"sample_rate_hz": 16000}, "frames with sample_rate_hz=8000, and"),
        (
            "mel",
            {"hop_length_ms": 15.0},
            "hop_length_ms=12.5, and .* have hop_l.*=15.0",
        ),
        ("mel", {"num_mels": 20, "mel_low_hz": 9.0}, "num_mels=16, mel_low_hz=50.0"),
        ("mel", {"magnitude_floor": 1.0}, "magnitude_floor"),
        ("lpc", {"lpc_order": 9}, "lpc_order=8, and .* have lpc_order=9"),
        ("lpc", {"pitch": False}, "needs pitch and voicing"),
    ],
)
def test_frames_that_do_not_fit_are_refused(conditioning, change, reason):
    given = dataclasses.replace(FRAMES, **change)
    every = slice(0, given.frame_dim)
    with pytest.raises(SpecError, match=reason):
        check_frames(VocodingConfig(conditioning), FRAMES, given, every)


def test_settings_that_a_network_does_not_see_may_differ():
    for conditioning, change in (
        ("mel", {"lpc_order": 12}),
        ("lpc", {"num_mels": 20, "magnitude_floor": 1.0}),
    ):
        given = dataclasses.replace(FRAMES, **change)
        every = slice(0, given.frame_dim)
        check_frames(VocodingConfig(conditioning), FRAMES, given, every)


def test_values_that_a_synthesiser_does_not_predict_are_refused():
    check_frames(VocodingConfig("lpc"), FRAMES, FRAMES, slice(16, 27))
    with pytest.raises(SpecError, match="train a vocoder with --conditioning lpc"):
        check_frames(VocodingConfig("mel"), FRAMES, FRAMES, slice(16, 27))
    with pytest.raises(SpecError, match="train a vocoder with --conditioning mel"):
        check_frames(VocodingConfig("lpc"), FRAMES, FRAMES, slice(0, 16))


def test_a_split_that_is_empty_is_named(task, data):
    with pytest.raises(CorpusError, match="no nothing split"):
        task.evaluate_split(data, "nothing")
