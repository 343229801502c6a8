"""Scores of synthesis on cases whose figures are known beforehand."""

import math

import numpy as np
import pytest

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.audio.decode import read_audio
from tfspeech.audio.vocoders import GriffinLim
from tfspeech.data.espeak import SpokenText
from tfspeech.tasks.speech.scores import (
    alignment_path,
    attention_scores,
    count_lost_words,
    fundamental_frequency,
    mel_cepstra,
    mel_cepstral_distortion,
    passed_symbols,
    pitch_scores,
    speech_scores,
)

RATE_HZ, HOP = 16000, 200


def mels(frames=50, seed=0):
    """Log-mels that no frame has twice."""
    steps = np.random.default_rng(seed).normal(size=(frames, 80))
    return np.cumsum(0.3 * steps, axis=0)


def each_with_itself(frames):
    return np.repeat(np.arange(frames)[:, None], 2, axis=1)


def harmonics(hz, seconds=1.0):
    time = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    return sum(np.sin(2 * np.pi * hz * n * time) / n for n in range(1, 8)) / 4


def distortion(reference, synthesis):
    path = each_with_itself(len(reference))
    return mel_cepstral_distortion(reference, synthesis, path)


def test_distortion_of_one_cosine_is_its_root_mean_square_in_db():
    axis = np.pi * (np.arange(80) + 0.5) / 80
    ripple = 0.2 * np.cos(3 * axis)
    rms_db = 20 / math.log(10) * np.sqrt(np.square(ripple).mean())
    assert distortion(mels(), mels() + ripple) == pytest.approx(rms_db)
    np.testing.assert_allclose(mel_cepstra(ripple[None])[0, 2], 0.2)


def test_distortion_knows_neither_level_nor_fine_structure():
    axis = np.pi * (np.arange(80) + 0.5) / 80
    assert distortion(mels(), mels() + 2.0) == pytest.approx(0, abs=1e-9)
    assert distortion(mels(), mels() + np.cos(14 * axis)) == pytest.approx(0, abs=1e-9)


def test_warping_undoes_another_timing():
    reference = mels()
    slower = np.repeat(reference, 2, axis=0)
    path = alignment_path(reference, slower)
    np.testing.assert_array_equal(path[[0, -1]], [[0, 0], [49, 99]])
    assert np.all(np.diff(path, axis=0) >= 0)
    assert mel_cepstral_distortion(reference, slower, path) == pytest.approx(0)
    assert distortion(reference, mels(seed=1)) > 1


