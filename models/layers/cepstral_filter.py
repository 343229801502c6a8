"""Filters that change from frame to frame, given by the cepstra of their spectra.

The frequencies are warped as hearing does it, by an all-pass filter: H. Strube, "Linear
prediction on a warped frequency scale", 1980. The delay of a sample, exp(-jw), becomes
exp(-jv) with v = w + 2 atan(a sin w / (1 - a cos w)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# The a of the warping, near the mel scale at 16 to 24 kHz. Without it linear prediction
# of order 24 distorts by 0.6 dB more, low voices by 2 dB; 0.45 and 0.55 are alike.
_WARPING = 0.45


def warped(bins: int) -> np.ndarray:
    """Returns the warped angle of each bin from 0 to pi, in radians, [bins]."""
    angle = np.linspace(0, np.pi, bins)
    return angle + 2 * np.arctan2(
        _WARPING * np.sin(angle), 1 - _WARPING * np.cos(angle)
    )


def cepstral_response(
    cepstrum: tf.Tensor, log_gain: tf.Tensor, fft_length: int
) -> tf.Tensor:
    """Returns the responses of minimum-phase filters, which are stable and causal.

    That is exp(log gain + sum of c[n] exp(-jnv)), at the warped angles v.

    Args:
        cepstrum: c[1] and so on, float32 [..., order].
        log_gain: Natural logarithms, float32 [..., 1].
        fft_length: Samples of the FFT whose bins are wanted.

    Returns:
        complex64 [..., fft_length // 2 + 1].
    """
    n = np.arange(1, cepstrum.shape[-1] + 1)
    angles = n[:, None] * warped(fft_length // 2 + 1)
    level = tf.exp(log_gain + tf.matmul(cepstrum, np.cos(angles).astype(np.float32)))
    phase = -tf.matmul(cepstrum, np.sin(angles).astype(np.float32))
    return tf.complex(level * tf.cos(phase), level * tf.sin(phase))


def filter_frames(
    sources: Sequence[tuple[tf.Tensor, tf.Tensor]], hop_length: int, fft_length: int
) -> tf.Tensor:
    """Filters signals, each by its own responses, and adds them up.

    The filter of a frame acts on the samples around the frame's centre, under a Hann
    window of two hops, so that filters fade into one another. What a filter adds later
    than `fft_length` samples after the start of the window comes too early.

    Args:
        sources: Signals, float32 [batch or 1, frames x hop_length], from the centre of
            the first frame on, each with its responses, complex64 [batch, frames,
            fft_length // 2 + 1].
        hop_length: Samples from one frame to the next.
        fft_length: Samples of the FFT, more than two hops.

    Returns:
        float32 [batch, samples], at least frames x hop_length of them.
    """
    window = tf.signal.hann_window(2 * hop_length)
    spectra = []
    for signal, responses in sources:
        padded = tf.pad(signal, [[0, 0], [hop_length, 0]])
        pieces = tf.signal.frame(padded, 2 * hop_length, hop_length) * window
        spectra.append(tf.signal.rfft(pieces, [fft_length]) * responses)
    pieces = tf.signal.irfft(tf.add_n(spectra), [fft_length])
    return tf.signal.overlap_and_add(pieces, hop_length)[:, hop_length:]
