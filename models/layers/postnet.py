"""Convolutions that refine the frames of a decoder."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.convolution import MaskedConv1D
from models.layers.convolution_block import ConvolutionBlock
from models.layers.masking import Shape


class Postnet(keras.layers.Layer):
    """Frames plus a correction that sees both sides of each frame.

    Source: Shen et al. 2018, "Tacotron 2" (arXiv 1712.05884), section 2.2.

    Args of the constructor:
        frame_dim: Size of a frame.
        layers: Convolutions, with tanh but for the last.
        filters: Channels between the convolutions.
        kernel_size: Width of each, in frames.
        tied: Whether the convolutions but for the last are tied; they then have
            `frame_dim` channels.
        dropout: Share of activations dropped in training.
    """

    def __init__(
        self,
        frame_dim: int,
        *,
        layers: int,
        filters: int,
        kernel_size: int,
        tied: bool,
        dropout: float,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.blocks = [
            ConvolutionBlock(
                frame_dim if tied else filters,
                kernel_size,
                tf.tanh,
                dropout,
                tied=tied,
                dtype=policy,
                name=f"conv_{index}",
            )
            for index in range(layers - 1)
        ]
        self.last = MaskedConv1D(frame_dim, kernel_size, dtype=policy, name="last")

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, frames, frame_dim]."""
        for block in self.blocks:
            block.build(input_shape)
            input_shape = (*input_shape[:-1], block.filters)
        self.last.build(input_shape)

    def call(
        self,
        frames: tf.Tensor,
        lengths: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """[batch, frames, frame_dim], with lengths int32 and seeds int64 [batch].

        Returns:
            The shape of `frames`.
        """
        hidden = frames
        for block in self.blocks:
            hidden = block(hidden, lengths, seeds, training=training)
        return frames + self.last(hidden, lengths)[0]
