"""Linear prediction: spectra as an all-pole filter and a gain, in TensorFlow's ops.

J. Makhoul, "Linear Prediction: A Tutorial Review", 1975. The frequencies are warped as
hearing does it; see `models.layers.cepstral_filter`.

The parameters are the cepstrum of the filter, as in B. Atal, "Effectiveness of linear
prediction characteristics of the speech wave for automatic speaker identification and
verification", 1974. Any values give a stable filter, and since they are linear in the
log spectrum, a mean of parameters is a mean of spectra in dB: a model can predict them.
(Averaged over five frames, log-area ratios lose 1.5 dB, these 0.9 dB.)
"""

from __future__ import annotations

import functools
import math

import numpy as np
import tensorflow as tf

from models.layers.cepstral_filter import cepstral_response, warped
from tfspeech.audio.pitch import LOWEST_HZ

# The cepstrum is found by an FFT of so many points.
_CEPSTRUM_POINTS = 1024
# Poles are fitted to this power of the power spectrum, the law of hearing in H.
# Hermansky, "Perceptual linear predictive (PLP) analysis of speech", 1990. They follow
# its valleys, too, and not only the peaks: order 24 gains 0.4 dB.
_COMPRESSION = 1 / 3
# Share of white noise that is added, and mean square of digital silence.
_NOISE_SHARE, _POWER_FLOOR = 1e-5, 1e-10
# Frames hold so many periods, and spectra are smoothed over this share of the pitch,
# which is 100 Hz where there is none.
_PERIODS, _SMOOTHING, _UNVOICED_HZ = 2.5, 2 / 3, 100.0


def pitch_adaptive_power(
    waveforms: tf.Tensor,
    lengths: tf.Tensor,
    pitch_hz: tf.Tensor,
    hop_length: int,
    sample_rate_hz: int,
) -> tf.Tensor:
    """Computes power spectra in which neither harmonics nor single periods show much.

    The Hann window of a frame spans 2.5 periods, and its spectrum is averaged over two
    thirds of the pitch around each frequency. After M. Morise, "CheapTrick, a spectral
    envelope estimator for high-quality speech synthesis", 2015, who takes 3 periods.

    Args:
        waveforms: float32 [batch, samples].
        lengths: int32 [batch], the valid samples of each; what is beyond them, whatever
            it is, changes nothing.
        pitch_hz: As of `track_pitch`, float32 [batch, 1 + samples // hop_length].
        hop_length: Samples from one frame to the next; frame t is centred on sample
            t x hop_length.
        sample_rate_hz: The rate of the waveforms.

    Returns:
        float32 [batch, frames, bins], 1 for white noise of mean square 1.
    """
    longest = math.ceil(_PERIODS * sample_rate_hz / LOWEST_HZ)
    middle = longest // 2
    waveforms = tf.where(
        tf.sequence_mask(lengths, tf.shape(waveforms)[1]), waveforms, 0.0
    )
    padded = tf.pad(waveforms, [[0, 0], [middle, longest - middle]])
    pieces = tf.signal.frame(padded, longest, hop_length)
    pitch_hz = tf.where(pitch_hz > 0, pitch_hz, _UNVOICED_HZ)[:, :, tf.newaxis]
    place = tf.range(-middle, longest - middle, dtype=tf.float32)
    turns = place / sample_rate_hz * pitch_hz / _PERIODS
    window = tf.where(tf.abs(turns) < 0.5, 0.5 + 0.5 * tf.cos(2 * np.pi * turns), 0.0)
    fft_length = 1 << (longest - 1).bit_length()
    spectrum = tf.signal.rfft(pieces * window, [fft_length])
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    power /= tf.reduce_sum(tf.square(window), axis=2, keepdims=True)
    # An average over frequencies is a factor for the autocorrelation.
    lag = np.minimum(np.arange(fft_length), fft_length - np.arange(fft_length))
    angle = tf.constant(np.pi * _SMOOTHING * lag / sample_rate_hz, tf.float32)
    correlation = tf.signal.irfft(tf.cast(power, tf.complex64), [fft_length])
    correlation *= _sinc(angle * pitch_hz)
    return tf.maximum(tf.math.real(tf.signal.rfft(correlation, [fft_length])), 0.0)


def lpc_parameters(power: tf.Tensor, order: int) -> tf.Tensor:
    """Fits an all-pole filter to each spectrum, by the autocorrelation method.

    Args:
        power: Power spectra, float32 [..., bins], 1 for white noise of mean square 1.
        order: Poles.

    Returns:
        float32 [..., order + 1]: the cepstrum c[1] ... c[order], and the natural
        logarithm of the gain, which is the root mean square of the excitation.
    """
    compressed = tf.pow(power + _POWER_FLOOR, _COMPRESSION)
    correlation = tf.matmul(compressed, _lag_matrix(order, power.shape[-1]))
    # Steep spectra are more than single precision can take here.
    correlation = tf.cast(correlation, tf.float64)
    first = correlation[..., :1] * (1 + _NOISE_SHARE)
    coefficients, error = _levinson_durbin(
        tf.concat([first, correlation[..., 1:]], axis=-1)
    )
    spectrum = tf.abs(tf.signal.rfft(coefficients, [_CEPSTRUM_POINTS]))
    log_spectrum = tf.cast(-tf.math.log(spectrum), tf.complex128)
    cepstrum = 2 * tf.signal.irfft(log_spectrum)[..., 1 : order + 1]
    log_gain = 0.5 * tf.math.log(error)
    parameters = tf.concat([cepstrum, log_gain], axis=-1) / _COMPRESSION
    return tf.cast(parameters, tf.float32)


def lpc_response(parameters: tf.Tensor, fft_length: int) -> tf.Tensor:
    """Returns what the filters do to a spectrum, gain included.

    That is exp(log gain + sum of c[n] exp(-jnv)), at the warped angles v.

    Args:
        parameters: As `lpc_parameters` returns them, float32 [..., order + 1].
        fft_length: Samples of the FFT whose bins are wanted.

    Returns:
        complex64 [..., fft_length // 2 + 1].
    """
    return cepstral_response(parameters[..., :-1], parameters[..., -1:], fft_length)


def _sinc(angle: tf.Tensor) -> tf.Tensor:
    """Returns sin(x) / x."""
    return tf.where(angle == 0, 1.0, tf.math.divide_no_nan(tf.sin(angle), angle))


def _levinson_durbin(correlation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns predictors 1, a[1] ... a[order], and the error's power [..., 1]."""
    error = correlation[..., :1]
    coefficients = tf.ones_like(error)
    padding = [[0, 0]] * (correlation.shape.rank - 1) + [[0, 1]]
    for i in range(1, correlation.shape[-1]):
        past = correlation[..., i:0:-1]
        k = -tf.reduce_sum(coefficients * past, axis=-1, keepdims=True) / error
        # Rounding must not make an error negative.
        k = tf.clip_by_value(k, -0.9999, 0.9999)
        longer = tf.pad(coefficients, padding)
        coefficients = longer + k * longer[..., ::-1]
        error *= 1 - tf.square(k)
    return coefficients, error


@functools.lru_cache(maxsize=8)
def _lag_matrix(order: int, bins: int) -> np.ndarray:
    """Returns what turns power into warped autocorrelation, [bins, order + 1]."""
    angle = warped(bins)
    lags = np.arange(order + 1)
    # The integral over the warped angle, by the trapezoidal rule.
    width = np.gradient(angle) / np.pi
    width[[0, -1]] /= 2
    return (np.cos(angle[:, None] * lags) * width[:, None]).astype(np.float32)
