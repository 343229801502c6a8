"""Self-attention over padded batches."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.attention import masked_softmax
from models.layers.dropout import Dropout
from models.layers.masking import Shape, sequence_mask


def add_positions(frames: tf.Tensor) -> tf.Tensor:
    """Adds sines and cosines of the position to [batch, frames, channels].

    Channel i of the first half turns at the rate 10000^(-i / half). Source: Vaswani et
    al. 2017 (arXiv 1706.03762), section 3.5, with sines and cosines side by side.
    """
    half = frames.shape[-1] // 2
    rates = 10000.0 ** (-tf.range(half, dtype=tf.float32) / half)
    phases = tf.range(tf.shape(frames)[1], dtype=tf.float32)[:, tf.newaxis] * rates
    encodings = tf.concat([tf.sin(phases), tf.cos(phases)], axis=1)
    return frames + tf.cast(encodings, frames.dtype)


class SelfAttentionBlock(keras.layers.Layer):
    """x + attention(norm(x)), then x + dense(relu(dense(norm(x)))).

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3, with the norms in front
    (Xiong et al. 2020, arXiv 2002.04745), which trains without a long warm-up.

    Args of the constructor:
        units: Channels in and out.
        heads: Heads, a divisor of `units`.
        dropout: Share of activations dropped in training.
        top_k: Only so many of the largest weights of a frame are kept; 0 for all.
        hidden_units: Units of the hidden layer; None for twice the channels.
    """

    def __init__(
        self,
        units: int,
        heads: int,
        dropout: float,
        top_k: int = 0,
        hidden_units: int | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.units, self.heads, self.top_k = units, heads, top_k
        self.norms = [
            keras.layers.LayerNormalization(dtype=policy, name=f"norm_{index}")
            for index in range(2)
        ]
        self.projection = keras.layers.Dense(3 * units, dtype=policy, name="qkv")
        self.mixer = keras.layers.Dense(units, dtype=policy, name="mixer")
        self.hidden = keras.layers.Dense(
            hidden_units or 2 * units, "relu", dtype=policy, name="hidden"
        )
        self.output_layer = keras.layers.Dense(units, dtype=policy, name="output")
        self.dropouts = [
            Dropout(dropout, dtype=policy, name=f"dropout_{index}")
            for index in range(2)
        ]

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, frames, units]."""
        for layer in (*self.norms, self.projection, self.mixer, self.hidden):
            layer.build(input_shape)
        self.output_layer.build((*input_shape[:-1], self.hidden.units))
        for dropout in self.dropouts:
            dropout.build()

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
        mixed = self._attend(self.norms[0](frames), lengths)
        frames += self.dropouts[0](mixed, seeds, training=training)
        hidden = self.hidden(self.norms[1](frames))
        outputs = self.output_layer(hidden)
        return frames + self.dropouts[1](outputs, seeds, training=training)

    def _attend(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        batch, length, _ = tf.unstack(tf.shape(frames))
        size = self.units // self.heads
        parts = tf.reshape(
            self.projection(frames), [batch, length, 3, self.heads, size]
        )
        queries, keys, values = tf.unstack(tf.transpose(parts, [2, 0, 3, 1, 4]))
        energies = tf.matmul(queries, keys, transpose_b=True) * size**-0.5
        mask = sequence_mask(lengths, frames)[:, tf.newaxis, tf.newaxis]
        weights = masked_softmax(tf.cast(energies, tf.float32), mask, self.top_k)
        mixed = tf.matmul(tf.cast(weights, values.dtype), values)
        mixed = tf.transpose(mixed, [0, 2, 1, 3])
        return self.mixer(tf.reshape(mixed, [batch, length, self.units]))
