"""Linear prediction: parameters, filters and back."""

import numpy as np
import pytest

from tfspeech.audio.lpc import (
    lpc_parameters,
    lpc_response,
    pitch_adaptive_power,
    warped,
)

FFT_LENGTH = 1024


def parameters(count=5, order=12, seed=0):
    rng = np.random.default_rng(seed)
    cepstrum = rng.uniform(-1.0, 1.0, (count, order)) / np.arange(1, order + 1)
    log_gain = rng.uniform(-6, -1, (count, 1))
    return np.concatenate([cepstrum, log_gain], axis=1).astype(np.float32)


@pytest.mark.parametrize("order", [3, 12])
def test_parameters_of_an_all_pole_spectrum_are_its_cepstrum_and_gain(order):
    # All-pole when it is compressed: three times the poles 0.7 exp(+-j).
    z = np.exp(1j * warped(FFT_LENGTH // 2 + 1))
    pair = np.abs(1 - 0.7 * np.exp(1j) / z) * np.abs(1 - 0.7 * np.exp(-1j) / z)
    power = np.square(0.1 / pair**3).astype(np.float32)
    found = lpc_parameters(power[np.newaxis], order)[0].numpy()
    n = np.arange(1, order + 1)
    cepstrum = 3 * 2 * 0.7**n * np.cos(n) / n
    np.testing.assert_allclose(found[:-1], cepstrum, atol=1e-3)
    assert found[-1] == pytest.approx(np.log(0.1), abs=1e-3)


def test_a_higher_order_fits_a_spectrum_better():
    power = np.random.default_rng(0).gamma(2.0, 1.0, (4, FFT_LENGTH // 2 + 1))
    power = power.astype(np.float32)
    gains = [lpc_parameters(power, order)[:, -1] for order in (4, 12, 24)]
    assert np.all(np.diff(gains, axis=0) < 0)


def test_any_parameters_give_a_filter_that_is_causal_and_dies_away():
    impulse = np.fft.irfft(lpc_response(parameters(), FFT_LENGTH))
    half = FFT_LENGTH // 2
    assert np.abs(impulse[:, half:]).max() < 1e-5 * np.abs(impulse).max()


def test_a_mean_of_parameters_is_a_mean_of_log_spectra():
    logs = np.log(np.abs(lpc_response(parameters(), FFT_LENGTH)))
    mean = parameters().mean(axis=0, keepdims=True)
    found = np.log(np.abs(lpc_response(mean, FFT_LENGTH)))[0]
    np.testing.assert_allclose(found, logs.mean(axis=0), atol=1e-4)


def test_one_pole_by_hand():
    # 0.1 / (1 - 0.5 / z), where z is the delay by the all-pass filter.
    n = np.arange(1, 25)
    parameters = np.append(0.5**n / n, np.log(0.1)).astype(np.float32)
    response = lpc_response(parameters[np.newaxis], 8).numpy()
    delay = np.exp(-1j * np.pi * np.arange(5) / 4)
    all_pass = (delay - 0.45) / (1 - 0.45 * delay)
    np.testing.assert_allclose(response[0], 0.1 / (1 - 0.5 * all_pass), rtol=1e-5)


def test_low_frequencies_get_more_of_the_warped_axis():
    angle = warped(9)
    assert angle[0] == 0
    assert angle[-1] == pytest.approx(np.pi)
    assert np.all(np.diff(angle, 2) < 0)


def test_steep_spectra_give_stable_filters():
    # Recordings that were once compressed have next to nothing in the upper octave.
    power = np.full((1, FFT_LENGTH // 2 + 1), 1e-9, np.float32)
    power[0, :250] = np.logspace(2, -3, 250)
    found = lpc_parameters(power, 40).numpy()
    assert np.abs(found).max() < 15
    assert np.isfinite(lpc_response(found, FFT_LENGTH)).all()


def test_power_of_white_noise_is_1_at_any_pitch():
    noise = np.random.default_rng(0).standard_normal((1, 64000)).astype(np.float32)
    for pitch_hz in (0.0, 70.0, 200.0, 480.0):
        pitches = np.full((1, 321), pitch_hz, np.float32)
        power = pitch_adaptive_power(noise, [64000], pitches, 200, 16000)[0, 5:-5]
        assert np.mean(power) == pytest.approx(1, rel=0.02)
        assert np.min(power) >= 0


@pytest.mark.parametrize("pitch_hz", [80.0, 110.0, 200.0, 400.0])
def test_neither_harmonics_nor_periods_show_in_the_power(pitch_hz):
    time = np.arange(32000) / 16000
    count = int(8000 / pitch_hz)
    turns = pitch_hz * np.arange(1, count + 1)[:, None] * time
    pulses = np.cos(2 * np.pi * turns).sum(axis=0)[np.newaxis] / np.sqrt(count / 2)
    pitches = np.full((1, 161), pitch_hz, np.float32)
    power = pitch_adaptive_power(pulses.astype("f4"), [32000], pitches, 200, 16000)
    inside_db = 10 * np.log10(power[0, 8:-8, 64:-64])
    assert np.abs(inside_db).max() < 3


@pytest.mark.parametrize("level", [0.0, 1e-12, 1e12])
def test_extreme_levels_stay_finite(level):
    power = np.full((1, 3, FFT_LENGTH // 2 + 1), level, np.float32)
    found = lpc_parameters(power, 24)
    assert found.shape == (1, 3, 25)
    assert np.isfinite(found).all()


def test_a_single_tone_stays_finite():
    power = np.zeros((1, FFT_LENGTH // 2 + 1), np.float32)
    power[0, 30] = 100.0
    found = lpc_parameters(power, 24)
    assert np.isfinite(found).all()
    peak = np.abs(lpc_response(found, FFT_LENGTH)).argmax()
    assert abs(peak - 30) <= 2
