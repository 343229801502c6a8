"""Strided convolution over time that no amount of padding can change."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.masking import Shape, mask_frames
from models.layers.tied import TiedConv1D


class MaskedConv1D(keras.layers.Layer):
    """Convolution over the frames of a padded batch.

    Output frame `i` is centred on input frame `i * stride`, or ends there. TensorFlow's
    own "same" padding depends on the length of the batch when the stride is above one;
    here the padding is fixed, and frames beyond the lengths count as zeros.

    Args of the constructor:
        filters: Channels that come out.
        kernel_size: In frames.
        stride: In frames.
        tied: Whether it is a `TiedConv1D`, for as many channels in as out.
        causal: Whether output frame `i` depends on no input frame after `i * stride`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        stride: int = 1,
        tied: bool = False,
        causal: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.stride = stride
        self.padding = ((kernel_size - 1) // 2, kernel_size // 2)
        if causal:
            self.padding = (kernel_size - 1, 0)
        self.filters = filters
        options = {"strides": stride, "dtype": self.dtype_policy, "name": "conv"}
        if tied:
            self.convolution = TiedConv1D(kernel_size, **options)
        else:
            self.convolution = keras.layers.Conv1D(filters, kernel_size, **options)

    def build(self, input_shape: Shape) -> None:
        """Creates kernel [kernel_size, channels, filters] and bias [filters].

        If tied, a kernel [kernel_size, channels] and one bias.
        """
        if isinstance(self.convolution, TiedConv1D) and input_shape[-1] != self.filters:
            raise ValueError(
                f"a tied convolution has as many channels in as out. Received: "
                f"{input_shape[-1]} and filters={self.filters}"
            )
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

    def stream(
        self, frames: tf.Tensor, lengths: tf.Tensor, past: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Goes on with utterances of which frames were convolved before, if causal.

        Args:
            frames: The next ones, [batch, frames, channels].
            lengths: How many of them are valid, int32 [batch]: a multiple of the stride
                but at the end of an utterance.
            past: The frames before, [batch, kernel_size - 1, channels]; at first 0.

        Returns:
            As `call`; and the `past` of the frames that follow.
        """
        joined = tf.concat([past, mask_frames(frames, lengths)], axis=1)
        kept = lengths[:, tf.newaxis] + tf.range(self.padding[0])
        past = tf.gather(joined, kept, batch_dims=1)
        return self.convolution(joined), -(-lengths // self.stride), past
