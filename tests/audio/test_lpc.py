"""Linear prediction: parameters, filters and back."""

import numpy as np
import pytest

from tfspeech.audio.lpc import (
    lpc_coefficients,
    lpc_parameters,
    lpc_response,
    pitch_adaptive_power,
    warped,
)

FFT_LENGTH = 1024


def parameters(count=5, order=12, seed=0):
    rng = np.random.default_rng(seed)
    ratios = rng.uniform(-1.0, 1.0, (count, order))
    log_gain = rng.uniform(-6, -1, (count, 1))
    return np.concatenate([ratios, log_gain], axis=1).astype(np.float32)


def test_parameters_of_an_all_pole_spectrum_are_those_it_was_made_of():
    wanted = parameters()
    power = np.abs(lpc_response(wanted, FFT_LENGTH)) ** 2
    found = lpc_parameters(power, 12).numpy()
    np.testing.assert_allclose(found, wanted, atol=0.01)


def test_a_higher_order_fits_a_spectrum_better():
    power = np.random.default_rng(0).gamma(2.0, 1.0, (4, FFT_LENGTH // 2 + 1))
    power = power.astype(np.float32)
    gains = [lpc_parameters(power, order)[:, -1] for order in (4, 12, 24)]
    assert np.all(np.diff(gains, axis=0) < 0)


def test_any_ratios_give_a_stable_filter():
    ratios = np.random.default_rng(0).uniform(-4, 4, (20, 16)).astype(np.float32)
    for coefficients in lpc_coefficients(ratios[:, :4]).numpy():
        assert np.abs(np.roots(coefficients)).max() < 1
    assert np.isfinite(lpc_coefficients(ratios)).all()


def test_one_pole_by_hand():
    # k = 0.5 on the warped axis; then the pre-emphasis is undone.
    ratio, log_gain = np.log(1.5 / 0.5), np.log(0.1)
    response = lpc_response(np.float32([[ratio, log_gain]]), 8).numpy()
    delay = np.exp(-1j * np.pi * np.arange(5) / 4)
    all_pass = (delay - 0.45) / (1 - 0.45 * delay)
    expected = 0.1 / ((1 + 0.5 * all_pass) * (1 - 0.5 * all_pass))
    np.testing.assert_allclose(response[0], expected, rtol=1e-5)


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
