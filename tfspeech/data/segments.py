"""Segments of long arrays, of which every step of a training takes others."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.layers.random import uniform
from tfspeech.data.cache import ArrayStore


def random_starts(seeds: tf.Tensor, lengths: tf.Tensor, rows: int) -> tf.Tensor:
    """Draws where segments start, each within its array, all places alike.

    Args:
        seeds: int64 [batch], one for each segment.
        lengths: Rows of the arrays, integer [batch].
        rows: Rows of a segment.

    Returns:
        int64 [batch]; 0 where an array is no longer than a segment.
    """
    places = tf.cast(tf.maximum(tf.cast(lengths, tf.int64) - rows, 0) + 1, tf.float64)
    drawn = tf.cast(uniform(seeds, [], "segment"), tf.float64)
    return tf.cast(drawn * places, tf.int64)


def read_segments(
    store: ArrayStore, indices: tf.Tensor, starts: tf.Tensor, rows: int
) -> tf.Tensor:
    """Reads segments of arrays in `tf.data`.

    Args:
        store: Where they are.
        indices: Of which arrays, integer [batch].
        starts: Their first rows, integer [batch].
        rows: How many each has.

    Returns:
        float32 [batch, rows, *row_shape], 0 beyond the end of an array.
    """

    def read(indices: np.ndarray, starts: np.ndarray) -> np.ndarray:
        segments = np.zeros((len(indices), rows, *store.row_shape), np.float32)
        for segment, index, start in zip(segments, indices, starts, strict=True):
            found = store[index][start : start + rows]
            segment[: len(found)] = found
        return segments

    segments = tf.numpy_function(read, [indices, starts], tf.float32)
    return tf.ensure_shape(segments, [None, rows, *store.row_shape])
