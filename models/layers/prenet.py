"""The bottleneck through which a decoder sees what it said last."""

from __future__ import annotations

import keras
import tensorflow as tf


class Prenet(keras.layers.Layer):
    """Two dense ReLU layers with strong dropout.

    A decoder that saw its last frame clearly would copy it and never learn to listen to
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
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates kernels [channels, units], [units, units] and biases [units]."""
        for dense in self.dense:
            dense.build(input_shape)
            input_shape = (*input_shape[:-1], dense.units)

    def call(self, frames: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[..., channels] -> [..., units]."""
        for dense in self.dense:
            frames = self.dropout(dense(frames), training=training)
        return frames
