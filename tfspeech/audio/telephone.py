"""The band of a telephone, as augmentation of the energies of frames."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.layers.random import uniform
from tfspeech.audio.features import FeatureConfig, mel_filters

# Of the edges, in Hz, and of the order.
_LOWEST, _HIGHEST = (150.0, 3000.0, 2.0), (400.0, 4000.0, 6.0)


def limit_band(
    energies: tf.Tensor, seeds: tf.Tensor, share: float, centers_hz: np.ndarray
) -> tf.Tensor:
    """Sends a share of the utterances through a band-pass filter like a telephone's.

    Energies at the frequency f are divided by (1 + (l / f)^2n) (1 + (f / h)^2n), the
    response of two Butterworth filters: l is drawn from 150 to 400 Hz, h from 3 to
    4 kHz, n from 2 to 6. A telephone passes 300 to 3400 Hz (ITU-T G.712).

    Args:
        energies: float32 [batch, frames, bands], linear in power.
        seeds: int64 [batch].
        share: Of the utterances, in [0, 1].
        centers_hz: Of the bands, [bands]; see `band_centers_hz`.

    Returns:
        float32 [batch, frames, bands].
    """
    if not share:
        return energies
    draws = uniform(seeds, [4], "telephone")
    is_limited = draws[:, :1] < share
    low, high = np.array(_LOWEST, np.float32), np.array(_HIGHEST, np.float32)
    low_hz, high_hz, order = tf.split(low + (high - low) * draws[:, 1:], 3, axis=1)
    # At 0 Hz the loss would be infinite.
    centers_hz = np.maximum(centers_hz, 1.0).astype(np.float32)
    loss = 1.0 + tf.pow(low_hz / centers_hz, 2.0 * order)
    loss *= 1.0 + tf.pow(centers_hz / high_hz, 2.0 * order)
    return energies / tf.where(is_limited, loss, 1.0)[:, tf.newaxis]


def band_centers_hz(config: FeatureConfig) -> np.ndarray:
    """Returns the mean frequency of every band of `frame_energies`, [bands]."""
    bins = config.fft_length // 2 + 1
    frequencies = np.linspace(0.0, config.sample_rate_hz / 2, bins)
    if config.features == "spectrogram":
        return frequencies
    filters = mel_filters(config)
    return frequencies @ filters / filters.sum(axis=0)
