"""The band of a telephone: what passes, in whom, and that the seeds decide."""

import numpy as np
import pytest
import tensorflow as tf

from models.layers.random import fold_in
from tfspeech.audio.features import FeatureConfig, frame_energies
from tfspeech.audio.telephone import band_centers_hz, limit_band

HZ = np.array([0.0, 100.0, 800.0, 1200.0, 6000.0])


def seeds(count, seed=0):
    return fold_in(tf.range(count, dtype=tf.int64), seed)


def losses_db(count, share, seed=0):
    """Losses of some utterances of 3 frames, [count, bands]."""
    energies = tf.fill([count, 3, len(HZ)], 2.0)
    limited = limit_band(energies, seeds(count, seed), share, HZ).numpy()
    np.testing.assert_array_equal(limited[:, 0], limited[:, 2])
    return 10 * np.log10(2.0 / limited[:, 0])


def test_speech_passes_and_what_is_below_and_above_does_not():
    lost = losses_db(500, 1.0)
    assert np.all(np.isfinite(lost))
    # The mildest and the strongest of the filters, by hand.
    assert 10 * np.log10(1 + 1.5**4) <= lost[:, 1].min() < 9
    assert 68 < lost[:, 1].max() <= 10 * np.log10(1 + 4.0**12)
    assert lost[:, 2:4].max() < 0.5
    assert 10 * np.log10(1 + 1.5**4) <= lost[:, 4].min() < 9
    assert lost[:, 0].min() > lost[:, 1].max()


def test_only_the_share_that_was_asked_for_is_limited():
    touched = losses_db(2000, 0.3)[:, 1] != 0.0
    assert touched.mean() == pytest.approx(0.3, abs=0.04)
    np.testing.assert_array_equal(losses_db(2000, 0.3)[~touched], 0.0)
    np.testing.assert_array_equal(losses_db(50, 0.0), 0.0)


def test_the_seed_of_an_utterance_decides_alone():
    lost = losses_db(20, 1.0)
    np.testing.assert_array_equal(lost, losses_db(20, 1.0))
    np.testing.assert_allclose(losses_db(1, 1.0)[0], lost[0], rtol=1e-5)
    assert len(np.unique(lost[:, 1].round(3))) == 20
    assert not np.allclose(lost, losses_db(20, 1.0, seed=1), rtol=1e-2)


@pytest.mark.parametrize("features", ["mfcc", "spectrogram"])
def test_a_tone_is_loudest_in_the_band_with_its_center(features):
    config = FeatureConfig(sample_rate_hz=8000, features=features, preemphasis=0.0)
    centers_hz = band_centers_hz(config)
    time = np.arange(4000) / 8000
    for band in range(2, len(centers_hz) - 2, 5):
        tone = np.sin(2 * np.pi * centers_hz[band] * time).astype(np.float32)
        energies, _ = frame_energies(tone[None], np.array([4000]), config)
        assert np.argmax(energies[0, 20]) == band
