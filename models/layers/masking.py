"""Masks of the padding of a batch."""

from __future__ import annotations

import tensorflow as tf

Shape = tuple[int | None, ...]
"""Static shape of a tensor, None where it depends on the batch."""


def sequence_mask(lengths: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """Returns bool [batch, frames], true where a frame is speech, not padding."""
    return tf.sequence_mask(lengths, tf.shape(frames)[1])


def mask_frames(frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Sets all frames beyond the lengths to zero, whatever they hold.

    Args:
        frames: [batch, frames, channels].
        lengths: int32 [batch], in frames.

    Returns:
        [batch, frames, channels].
    """
    # A product would keep NaN and infinities of the padding; and TFLite has no new
    # axes for booleans but by this operation.
    mask = tf.expand_dims(sequence_mask(lengths, frames), 2)
    return tf.where(mask, frames, tf.zeros_like(frames))
