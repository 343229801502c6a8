"""Correction of synthetic speech towards the log-mels that it was to have."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, log_mel
from tfspeech.audio.features import mel_filters
from tfspeech.audio.overlap import OverlappingFrames

# Natural logarithm of the most that a bin is amplified or damped by, 26 dB: what is
# between harmonics is not to become as loud as these.
_MOST = 3.0


def correct_mels(
    waveforms: tf.Tensor,
    log_mels: tf.Tensor,
    frame_lengths: tf.Tensor,
    config: AcousticConfig,
    times: int,
) -> tf.Tensor:
    """Brings the log-mels of waveforms nearer to those that are wanted.

    The bins of the STFT are scaled by the quotients of wanted and found mel magnitudes,
    interpolated between the centres of the filters. Phases stay as they are, as in an
    iteration of D. Griffin and J. Lim, "Signal Estimation from Modified Short-Time
    Fourier Transform", 1984, and so does the fine structure within a mel filter.

    Args:
        waveforms: float32 [batch, frames x hop_length], from the centre of the first
            frame on, 0 from that of the last one on.
        log_mels: float32 [batch, frames, num_mels].
        frame_lengths: int32 [batch], the valid frames.
        config: The frames.
        times: How many times this is done.

    Returns:
        As `waveforms`, but not 0 behind the last frame.
    """
    overlapping = OverlappingFrames(frame_lengths, tf.shape(log_mels)[1], config)
    filters = mel_filters(config.spectrogram)
    weights = filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-12)
    samples = tf.shape(waveforms)[1]
    before = config.frame_length // 2
    behind = config.frame_length - before - config.hop_length
    waveforms = tf.pad(waveforms, [[0, 0], [before, behind]])
    for _ in range(times):
        real, imag = overlapping.spectra(waveforms)
        magnitudes = tf.sqrt(tf.square(real) + tf.square(imag))
        difference = log_mels - log_mel(magnitudes, config)
        difference = tf.clip_by_value(difference, -_MOST, _MOST)
        gains = tf.exp(tf.matmul(difference, weights.T))
        gains = tf.where(overlapping.valid, gains, 0.0)
        waveforms = overlapping.waveforms(gains * real, gains * imag)
    return waveforms[:, before : before + samples]


def correction_reach(config: AcousticConfig) -> int:
    """Hops on each side of its own that a sample depends on, once corrected."""
    half = -(-(config.frame_length // 2) // config.hop_length)
    return 2 * half - 1