def test_pitch_of_a_voice_that_starts_and_ends():
    noise = 0.01 * np.random.default_rng(0).standard_normal(RATE_HZ // 2)
    waveform = np.concatenate([np.zeros(4000), noise, harmonics(180), noise])
    f0_hz = fundamental_frequency(waveform.astype(np.float32), RATE_HZ, HOP)
    assert len(f0_hz) == 1 + len(waveform) // HOP
    voiced = slice(65, 135)
    np.testing.assert_allclose(f0_hz[voiced], 180, rtol=0.02)
    assert np.mean(f0_hz[:55] > 0) < 0.1


def test_silence_has_no_pitch():
    silence = np.zeros(8000, np.float32)
    assert not fundamental_frequency(silence, RATE_HZ, HOP).any()


def test_pitch_scores_of_known_pitches():
    reference, synthesis = (
        np.array([0, 100, 100, 200, 0]),
        np.array([0, 110, 0, 190, 90]),
    )
    scores = pitch_scores(reference, synthesis, each_with_itself(5))
    assert scores == {"f0_rmse_hz": 10.0, "voicing_error_percent": pytest.approx(40)}
    unvoiced = pitch_scores(reference, np.zeros(5), each_with_itself(5))
    assert math.isnan(unvoiced["f0_rmse_hz"])


def test_a_recording_compared_with_itself_and_with_a_slower_one(speech_data):
    waveform, rate_hz = read_audio(speech_data / "ljspeech/wavs/LJ001-0002.wav")
    config = AcousticConfig(sample_rate_hz=rate_hz)
    frames, _ = acoustic_frames(waveform[None], [len(waveform)], config)
    frames = frames[0].numpy()
    f0_hz = fundamental_frequency(waveform, rate_hz, config.hop_length)
    assert len(f0_hz) == len(frames)
    assert 180 < np.median(f0_hz[f0_hz > 0]) < 280
    slow, slow_hz = np.repeat(frames, 2, axis=0), np.repeat(f0_hz, 2)
    assert speech_scores(frames, slow, f0_hz, slow_hz) == {
        "mcd_db": pytest.approx(0, abs=1e-6),
        "f0_rmse_hz": 0,
        "voicing_error_percent": 0,
        "duration_ratio": 2,
    }


def weights(peaks, symbols, share=1.0):
    """Attention with this share at the peak of each step, the rest spread evenly."""
    alignment = np.full((len(peaks), symbols), (1 - share) / (symbols - 1))
    alignment[np.arange(len(peaks)), peaks] = share
    return alignment


def test_attention_along_the_diagonal():
    words = np.array([0, 0, -1, 1, 1, 1, -1, 2, 2, -1])
    scores = attention_scores(weights(np.repeat(np.arange(10), 3), 10, 0.8), words)
    assert scores["focus"] == pytest.approx(0.8)
    assert scores["monotonic_coverage"] == 1
    assert scores["skipped_words"] == scores["repeated_words"] == 0
    assert scores["diagonality"] > 0.85


def test_attention_that_stays_is_far_from_the_diagonal():
    scores = attention_scores(weights([0] * 50, 50), np.zeros(50, int))
    assert scores["diagonality"] == pytest.approx(
        0.2 * math.sqrt(math.pi / 2), abs=0.02
    )
    assert scores["monotonic_coverage"] == 1 / 50
    assert scores["focus"] == 1


@pytest.mark.parametrize(
    ("peaks", "lost"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], []),
        ([2, 2, 5, 7], []),
        ([0, 1, 5, 6, 9], [2, 3, 4]),
        ([0, 1, 2, 3, 4, 2, 3, 4, 7, 9], [3, 4]),
        ([4, 6, 8], [0, 1, 2, 3]),
        ([0, 2, 4, 6], [7, 8, 9]),
        ([9, 0], [*range(10)]),
    ],
)
def test_symbols_that_are_not_passed_in_order(peaks, lost):
    passed = passed_symbols(weights(peaks, 10, 0.7))
    np.testing.assert_array_equal(np.flatnonzero(~passed), lost)


@pytest.mark.parametrize(
    ("peaks", "skipped", "repeated"),
    [
        ([0, 1, 2, 3, 4, 5, 6], 0, 0),
        ([1, 2, 4, 6, 7], 0, 0),
        ([0, 1, 2, 6, 7], 1, 0),
        ([0, 3, 0, 1, 3, 6], 0, 1),
        ([0, 3, 6, 0, 3, 6], 0, 2),
        ([2, 2, 5, 7], 3, 0),
    ],
)
def test_words_that_are_lost(peaks, skipped, repeated):
    words = np.array([0, 0, -1, 1, 1, -1, 2, -1])
    assert count_lost_words(weights(peaks, 8), words) == (skipped, repeated)


def test_attention_spread_over_everything_loses_words():
    words = np.array([0, 0, 0, -1, 1, -1, 2, 2])
    skipped, repeated = count_lost_words(np.full((20, 8), 1 / 8), words)
    assert (skipped, repeated) == (2, 0)


def test_text_without_words_loses_none():
    assert count_lost_words(weights([0, 1], 2), np.array([-1, -1])) == (0, 0)


def test_the_vocoder_keeps_the_pitch_of_a_low_voice():
    waveform, rate_hz = SpokenText("Nine brown foxes ran over a low wall.").render()
    config = AcousticConfig(sample_rate_hz=rate_hz)
    frames, lengths = acoustic_frames(waveform[None], [len(waveform)], config)
    synthesis, _ = GriffinLim(config)(frames, lengths)
    reference_hz, synthesis_hz = (
        fundamental_frequency(wave, rate_hz, config.hop_length)
        for wave in (waveform, synthesis[0].numpy())
    )
    assert 90 < np.median(reference_hz[reference_hz > 0]) < 120
    path = each_with_itself(len(reference_hz))
    scores = pitch_scores(reference_hz, synthesis_hz, path)
    assert scores["f0_rmse_hz"] < 3
    assert scores["voicing_error_percent"] < 10
