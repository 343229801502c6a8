"""Distances of a waveform from a recording, whatever the phases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, log_mel
from tfspeech.audio.pitch import HIGHEST_HZ, LOWEST_HZ

# Added to powers of the STFT. Around 0, logarithms and roots have no gradient that
# helps; the noise of a quiet room is a hundred times as strong.
_POWER_FLOOR = 1e-6
_OVERLAP = 4
# Added to the aperiodic share of the power of a frame, below which no ear hears it.
_APERIODIC_FLOOR = 0.05
# The harmonics above are blurred in a frame where the pitch glides.
_PERIODIC_BELOW_HZ = 2000.0


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
            _magnitudes(signals, length, step, length)
            for signals in (waveforms, recordings)
        )
        places = step * tf.range(tf.shape(ours)[1])
        inside = places <= lengths[:, tf.newaxis]
        inside = tf.cast(inside, tf.float32)[:, :, tf.newaxis]
        share = step / (1 + length // 2) / len(fft_lengths)
        linear.append(share * tf.reduce_sum(inside * tf.abs(ours - theirs)))
        ratio = tf.math.log(ours) - tf.math.log(theirs)
        logarithmic.append(share * tf.reduce_sum(inside * tf.abs(ratio)))
    return {"magnitude": tf.add_n(linear), "log_magnitude": tf.add_n(logarithmic)}


def mel_loss(
    waveforms: tf.Tensor,
    recordings: tf.Tensor,
    frame_lengths: tf.Tensor,
    features: AcousticConfig,
) -> tf.Tensor:
    """Sums the differences of log-mel magnitudes over frames and batch.

    J. Kong, J. Kim, J. Bae, "HiFi-GAN", 2020, section 2.3.

    Args:
        waveforms: float32 [batch, samples], from the centre of the first frame on.
        recordings: Likewise.
        frame_lengths: int32 [batch].
        features: The frames.

    Returns:
        The absolute differences, means over the mel filters, a float32 scalar.
    """
    settings = features.spectrogram
    ours, theirs = (
        log_mel(
            _magnitudes(
                *(signals, settings.frame_length, settings.hop_length),
                settings.fft_length,
            ),
            features,
        )
        for signals in (waveforms, recordings)
    )
    distances = tf.reduce_mean(tf.abs(ours - theirs), axis=2)
    return _sum_of_frames(distances, frame_lengths)


def periodicity_loss(
    waveforms: tf.Tensor,
    recordings: tf.Tensor,
    log_pitch: tf.Tensor,
    frame_lengths: tf.Tensor,
    features: AcousticConfig,
) -> tf.Tensor:
    """Sums how much frames differ in the share of their power that is not periodic.

    That is 1 - r, where r is the autocorrelation at the period over that at 0, each
    divided by the autocorrelation of the window (P. Boersma, 1993; see
    `tfspeech.audio.pitch`), of what is below 2 kHz; compared are ln(1 - r + 0.05).

    Args:
        waveforms: float32 [batch, samples], from the centre of the first frame on.
        recordings: Likewise.
        log_pitch: ln of the pitch of the frames in Hz, float32 [batch, frames].
        frame_lengths: int32 [batch].
        features: The frames.

    Returns:
        The absolute differences, a float32 scalar.
    """
    pitch_hz = tf.clip_by_value(tf.exp(log_pitch), LOWEST_HZ, HIGHEST_HZ)
    lags = features.sample_rate_hz / pitch_hz
    ours, theirs = (
        tf.math.log(_aperiodicity(signals, lags, features) + _APERIODIC_FLOOR)
        for signals in (waveforms, recordings)
    )
    return _sum_of_frames(tf.abs(ours - theirs), frame_lengths)


def _aperiodicity(
    signals: tf.Tensor, lags: tf.Tensor, features: AcousticConfig
) -> tf.Tensor:
    """The share of the power below 2 kHz that does not repeat itself after a lag.

    Args:
        signals: float32 [batch, samples].
        lags: In samples, not necessarily whole ones, float32 [batch, frames].
        features: The frames.

    Returns:
        float32 [batch, frames], about 1 in noise and in silence, not below 0.
    """
    length, hop_length = features.frame_length, features.hop_length
    # Long enough for what is correlated not to meet its own beginning.
    fft_length = 1 << (2 * length - 1).bit_length()
    bins = 1 + int(_PERIODIC_BELOW_HZ * fft_length / features.sample_rate_hz)
    power = _power(signals, length, hop_length, fft_length)
    power = power[:, : tf.shape(lags)[1], :bins]
    # The transform of a power spectrum is an autocorrelation, here at one lag.
    angles = 2 * np.pi / fft_length * np.arange(bins, dtype=np.float32)
    cosines = tf.cos(lags[:, :, tf.newaxis] * angles)
    window = np.abs(np.fft.rfft(np.hanning(length + 1)[:-1], fft_length)) ** 2
    window[0] /= 2  # The other bins stand for negative frequencies, too.
    own = tf.tensordot(cosines, (window[:bins] / window.sum()).astype(np.float32), 1)
    periodic = tf.reduce_sum(power * cosines, axis=2) / own
    return tf.nn.relu(1.0 - periodic / (tf.reduce_sum(power, axis=2) + _POWER_FLOOR))


def _sum_of_frames(values: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Sums values [batch, frames] over the valid frames."""
    return tf.reduce_sum(
        tf.where(tf.sequence_mask(lengths, tf.shape(values)[1]), values, 0.0)
    )


def _magnitudes(
    signals: tf.Tensor, length: int, step: int, fft_length: int
) -> tf.Tensor:
    """Magnitudes as of `_power`, none of them 0."""
    return tf.sqrt(_power(signals, length, step, fft_length) + _POWER_FLOOR)


def _power(signals: tf.Tensor, length: int, step: int, fft_length: int) -> tf.Tensor:
    """Power under Hann windows around the first sample and every step from there."""
    before = length // 2
    padded = tf.pad(signals, [[0, 0], [before, length - before]])
    spectra = tf.signal.stft(padded, length, step, fft_length)
    return tf.square(tf.math.real(spectra)) + tf.square(tf.math.imag(spectra))
