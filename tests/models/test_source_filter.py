"""The source-filter vocoder: what its filters do to pulses and noise."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import signal

from models import SourceFilter, SourceFilterConfig
from models.layers.cepstral_filter import cepstral_response, filter_frames

HOP = 40


def small():
    keras.utils.set_random_seed(0)
    config = SourceFilterConfig(channels=8, layers=2, pulse_cepstra=6, noise_cepstra=3)
    return SourceFilter(config, 5, HOP)


def inputs(frames=20, seed=0, size=2):
    rng = np.random.default_rng(seed)
    return {
        "frames": rng.normal(size=(size, frames, 5)).astype("f4"),
        "frame_lengths": np.array([frames, frames - 6], np.int32)[:size],
        "pulses": rng.normal(size=(size, frames, HOP)).astype("f4"),
        "noise": rng.normal(size=(size, frames, HOP)).astype("f4"),
    }


def test_filters_of_gain_alone_return_the_signals_times_it():
    model, given = small(), inputs()
    for layer, gain in ((model.pulse_filter, 0.5), (model.noise_filter, 0.25)):
        layer.kernel.assign(tf.zeros_like(layer.kernel))
        bias = np.zeros(layer.bias.shape)
        bias[0] = (np.log(gain) + 4.0) / 0.3
        layer.bias.assign(bias)
    waveform = model(given)["waveform"].numpy()
    for row, length in enumerate(given["frame_lengths"]):
        wanted = 0.5 * given["pulses"][row] + 0.25 * given["noise"][row]
        np.testing.assert_allclose(
            waveform[row, : length - 1], wanted[: length - 1], atol=1e-5
        )
        assert not waveform[row, length - 1 :].any()


def test_a_filter_has_minimum_phase():
    """Its response is the one of `scipy` with the same magnitudes, and is causal."""
    cepstrum = tf.constant([[[0.4, -0.2, 0.1]]])
    response = cepstral_response(cepstrum, tf.constant([[[0.3]]]), 512)[0, 0].numpy()
    impulse = np.fft.irfft(response)
    assert np.abs(impulse[256:]).max() < 1e-5 * np.abs(impulse).max()
    magnitudes = np.abs(response)
    linear = np.roll(np.fft.irfft(magnitudes**2), 255)[:511]
    minimum = signal.minimum_phase(linear, n_fft=8192)
    np.testing.assert_allclose(impulse[:40], minimum[:40], atol=2e-3)


def test_filters_fade_into_one_another_between_frames():
    gains = tf.constant([[[0.0], [1.0], [3.0]]])
    responses = tf.cast(tf.tile(gains, [1, 1, 33]), tf.complex64)
    ones = tf.ones([1, 24])
    waveform = filter_frames([(ones, responses)], 8, 64)[0].numpy()
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(8) / 8)
    np.testing.assert_allclose(waveform[:8], rise, atol=1e-6)
    np.testing.assert_allclose(waveform[8:16], 1 + 2 * rise, atol=1e-6)


@pytest.mark.parametrize("name", ["pulses", "noise"])
def test_what_is_behind_the_last_frame_changes_nothing(name):
    model, given = small(), inputs()
    wanted = model(given)["waveform"].numpy()
    given[name][0, 19:] = given[name][1, 13:] = np.nan
    given["frames"][1, 14:] = np.nan
    np.testing.assert_array_equal(model(given)["waveform"], wanted)


def test_it_looks_ahead_by_no_more_than_its_convolutions_do():
    model, given = small(), inputs(frames=40, size=1)
    wanted = model(given)["waveform"].numpy()
    given["frames"][0, 30:] += 1.0
    found = model(given)["waveform"].numpy()
    # Two convolutions over three frames see two ahead; filters fade over one more.
    np.testing.assert_array_equal(found[0, :27], wanted[0, :27])
    assert np.abs(found - wanted)[0, 27].max() > 0


def test_half_precision_keeps_the_precision_of_the_signals():
    full, given = small(), inputs()
    keras.utils.set_random_seed(0)
    half = SourceFilter(full.config, 5, HOP, dtype="mixed_bfloat16")
    for layer in (*(m.pulse_filter for m in (full, half)), half.noise_filter):
        layer.kernel.assign(tf.zeros_like(layer.kernel))
    full.noise_filter.kernel.assign(tf.zeros_like(full.noise_filter.kernel))
    wanted, found = (m(given)["waveform"].numpy() for m in (full, half))
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
