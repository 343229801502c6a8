"""Residual blocks over padded sequences that keep the number of channels."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.dropout import Dropout
from models.layers.masking import Shape, mask_frames
from models.layers.recurrent import Recurrent


class DepthwiseBlock(keras.layers.Layer):
    """x + dense(silu(dense(norm(depthwise convolution(x))))).

    Source: Liu et al. 2022, "A ConvNet for the 2020s" (arXiv 2201.03545), section 2,
    over time, with SiLU and a hidden layer of twice the channels. With a kernel of one
    frame it has no convolution, and is a dense network over every frame alone.

    Args of the constructor:
        units: Channels in and out.
        kernel_size: Width of the depthwise convolution.
        dropout: Share of activations dropped in training.
    """

    def __init__(
        self, units: int, kernel_size: int, dropout: float, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.units = units
        self.convolution = None
        if kernel_size > 1:
            self.convolution = keras.layers.DepthwiseConv1D(
                kernel_size, padding="same", dtype=policy, name="conv"
            )
        self.norm = keras.layers.LayerNormalization(dtype=policy, name="norm")
        self.hidden = keras.layers.Dense(2 * units, "silu", dtype=policy, name="hidden")
        self.output_layer = keras.layers.Dense(units, dtype=policy, name="output")
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, frames, units]."""
        if self.convolution is not None:
            self.convolution.build((input_shape[0], None, self.units))
        for layer in (self.norm, self.hidden):
            layer.build(input_shape)
        self.output_layer.build((*input_shape[:-1], 2 * self.units))
        self.dropout.build()

    def call(
        self,
        frames: tf.Tensor,
        lengths: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """[batch, frames, units], with lengths int32 and seeds int64 [batch].

        Returns:
            The shape of `frames`.
        """
        mixed = frames
        if self.convolution is not None:
            mixed = self.convolution(mask_frames(frames, lengths))
        outputs = self.output_layer(self.hidden(self.norm(mixed)))
        return frames + self.dropout(outputs, seeds, training=training)


class RecurrentBlock(keras.layers.Layer):
    """x + dense(GRU in both directions(norm(x))).

    Args of the constructor:
        units: Channels in and out, even: half of them for each direction.
        dropout: Share of activations dropped in training.
    """

    def __init__(self, units: int, dropout: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.norm = keras.layers.LayerNormalization(dtype=policy, name="norm")
        self.recurrent = Recurrent("gru", units // 2, True, dtype=policy, name="gru")
        self.output_layer = keras.layers.Dense(units, dtype=policy, name="output")
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, frames, units]."""
        for layer in (self.norm, self.recurrent, self.output_layer):
            layer.build(input_shape)
        self.dropout.build()

    def call(
        self,
        frames: tf.Tensor,
        lengths: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """[batch, frames, units], with lengths int32 and seeds int64 [batch].

        Returns:
            The shape of `frames`.
        """
        outputs = self.output_layer(self.recurrent(self.norm(frames), lengths))
        return frames + self.dropout(outputs, seeds, training=training)
