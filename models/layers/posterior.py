"""Posterior of a latent variable: a Gaussian that is predicted from a sequence."""

from __future__ import annotations

from typing import NamedTuple

import keras
import tensorflow as tf

from models.layers.masking import Shape
from models.layers.pooling import AttentionPooling
from models.layers.random import normal, row_seeds
from models.layers.residual import DepthwiseBlock


class Gaussian(NamedTuple):
    """A Gaussian with a diagonal covariance for every row of a batch.

    Attributes:
        mean: float32 [batch, size].
        log_variance: float32 [batch, size].
    """

    mean: tf.Tensor
    log_variance: tf.Tensor


class Posterior(keras.layers.Layer):
    """q(z | sequence) = N(mean, exp(log variance)), and samples of it.

    Two blocks of depthwise convolution, attention pooling over time, and one layer for
    mean and log variance. A sample is mean + exp(log variance / 2) noise, the
    reparameterisation of Kingma, Welling 2014, "Auto-Encoding Variational Bayes" (arXiv
    1312.6114). The noise belongs to the example, as masks of `Dropout` do.

    Args of the constructor:
        size: Of the latent variable.
        kernel_size: Width of the convolutions.
        dropout: Share of activations dropped in training.
    """

    def __init__(
        self, size: int, kernel_size: int, dropout: float, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.kernel_size = kernel_size
        self.dropout = dropout

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, frames, channels]."""
        policy, channels = self.dtype_policy, input_shape[-1]
        self.blocks = [
            DepthwiseBlock(
                *(channels, self.kernel_size, self.dropout),
                dtype=policy,
                name=f"block_{index}",
            )
            for index in range(2)
        ]
        self.pooling = AttentionPooling(channels, dtype=policy, name="pooling")
        self.gaussian_layer = keras.layers.Dense(
            2 * self.size, dtype="float32", name="gaussian"
        )
        for layer in (*self.blocks, self.pooling):
            layer.build(input_shape)
        self.gaussian_layer.build((input_shape[0], channels))
        self.seed_generator = keras.random.SeedGenerator(name="seeds")

    def call(
        self,
        frames: tf.Tensor,
        lengths: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> Gaussian:
        """[batch, frames, channels], with lengths int32 and seeds int64 [batch]."""
        for block in self.blocks:
            frames = block(frames, lengths, seeds, training=training)
        pooled = self.gaussian_layer(self.pooling(frames, lengths))
        return Gaussian(*tf.split(pooled, 2, axis=1))

    def sample(self, gaussian: Gaussian, seeds: tf.Tensor | None = None) -> tf.Tensor:
        """Draws z for every row, float32 [batch, size]."""
        seeds = row_seeds(seeds, self.seed_generator, tf.shape(gaussian.mean)[0])
        noise = normal(seeds, [self.size], self.path)
        return gaussian.mean + tf.exp(0.5 * gaussian.log_variance) * noise
