"""Changes the sample rate by windowed-sinc interpolation.

J. O. Smith, "Digital Audio Resampling", https://ccrma.stanford.edu/~jos/resample/:
output sample n is the input, low-passed below both Nyquist frequencies, at the time
n / to_hz. With to_hz / from_hz = L / M in lowest terms the filters repeat after L
outputs. Each is computed once, and the interpolation becomes matrix products: 64
neighbouring outputs share the stretch of input under their filters.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from models.config import Bounds

RATES_HZ = Bounds("0, or from 1000 to 384000", lambda x: x == 0 or 1e3 <= x <= 384e3)
"""The rates in Hz that can be chosen; 0 is that of the recordings."""

# The filter: 64 zero crossings to either side under a Kaiser window with beta 9 leave
# aliases below -90 dB, and its pass band reaches 91 % of the lower Nyquist frequency.
_ZERO_CROSSINGS = 64
_KAISER_BETA = 9.0
_CUTOFF = 0.955

# Outputs that share a stretch of input, and outputs that are computed at a time.
_BLOCK = 64
_CHUNK = 2**16
# Values of filters at a time: rates without a common divisor have very many.
_FILTER_VALUES = 2**21

Rate = int | tf.Tensor


def resampled_length(samples: Rate, from_hz: Rate, to_hz: Rate) -> tf.Tensor:
    """Returns ceil(samples x to_hz / from_hz), int64: how long `resample` makes it."""
    samples, from_hz, to_hz = (tf.cast(v, tf.int64) for v in (samples, from_hz, to_hz))
    return _ceil_divide(samples * to_hz, from_hz)


def resample(waveform: tf.Tensor, from_hz: Rate, to_hz: Rate) -> tf.Tensor:
    """Resamples audio, in TensorFlow's own operations.

    Beyond its ends the waveform counts as silence. Memory is proportional to the
    waveform; the work to the output, and to the higher rate if no number divides both.

    Args:
        waveform: float32 [..., samples].
        from_hz: Its rate, a positive integer or a scalar tensor of one.
        to_hz: The rate wanted, likewise.

    Returns:
        float32 [..., ceil(samples x to_hz / from_hz)]; for equal rates the waveform
        itself.
    """
    waveform = tf.convert_to_tensor(waveform, tf.float32)
    from_hz, to_hz = tf.cast(from_hz, tf.int64), tf.cast(to_hz, tf.int64)
    return tf.cond(
        from_hz == to_hz,
        lambda: waveform,
        lambda: _interpolate(waveform, from_hz, to_hz),
    )


def _interpolate(
    waveform: tf.Tensor, from_hz: tf.Tensor, to_hz: tf.Tensor
) -> tf.Tensor:
    shape = tf.shape(waveform, tf.int64)
    batch = tf.reduce_prod(shape[:-1])
    waveform = tf.reshape(waveform, [batch, shape[-1]])
    outputs = resampled_length(shape[-1], from_hz, to_hz)
    divisor = _greatest_common_divisor(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor

    # A period is a multiple of L outputs that fills at least one block. A clip that is
    # shorter than a period needs only the filters of the outputs that it has.
    repeat = tf.maximum(_BLOCK // up, 1)
    period = repeat * up
    periods = tf.maximum(_ceil_divide(outputs, period), 1)
    blocks = tf.maximum(_ceil_divide(tf.minimum(period, outputs), _BLOCK), 1)
    # The filters of block b lie between the inputs first[b] and first[b] + span.
    reach = _reach(up, down)
    span = (_BLOCK - 1) * down // up + 2 * reach + 2
    group = tf.clip_by_value(_FILTER_VALUES // (span * _BLOCK), 1, blocks)
    groups = _ceil_divide(blocks, group)
    chunk = tf.clip_by_value(
        _CHUNK // (group * _BLOCK * tf.maximum(batch, 1)), 1, periods
    )
    chunks = _ceil_divide(periods, chunk)

    last = (chunks * chunk - 1) * repeat * down
    last += (groups * group - 1) * _BLOCK * down // up - reach + span
    padding = [[0, 0], [reach, tf.maximum(last - shape[-1], 0)]]
    padded = tf.pad(waveform, padding)

    def interpolate_group(index: tf.Tensor) -> tf.Tensor:
        block = index * group + tf.range(group)
        first = block * _BLOCK * down // up - reach
        filters = _filters(block, first, span, up, down)

        def interpolate(index: tf.Tensor) -> tf.Tensor:
            start = (index * chunk + tf.range(chunk)) * repeat * down
            starts = first[:, None] + reach + start  # [group, chunk]
            stretches = tf.gather(padded, starts[:, :, None] + tf.range(span), axis=1)
            result = tf.matmul(stretches, filters)  # [batch, group, chunk, _BLOCK]
            return tf.transpose(result, [0, 2, 1, 3])

        return _mapped(interpolate, chunks)

    result = _mapped(interpolate_group, groups)
    # From [groups, chunks, batch, chunk, group, _BLOCK] to [batch, periods, period].
    result = tf.transpose(result, [2, 1, 3, 0, 4, 5])
    result = tf.reshape(result, [batch, chunks * chunk, groups * group * _BLOCK])
    result = tf.reshape(result[:, :, :period], [batch, -1])[:, :outputs]
    return tf.reshape(result, tf.concat([shape[:-1], [outputs]], 0))


def _mapped(function: Callable[[tf.Tensor], tf.Tensor], count: tf.Tensor) -> tf.Tensor:
    """Stacks what a function returns for 0, 1, ..., one after the other."""
    return tf.map_fn(
        function,
        tf.range(count),
        fn_output_signature=tf.float32,
        parallel_iterations=1,
    )


def _reach(up: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    """Returns how many input samples the filter extends to either side."""
    widening = tf.maximum(tf.cast(down, tf.float64) / tf.cast(up, tf.float64), 1.0)
    return tf.cast(tf.math.ceil(_ZERO_CROSSINGS / _CUTOFF * widening), tf.int64)


def _filters(
    block: tf.Tensor, first: tf.Tensor, span: tf.Tensor, up: tf.Tensor, down: tf.Tensor
) -> tf.Tensor:
    """Returns the filters of some blocks, float32 [blocks, span, _BLOCK]."""
    outputs = block[:, None, None] * _BLOCK + tf.range(_BLOCK, dtype=tf.int64)
    inputs = first[:, None, None] + tf.range(span)[:, None]
    # The distance is exact in integers before it is rounded.
    distance = tf.cast(inputs * up - outputs * down, tf.float32) / tf.cast(
        tf.maximum(up, down), tf.float32
    )
    bandwidth = _CUTOFF * tf.cast(tf.minimum(up / down, 1.0), tf.float32)
    crossings = _CUTOFF * distance
    angle = math.pi * tf.where(crossings == 0, 1.0, crossings)
    sinc = tf.where(crossings == 0, 1.0, tf.sin(angle) / angle)
    return bandwidth * sinc * _kaiser(crossings / _ZERO_CROSSINGS)


def _kaiser(position: tf.Tensor) -> tf.Tensor:
    """Returns the Kaiser window at `position`; its ends are at -1 and 1."""
    root = _KAISER_BETA * tf.sqrt(tf.maximum(1 - tf.square(position), 0))
    peak = tf.math.bessel_i0e(_KAISER_BETA)
    window = tf.math.bessel_i0e(root) * tf.exp(root - _KAISER_BETA) / peak
    return tf.where(tf.abs(position) < 1, window, 0.0)


def _ceil_divide(a: tf.Tensor, b: tf.Tensor | int) -> tf.Tensor:
    return -(-a // b)


def _greatest_common_divisor(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda a, b: b > 0, lambda a, b: (b, a % b), (a, b))[0]
