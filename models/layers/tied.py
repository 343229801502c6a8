"""Layers with tied weights: fewer parameters for the same map."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.masking import Shape


class TiedConv1D(keras.layers.Layer):
    """Convolution over time whose matrix between channels is tied to the identity.

    W[k, i, j] = t[k, i] where i = j, else 0, and one bias for all channels: kernel_size
    * channels + 1 weights in place of kernel_size * channels^2 + channels. It equals a
    depthwise convolution exactly.

    Args of the constructor:
        kernel_size: In frames.
        strides: In frames.
        shared: One t[k] for all channels, kernel_size + 1 weights in all.
    """

    unit_axes = {"kernel": (0,)}  # noqa: RUF012

    def __init__(
        self, kernel_size: int, strides: int = 1, shared: bool = False, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.strides = strides
        self.shared = shared

    def build(self, input_shape: Shape) -> None:
        """Creates t [kernel_size, channels], or [kernel_size, 1], and a bias [1]."""
        self.kernel = self.add_weight(
            shape=(self.kernel_size, 1 if self.shared else input_shape[-1]),
            initializer="lecun_normal",
            name="kernel",
        )
        self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        """Convolves without padding.

        Args:
            frames: [batch, frames, channels].

        Returns:
            [batch, (frames - kernel_size) // strides + 1, channels].
        """
        kernel = tf.broadcast_to(self.kernel, [self.kernel_size, frames.shape[-1]])
        convolved = keras.ops.depthwise_conv(
            frames, kernel[:, :, tf.newaxis], self.strides, "valid"
        )
        return convolved + self.bias


class TiedEmbedding(keras.layers.ReversibleEmbedding):
    """An embedding of symbols whose matrix E also scores them: h E'.

    The matrix is one variable, so norms and decay count it once. Its values start at a
    variance of 1 / output_dim, which suits the scores, and what is looked up is
    multiplied by sqrt(output_dim). Sources: Press, Wolf 2017, "Using the Output
    Embedding to Improve Language Models" (arXiv 1608.05859); the factor is that of
    Vaswani et al. 2017 (arXiv 1706.03762), section 3.4.

    Args of the constructor:
        input_dim: Symbols.
        output_dim: Values for each.
    """

    def __init__(self, input_dim: int, output_dim: int, **kwargs: object) -> None:
        kwargs.setdefault(
            "embeddings_initializer",
            keras.initializers.RandomNormal(stddev=output_dim**-0.5),
        )
        super().__init__(input_dim, output_dim, **kwargs)

    def call(self, inputs: tf.Tensor, reverse: bool = False) -> tf.Tensor:
        """Looks symbols up, or scores them.

        Args:
            inputs: int32 [...] symbols; in reverse [..., output_dim] vectors.
            reverse: Whether to score.

        Returns:
            [..., output_dim] vectors; in reverse [..., input_dim] scores.
        """
        outputs = super().call(inputs, reverse=reverse)
        return outputs if reverse else outputs * self.output_dim**0.5
