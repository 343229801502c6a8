"""Residual blocks over padded sequences that keep the number of channels."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.activations import silu
from models.layers.dropout import Dropout
from models.layers.masking import Shape, mask_frames
from models.layers.recurrent import Recurrent


class ResidualBlock(keras.layers.Layer):
    """x + dense(branch(x)), with dropout before the sum and a norm for the branch.

    Args of the constructor:
        units: Channels in and out.
        hidden_units: Channels of the branch.
        dropout: Share of activations dropped in training.
    """

    def __init__(
        self, units: int, hidden_units: int, dropout: float, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.hidden_units = hidden_units
        self.norm = keras.layers.LayerNormalization(dtype=policy, name="norm")
        self.output_layer = keras.layers.Dense(units, dtype=policy, name="output")
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, frames, units]."""
        self.norm.build(input_shape)
        self.output_layer.build((*input_shape[:-1], self.hidden_units))
        self.dropout.build()

    def branch(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Maps [batch, frames, units] to [batch, frames, hidden_units]."""
        raise NotImplementedError

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
        outputs = self.output_layer(self.branch(frames, lengths))
        return frames + self.dropout(outputs, seeds, training=training)


class DepthwiseBlock(ResidualBlock):
    """x + dense(silu(dense(norm(depthwise convolution(x))))).

    Source: Liu et al. 2022, "A ConvNet for the 2020s" (arXiv 2201.03545), section 2,
    over time, with SiLU. With a kernel of one frame it has no convolution, and is a
    dense network over every frame alone.

    Args of the constructor:
        units: Channels in and out.
        kernel_size: Width of the depthwise convolution.
        dropout: Share of activations dropped in training.
        hidden_units: Units of the hidden layer; None for twice the channels.
        tied: Whether the convolution's matrix between channels is tied to the identity,
            which makes it depthwise; otherwise it is free.
    """

    def __init__(
        self,
        units: int,
        kernel_size: int,
        dropout: float,
        *,
        hidden_units: int | None = None,
        tied: bool = True,
        **kwargs: object,
    ) -> None:
        hidden_units = hidden_units or 2 * units
        super().__init__(units, hidden_units, dropout, **kwargs)
        policy = self.dtype_policy
        options = {"padding": "same", "dtype": policy, "name": "conv"}
        self.convolution = None
        if kernel_size > 1 and tied:
            self.convolution = keras.layers.DepthwiseConv1D(kernel_size, **options)
        elif kernel_size > 1:
            self.convolution = keras.layers.Conv1D(units, kernel_size, **options)
        self.hidden = keras.layers.Dense(
            hidden_units, silu, dtype=policy, name="hidden"
        )

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, frames, units]."""
        if self.convolution is not None:
            self.convolution.build((input_shape[0], None, input_shape[-1]))
        self.hidden.build(input_shape)
        super().build(input_shape)

    def branch(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Mixes neighbours, then channels."""
        if self.convolution is not None:
            frames = self.convolution(mask_frames(frames, lengths))
        return self.hidden(self.norm(frames))


class RecurrentBlock(ResidualBlock):
    """x + dense(GRU in both directions(norm(x))).

    Args of the constructor:
        units: Channels in and out, even: half of them for each direction.
        dropout: Share of activations dropped in training.
    """

    def __init__(self, units: int, dropout: float, **kwargs: object) -> None:
        super().__init__(units, units, dropout, **kwargs)
        self.recurrent = Recurrent(
            "gru", units // 2, True, dtype=self.dtype_policy, name="gru"
        )

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, frames, units]."""
        self.recurrent.build(input_shape)
        super().build(input_shape)

    def branch(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Runs over the frames in both directions."""
        return self.recurrent(self.norm(frames), lengths)
