"""Linear prediction: parameters, filters and back."""

import numpy as np
import pytest

from tfspeech.audio.features import FeatureConfig
from tfspeech.audio.lpc import lpc_coefficients, lpc_parameters, lpc_response

CONFIG = FeatureConfig(sample_rate_hz=16000, frame_length_ms=46)
FFT_LENGTH = CONFIG.fft_length


def parameters(count=5, order=12, seed=0):
    rng = np.random.default_rng(seed)
    ratios = rng.uniform(-1.0, 1.0, (count, order))
    log_gain = rng.uniform(-6, -1, (count, 1))
    return np.concatenate([ratios, log_gain], axis=1).astype(np.float32)


def test_parameters_of_an_all_pole_spectrum_are_those_it_was_made_of():
    wanted = parameters()
    response = lpc_response(wanted, FFT_LENGTH).numpy()
    # Noise of mean square 1 has the energy of the window in every bin.
    power = np.abs(response) ** 2 * CONFIG.frame_length * 3 / 8
    found = lpc_parameters(power.astype(np.float32), 12, CONFIG).numpy()
    np.testing.assert_allclose(found, wanted, atol=0.05)


def test_a_higher_order_fits_a_spectrum_better():
    power = np.random.default_rng(0).gamma(2.0, 1.0, (4, FFT_LENGTH // 2 + 1))
    power = power.astype(np.float32)
    gains = [lpc_parameters(power, order, CONFIG)[:, -1] for order in (4, 12, 24)]
    assert np.all(np.diff(gains, axis=0) < 0)


def test_any_ratios_give_a_stable_filter():
    ratios = np.random.default_rng(0).uniform(-4, 4, (20, 16)).astype(np.float32)
    for coefficients in lpc_coefficients(ratios[:, :4]).numpy():
        assert np.abs(np.roots(coefficients)).max() < 1
    assert np.isfinite(lpc_coefficients(ratios)).all()


def test_one_pole_by_hand():
    # k = 0.5: y[t] = g x[t] - 0.5 y[t-1]; then the pre-emphasis is undone.
    ratio, log_gain = np.log(1.5 / 0.5), np.log(0.1)
    response = lpc_response(np.float32([ratio, log_gain]), 8).numpy()
    delay = np.exp(-2j * np.pi * np.arange(5) / 8)
    expected = 0.1 / ((1 + 0.5 * delay) * (1 - 0.97 * delay))
    np.testing.assert_allclose(response, expected, rtol=1e-5)


@pytest.mark.parametrize("level", [0.0, 1e-12, 1e12])
def test_extreme_levels_stay_finite(level):
    power = np.full((1, 3, FFT_LENGTH // 2 + 1), level, np.float32)
    found = lpc_parameters(power, 24, CONFIG)
    assert found.shape == (1, 3, 25)
    assert np.isfinite(found).all()


def test_a_single_tone_stays_finite():
    power = np.zeros((1, FFT_LENGTH // 2 + 1), np.float32)
    power[0, 30] = 100.0
    found = lpc_parameters(power, 24, CONFIG)
    assert np.isfinite(found).all()
    peak = np.abs(lpc_response(found, FFT_LENGTH)).argmax()
    assert abs(peak - 30) <= 2
