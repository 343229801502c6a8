"""How far a waveform is from a recording, whatever the phases."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

# Added to powers of the STFT. Around 0, logarithms and roots have no gradient that
# helps; the noise of a quiet room is a hundred times as strong.
_POWER_FLOOR = 1e-6
_OVERLAP = 4


def stft_losses(
    waveforms: tf.Tensor,
    recordings: tf.Tensor,
    lengths: tf.Tensor,
    fft_lengths: Sequence[int],
) -> dict[str, tf.Tensor]:
    """Sums the differences of magnitudes in the STFT, at several resolutions.

    The multi-scale spectral loss of J. Engel et al., "DDSP: Differentiable Digital
    Signal Processing", 2020, section 4.2, with windows that overlap by three quarters.

    Args:
        waveforms: float32 [batch, samples].
        recordings: Likewise.
        lengths: int32 [batch]; windows whose middle is beyond them do not count, and
            samples beyond them are 0 in both.
        fft_lengths: Samples of the Hann windows.

    Returns:
        `magnitude` and `log_magnitude`, the absolute differences of magnitudes and of
        their natural logarithms, means over frequencies and resolutions, sums over
        samples and batch: float32 scalars.
    """
    linear, logarithmic = [], []
    for length in fft_lengths:
        step = length // _OVERLAP
        ours, theirs = (
            _magnitudes(signals, length, step) for signals in (waveforms, recordings)
        )
        places = step * tf.range(tf.shape(ours)[1])
        inside = places <= lengths[:, tf.newaxis]
        inside = tf.cast(inside, tf.float32)[:, :, tf.newaxis]
        share = step / (1 + length // 2) / len(fft_lengths)
        linear.append(share * tf.reduce_sum(inside * tf.abs(ours - theirs)))
        ratio = tf.math.log(ours) - tf.math.log(theirs)
        logarithmic.append(share * tf.reduce_sum(inside * tf.abs(ratio)))
    return {"magnitude": tf.add_n(linear), "log_magnitude": tf.add_n(logarithmic)}


def _magnitudes(signals: tf.Tensor, length: int, step: int) -> tf.Tensor:
    """Magnitudes of windows around every sample, none of them 0."""
    around = [length // 2, length // 2]
    spectra = tf.signal.stft(tf.pad(signals, [[0, 0], around]), length, step, length)
    power = tf.square(tf.math.real(spectra)) + tf.square(tf.math.imag(spectra))
    return tf.sqrt(power + _POWER_FLOOR)
