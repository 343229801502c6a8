"""Frames of segments: where in its segment a frame is."""

from __future__ import annotations

import tensorflow as tf

POSITIONS = 3
"""Values of `frame_positions` for a frame."""


def frame_positions(durations: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Where a frame is in its segment, float32 [batch, frames, 3].

    Its middle as a share of the segment, and ln(1 + frames) before and after it.

    Args:
        durations: Of the segments, in frames, int32 [batch, segments].
        places: The segment of every frame, int32 [batch, frames].
    """
    starts = tf.cumsum(durations, axis=1, exclusive=True)
    elapsed = tf.range(tf.shape(places)[1]) - tf.gather(starts, places, batch_dims=1)
    elapsed = tf.maximum(tf.cast(elapsed, tf.float32) + 0.5, 0.5)
    duration = tf.cast(tf.gather(durations, places, batch_dims=1), tf.float32)
    remaining = tf.maximum(duration - elapsed, 0.0)
    share = elapsed / (elapsed + remaining)
    return tf.stack([share, tf.math.log1p(elapsed), tf.math.log1p(remaining)], axis=2)
