"""Convolution, activation, normalisation and dropout."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from models.layers.convolution import MaskedConv1D
from models.layers.dropout import Dropout
from models.layers.masking import Shape


class ConvolutionBlock(keras.layers.Layer):
    """One layer of convolutional encoders and postnets. The length stays as it is.

    Args of the constructor:
        filters: Channels of the result.
        kernel_size: Width of the convolution.
        activation: What comes before normalisation over the channels.
        dropout: Share of activations dropped in training.
        tied: Whether the convolution is tied; channels in and out are then the same.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        activation: Callable[[tf.Tensor], tf.Tensor],
        dropout: float,
        *,
        tied: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.activation = activation
        self.convolution = MaskedConv1D(
            filters, kernel_size, tied=tied, dtype=policy, name="conv"
        )
        self.norm = keras.layers.LayerNormalization(dtype=policy, name="norm")
        self.dropout = Dropout(dropout, dtype=policy, name="dropout")
        self.filters = filters
        self.kernel_size = kernel_size
        self.tied = tied

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, frames, channels]."""
        self.convolution.build(input_shape)
        self.norm.build((*input_shape[:-1], self.filters))
        self.dropout.build()

    @property
    def parameters_saved(self) -> int:
        """Number of weights that tying the convolution saves."""
        if not self.tied:
            return 0
        free = self.kernel_size * self.filters**2 + self.filters
        return free - self.convolution.count_params()

    def call(
        self,
        frames: tf.Tensor,
        lengths: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """[batch, frames, channels], with lengths int32 and seeds int64 [batch].

        Returns:
            [batch, frames, filters].
        """
        frames, _ = self.convolution(frames, lengths)
        # Normalised first, one bias for all channels would have no effect.
        frames = self.norm(self.activation(frames))
        return self.dropout(frames, seeds, training=training)
