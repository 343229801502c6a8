"""Linear prediction: spectra as an all-pole filter and a gain, in TensorFlow's ops.

J. Makhoul, "Linear Prediction: A Tutorial Review", 1975. The parameters are log-area
ratios, which may take any value and always give a stable filter (J. Markel and A. Gray,
"Linear Prediction of Speech", 1976), so that a model can predict and average them.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from tfspeech.audio.features import FeatureConfig

# Applied before the analysis, whose few poles would else all go to the low frequencies,
# and undone in the response.
_PREEMPHASIS = 0.97
# Share of white noise that is added (-50 dB), and the standard deviation of the lag
# window in Hz: both keep poles from hitting single harmonics.
_NOISE_SHARE, _LAG_WINDOW_HZ = 1e-5, 40.0
# Mean square of digital silence, -100 dB.
_POWER_FLOOR = 1e-10


def lpc_parameters(power: tf.Tensor, order: int, config: FeatureConfig) -> tf.Tensor:
    """Fits an all-pole filter to each spectrum, by the autocorrelation method.

    Args:
        power: Power spectra of frames, float32 [..., fft_length // 2 + 1].
        order: Poles.
        config: The spectrogram: its lengths are in samples of its rate.

    Returns:
        float32 [..., order + 1]: log-area ratios ln((1 + k) / (1 - k)) of the
        reflection coefficients k, and the natural logarithm of the gain, which is the
        root mean square of the excitation.
    """
    correlation = tf.matmul(power, _lag_matrix(order, config))
    first = correlation[..., :1] * (1 + _NOISE_SHARE) + _POWER_FLOOR
    reflections, error = _levinson_durbin(
        tf.concat([first, correlation[..., 1:]], axis=-1)
    )
    log_gain = 0.5 * tf.math.log(error)
    return tf.concat([2 * tf.math.atanh(reflections), log_gain], axis=-1)


def lpc_response(parameters: tf.Tensor, fft_length: int) -> tf.Tensor:
    """Returns what the filters do to a spectrum, gain included.

    Args:
        parameters: As `lpc_parameters` returns them, float32 [..., order + 1].
        fft_length: Samples of the FFT whose bins are wanted.

    Returns:
        complex64 [..., fft_length // 2 + 1].
    """
    coefficients = lpc_coefficients(parameters[..., :-1])
    angle = 2 * np.pi * np.arange(fft_length // 2 + 1) / fft_length
    emphasis = (1 - _PREEMPHASIS * np.exp(-1j * angle)).astype(np.complex64)
    gain = tf.cast(tf.exp(parameters[..., -1:]), tf.complex64)
    return gain / (tf.signal.rfft(coefficients, [fft_length]) * emphasis)


def lpc_coefficients(log_area_ratios: tf.Tensor) -> tf.Tensor:
    """Returns the predictor 1, a[1], ... a[order] of each filter.

    Args:
        log_area_ratios: float32 [..., order].

    Returns:
        float32 [..., order + 1]; y[t] = x[t] - sum of a[i] y[t-i] is stable.
    """
    reflections = tf.tanh(0.5 * log_area_ratios)
    coefficients = tf.ones_like(reflections[..., :1])
    for i in range(reflections.shape[-1]):
        coefficients = _step_up(coefficients, reflections[..., i : i + 1])
    return coefficients


def _levinson_durbin(correlation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns reflection coefficients [..., order] and the error's power [..., 1]."""
    error = correlation[..., :1]
    coefficients = tf.ones_like(error)
    reflections = []
    for i in range(1, correlation.shape[-1]):
        past = correlation[..., i:0:-1]
        k = -tf.reduce_sum(coefficients * past, axis=-1, keepdims=True) / error
        # Rounding must not make an error negative.
        k = tf.clip_by_value(k, -0.9999, 0.9999)
        coefficients = _step_up(coefficients, k)
        error *= 1 - tf.square(k)
        reflections.append(k)
    return tf.concat(reflections, axis=-1), error


def _step_up(coefficients: tf.Tensor, reflection: tf.Tensor) -> tf.Tensor:
    """Returns the predictor of the next order."""
    padding = [[0, 0]] * (coefficients.shape.rank - 1)
    longer = tf.pad(coefficients, [*padding, [0, 1]])
    return longer + reflection * longer[..., ::-1]


@functools.lru_cache(maxsize=8)
def _lag_matrix(order: int, config: FeatureConfig) -> np.ndarray:
    """Returns what turns power into autocorrelation per sample, [bins, order + 1]."""
    bins = np.arange(config.fft_length // 2 + 1)
    angle = 2 * np.pi * bins[:, None] / config.fft_length
    lags = np.arange(order + 1)
    matrix = np.cos(angle * lags) * 2 / config.fft_length
    matrix[[0, -1]] /= 2
    emphasis = 1 + _PREEMPHASIS**2 - 2 * _PREEMPHASIS * np.cos(angle)
    spread = 2 * np.pi * _LAG_WINDOW_HZ * lags / config.sample_rate_hz
    # The energy of a periodic Hann window is 3/8 of its length.
    per_sample = 8 / (3 * config.frame_length)
    return (matrix * emphasis * np.exp(-0.5 * spread**2) * per_sample).astype(
        np.float32
    )
