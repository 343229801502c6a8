"""Strided convolution over time that no amount of padding can change."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.masking import mask_frames


class MaskedConv1D(keras.layers.Layer):
    """Convolution over the frames of a padded batch.

    Output frame `i` is centred on input frame `i * stride`. TensorFlow's own "same"
    padding depends on the length of the batch when the stride is above one; here the
    padding is fixed, and frames beyond the lengths count as zeros.
    """

    def __init__(
        self, filters: int, kernel_size: int, stride: int = 1, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.stride = stride
        self.padding = ((kernel_size - 1) // 2, kernel_size // 2)
        self.convolution = keras.layers.Conv1D(
            filters, kernel_size, strides=stride, dtype=self.dtype_policy, name="conv"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates kernel [kernel_size, channels, filters] and bias [filters]."""
        self.convolution.build((input_shape[0], None, input_shape[-1]))

    def call(
        self, frames: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Convolves.

        Args:
            frames: [batch, frames, channels].
            lengths: int32 [batch], in frames.

        Returns:
            [batch, ceil(frames / stride), filters] and the new lengths, int32 [batch].
        """
        frames = mask_frames(frames, lengths)
        frames = tf.pad(frames, [[0, 0], self.padding, [0, 0]])
        return self.convolution(frames), -(-lengths // self.stride)
