"""The bottleneck between a decoder's last frame and its next step."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.dropout import Dropout
from models.layers.masking import Shape


class Prenet(keras.layers.Layer):
    """Two dense ReLU layers with strong dropout.

    A decoder that saw its last frame clearly would copy it and never learn to attend to
    the text. Source: Wang et al. 2017, "Tacotron" (arXiv 1703.10135), section 3.2.

    Args of the constructor:
        units: Units of each layer.
        dropout: Share of activations dropped in training.
    """

    def __init__(self, units: int, dropout: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.dense = [
            keras.layers.Dense(
                units, "relu", dtype=self.dtype_policy, name=f"dense_{i}"
            )
            for i in range(2)
        ]
        self.dropouts = [
            Dropout(dropout, dtype=self.dtype_policy, name=f"dropout_{i}")
            for i in range(2)
        ]

    def build(self, input_shape: Shape) -> None:
        """Creates kernels [channels, units], [units, units] and biases [units]."""
        for dense, dropout in zip(self.dense, self.dropouts, strict=True):
            dense.build(input_shape)
            dropout.build()
            input_shape = (*input_shape[:-1], dense.units)

    def call(
        self, frames: tf.Tensor, seeds: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """[batch, ..., channels], with seeds int64 [batch] -> [batch, ..., units]."""
        for dense, dropout in zip(self.dense, self.dropouts, strict=True):
            frames = dropout(dense(frames), seeds, training=training)
        return frames
