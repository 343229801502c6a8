"""Acoustic frames against librosa, and their independence of the padding."""

import librosa
import numpy as np
import pytest

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.errors import SpecError

LPC_AND_PITCH = {"lpc_order": 16, "pitch": True}


def recording(samples, seed=0):
    rng = np.random.default_rng(seed)
    level = np.logspace(-4, -0.5, max(samples, 1))[:samples]
    tone = np.sin(0.3 * np.arange(samples))
    return (level * (rng.standard_normal(samples) + tone)).astype(np.float32)


def single(waveform, config):
    frames, lengths = acoustic_frames(waveform[None], [len(waveform)], config)
    assert lengths.numpy() == [frames.shape[1]]
    return frames[0].numpy()


@pytest.mark.parametrize(
    ("rate_hz", "num_mels"), [(8000, 40), (16000, 80), (22050, 80)]
)
def test_log_mels_equal_librosa(rate_hz, num_mels):
    config = AcousticConfig(sample_rate_hz=rate_hz, num_mels=num_mels)
    waveform = recording(rate_hz)
    mel = librosa.feature.melspectrogram(
        y=waveform,
        sr=rate_hz,
        n_fft=config.spectrogram.fft_length,
        win_length=config.frame_length,
        hop_length=config.hop_length,
        pad_mode="constant",
        power=1.0,
        n_mels=num_mels,
        fmin=config.mel_low_hz,
    )
    expected = np.log(mel + config.magnitude_floor).T
    np.testing.assert_allclose(single(waveform, config), expected, atol=1e-3)


def test_times_are_rounded_to_whole_samples():
    config = AcousticConfig(sample_rate_hz=22050)
    assert (config.frame_length, config.hop_length) == (1014, 276)
    assert config.spectrogram.fft_length == 1024
    assert config.frame_dim == config.num_mels


def test_parameters_of_linear_prediction_follow_the_mels():
    config = AcousticConfig(sample_rate_hz=16000, lpc_order=16)
    waveform = recording(8000)
    frames = single(waveform, config)
    assert frames.shape[1] == config.frame_dim == config.num_mels + 17
    plain = single(waveform, AcousticConfig(sample_rate_hz=16000))
    np.testing.assert_array_equal(frames[:, : config.num_mels], plain)
    # The gain follows the level, which rises all the time.
    assert np.all(np.diff(frames[3:-3:5, -1]) > 0)


def test_log_pitch_and_voicing_come_last():
    config = AcousticConfig(sample_rate_hz=16000, lpc_order=16, pitch=True)
    noise = np.random.default_rng(0).standard_normal(8000)
    time = np.arange(8000) / 16000
    tone = sum(np.sin(2 * np.pi * 140 * n * time) for n in range(1, 8))
    frames = single(np.append(noise, tone).astype(np.float32), config)
    assert frames.shape[1] == config.frame_dim == config.num_mels + 19
    np.testing.assert_allclose(frames[:, -2], np.log(140), atol=0.02)
    np.testing.assert_array_equal(frames[:36, -1], 0)
    np.testing.assert_array_equal(frames[44:-3, -1], 1)


@pytest.mark.parametrize("more", [{}, {"lpc_order": 16}, LPC_AND_PITCH])
@pytest.mark.parametrize("garbage", [0.0, 0.7, np.nan, np.inf])
def test_a_batch_equals_its_clips_whatever_the_padding(garbage, more):
    config = AcousticConfig(sample_rate_hz=16000, **more)
    lengths = [4000, 3999, 199, 1, 0]
    batch = np.full((len(lengths), 5000), garbage, np.float32)
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = recording(length, seed=length)
    frames, frame_lengths = acoustic_frames(batch, lengths, config)
    np.testing.assert_array_equal(frame_lengths, [21, 20, 1, 1, 1])
    for i, length in enumerate(lengths):
        expected = single(batch[i, :length], config)
        np.testing.assert_allclose(frames[i, : len(expected)], expected, atol=1e-4)
        np.testing.assert_array_equal(frames[i, len(expected) :], 0)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"sample_rate_hz": -1}, "sample_rate_hz=-1"),
        ({"frame_length_ms": float("nan")}, "frame_length_ms=nan"),
        ({"hop_length_ms": 0.0}, "hop_length_ms=0.0"),
        ({"hop_length_ms": 30.0}, "hop_length_ms=30.0"),
        ({"num_mels": 0}, "num_mels=0"),
        ({"mel_low_hz": 5000.0, "mel_high_hz": 4000.0}, "mel_low_hz=5000.0"),
        ({"sample_rate_hz": 8000, "mel_high_hz": 5000.0}, "mel_high_hz=5000.0"),
        ({"lpc_order": 65}, "lpc_order=65"),
        ({"pitch": True}, "lpc_order=0"),
        ({"magnitude_floor": 0.0}, "magnitude_floor=0.0"),
    ],
)
def test_values_out_of_range_are_named(fields, problem):
    with pytest.raises(SpecError) as error:
        AcousticConfig(**fields)
    assert problem in str(error.value)


def test_frames_need_a_sample_rate():
    with pytest.raises(SpecError, match="sample_rate_hz=0"):
        acoustic_frames(np.zeros([1, 100], np.float32), [100], AcousticConfig())
