"""Resampling against sines, which have a known result, and against soxr."""

import librosa
import numpy as np
import pytest
import tensorflow as tf

from tfspeech.audio import resample as module
from tfspeech.audio.resample import resample, resampled_length

RATES_HZ = [
    (44100, 16000),
    (48000, 16000),
    (22050, 16000),
    (11025, 8000),
    (44100, 8000),
    (8000, 16000),
    (16000, 22050),
    (12345, 8000),
]


def sine(frequency_hz, rate_hz, samples):
    phase = 2 * np.pi * frequency_hz * np.arange(samples) / rate_hz
    return np.sin(phase).astype(np.float32)


def middle(waveform, edge=0.125):
    margin = int(len(waveform) * edge)
    return waveform[margin:-margin]


def snr_db(waveform, expected):
    error = middle(waveform) - middle(expected)
    return 10 * np.log10(np.mean(middle(expected) ** 2) / np.mean(error**2))


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES_HZ)
@pytest.mark.parametrize("fraction", [0.01, 0.4, 0.9])
def test_tones_below_the_nyquist_frequency_are_kept(from_hz, to_hz, fraction):
    frequency_hz = fraction * min(from_hz, to_hz) / 2
    result = resample(sine(frequency_hz, from_hz, from_hz), from_hz, to_hz).numpy()
    assert result.shape == (to_hz,)
    assert snr_db(result, sine(frequency_hz, to_hz, to_hz)) > 80


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [rates for rates in RATES_HZ if rates[0] > rates[1]]
)
@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.95])
def test_tones_above_the_nyquist_frequency_are_removed(from_hz, to_hz, fraction):
    frequency_hz = to_hz / 2 + fraction * (from_hz - to_hz) / 2
    result = resample(sine(frequency_hz, from_hz, from_hz), from_hz, to_hz).numpy()
    assert 10 * np.log10(np.mean(middle(result) ** 2) / 0.5) < -80


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES_HZ)
def test_noise_in_the_pass_band_equals_fourier_and_soxr(from_hz, to_hz):
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(from_hz))
    spectrum[int(0.88 * min(from_hz, to_hz) / 2) :] = 0
    noise = np.fft.irfft(spectrum, from_hz).astype(np.float32)
    result = resample(noise, from_hz, to_hz).numpy()
    # The noise is periodic, so that its Fourier series gives the exact result.
    exact = np.fft.irfft(spectrum[: to_hz // 2 + 1], to_hz) * to_hz / from_hz
    assert snr_db(result, exact) > 90
    soxr = librosa.resample(
        noise, orig_sr=from_hz, target_sr=to_hz, res_type="soxr_vhq"
    )
    assert snr_db(result, soxr) > 70  # soxr itself is 76 dB from exact


def test_equal_rates_change_no_bit():
    noise = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    np.testing.assert_array_equal(resample(noise, 8000, 8000), noise)
    result = resample(noise, tf.constant(8000), tf.constant(8000))
    np.testing.assert_array_equal(result, noise)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 16000), (8000, 11025)])
@pytest.mark.parametrize("samples", [0, 1, 2, 100, 441, 442, 5000])
def test_length_is_the_duration_rounded_up(from_hz, to_hz, samples):
    result = resample(np.ones(samples, np.float32), from_hz, to_hz).numpy()
    assert len(result) == -(-samples * to_hz // from_hz)
    assert len(result) == resampled_length(samples, from_hz, to_hz)
    assert np.isfinite(result).all()


def test_batches_equal_their_clips():
    noise = np.random.default_rng(0).standard_normal((2, 3, 9000)).astype(np.float32)
    result = resample(noise, 22050, 16000).numpy()
    assert result.shape[:2] == (2, 3)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(
            result[index], resample(noise[index], 22050, 16000), atol=1e-5
        )


def test_padding_a_clip_with_silence_only_appends():
    noise = np.random.default_rng(0).standard_normal(9000).astype(np.float32)
    short = resample(noise, 44100, 16000).numpy()
    long = resample(np.pad(noise, (0, 50000)), 44100, 16000).numpy()
    np.testing.assert_allclose(long[: len(short)], short, atol=1e-5)


def test_rates_may_be_known_only_in_the_graph():
    signature = [tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32)]
    to_8000 = tf.function(lambda x, hz: resample(x, hz, 8000), signature)
    for from_hz in (11025, 16000, 44100):
        result = to_8000(sine(440, from_hz, from_hz), from_hz).numpy()
        assert snr_db(result, sine(440, 8000, 8000)) > 80


def test_long_clips_are_continuous_where_the_chunks_meet():
    samples = 3 * module._CHUNK
    result = resample(sine(300, 8000, samples), 8000, 16000).numpy()
    error = result - sine(300, 16000, 2 * samples)
    assert np.abs(middle(error, 0.01)).max() < 1e-4
