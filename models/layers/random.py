"""Random numbers that belong to an example, wherever in a batch or cluster it is.

Every row of a batch has a seed, and what is drawn for it depends on that seed, on the
name of the draw and on the position within the row alone: neither on the other rows,
nor on how far the batch is padded. `tf.random.stateless_uniform` takes one seed for a
whole batch. These are counter-based numbers (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3") with the finalizers of SplitMix64 (Steele et al. 2014,
"Fast splittable pseudorandom number generators") and of a murmur hash as mixing
functions.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

_GOLDEN_64, _GOLDEN_32 = 0x9E3779B97F4A7C15, 0x9E3779B9


def fold_in(seeds: tf.Tensor, *data: tf.Tensor | int | str) -> tf.Tensor:
    """Derives seeds: other data or another order gives other ones.

    Args:
        seeds: int64 [...].
        data: Numbers that broadcast with the seeds, or names.

    Returns:
        int64, in the shape of all broadcast together.
    """
    bits = tf.cast(seeds, tf.uint64)
    for each in data:
        if isinstance(each, str):
            each = zlib.crc32(each.encode())
        word = tf.cast(tf.convert_to_tensor(each), tf.uint64)
        bits = bits + word + tf.constant(_GOLDEN_64, tf.uint64)
        bits = _xor_shift(bits, 30) * tf.constant(0xBF58476D1CE4E5B9, tf.uint64)
        bits = _xor_shift(bits, 27) * tf.constant(0x94D049BB133111EB, tf.uint64)
        bits = _xor_shift(bits, 31)
    return tf.cast(bits, tf.int64)


def uniform(seeds: tf.Tensor, shape: Sequence[int | tf.Tensor], name: str) -> tf.Tensor:
    """Draws from [0, 1) for every row.

    Args:
        seeds: int64 [batch].
        shape: Of a row. A longer first axis changes nothing in what was there.
        name: Of the draw; another one gives other numbers.

    Returns:
        float32 [batch, *shape], multiples of 2^-24.
    """
    bits = _bits(seeds, tf.reduce_prod(tf.stack([1, *shape])), name)
    values = tf.cast(_right(bits, 8), tf.float32) * 2.0**-24
    return tf.reshape(values, tf.stack([tf.shape(seeds)[0], *shape]))


def normal(seeds: tf.Tensor, shape: Sequence[int | tf.Tensor], name: str) -> tf.Tensor:
    """Draws from the standard normal distribution; see `uniform`."""
    # Strictly between 0 and 1, whose quantiles are infinite.
    inside = uniform(seeds, shape, name) * (1.0 - 2.0**-23) + 2.0**-25
    return tf.math.ndtri(inside)


def bernoulli(
    seeds: tf.Tensor, shape: Sequence[int | tf.Tensor], name: str, probability: float
) -> tf.Tensor:
    """Draws True with a probability, to within 2^-17, for every value of every row.

    It costs half as much as a comparison with `uniform`: a hash gives two values.

    Args:
        seeds: int64 [batch].
        shape: See `uniform`.
        name: See `uniform`.
        probability: In [0, 1].

    Returns:
        bool [batch, *shape].
    """
    size = tf.reduce_prod(tf.stack([1, *shape]))
    halves = tf.bitcast(_bits(seeds, (size + 1) // 2, name), tf.uint16)
    drawn = tf.reshape(halves, [tf.shape(seeds)[0], -1])[:, :size]
    below = tf.cast(drawn, tf.int32) < round(probability * 2**16)
    return tf.reshape(below, tf.stack([tf.shape(seeds)[0], *shape]))


def row_seeds(
    seeds: tf.Tensor | None, generator: keras.random.SeedGenerator, batch: tf.Tensor
) -> tf.Tensor:
    """Returns the seeds of a batch, drawn where they are not given.

    Args:
        seeds: int64 [batch], or None to draw other ones at each call.
        generator: What they are drawn from.
        batch: int32, the number of rows.

    Returns:
        int64 [batch].
    """
    if seeds is not None:
        return seeds
    state = tf.cast(generator.next(), tf.int64)
    return fold_in(tf.range(batch, dtype=tf.int64), state[0], state[1])


def _bits(seeds: tf.Tensor, count: tf.Tensor, name: str) -> tf.Tensor:
    """32 random bits for every position of every row, uint32 [batch, count]."""
    keys = tf.cast(fold_in(seeds, name), tf.uint64)[:, tf.newaxis]
    positions = tf.cast(tf.range(count), tf.uint32) * tf.constant(_GOLDEN_32, tf.uint32)
    # A factor of its own keeps the sequences of two rows from being one, shifted.
    factor = tf.bitwise.bitwise_or(
        tf.cast(_right(keys, 32), tf.uint32), tf.constant(1, tf.uint32)
    )
    bits = positions + tf.cast(keys, tf.uint32)
    bits = _xor_shift(bits, 16) * factor
    bits = _xor_shift(bits, 15) * tf.constant(0x846CA68B, tf.uint32)
    return _xor_shift(bits, 16)


def _right(bits: tf.Tensor, shift: int) -> tf.Tensor:
    return tf.bitwise.right_shift(bits, tf.constant(np.array(shift), bits.dtype))


def _xor_shift(bits: tf.Tensor, shift: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(bits, _right(bits, shift))
