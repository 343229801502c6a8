"""Posterior of a latent variable: Gaussians that are predicted from a sequence."""

from __future__ import annotations

from typing import NamedTuple

import keras
import tensorflow as tf

from models.layers.masking import Shape, mask_frames
from models.layers.random import normal, row_seeds
from models.layers.residual import DepthwiseBlock


class Gaussian(NamedTuple):
    """Gaussians with diagonal covariances, one for every word.

    Attributes:
        mean: float32 [batch, words, size].
        log_variance: float32 [batch, words, size].
    """

    mean: tf.Tensor
    log_variance: tf.Tensor


class Posterior(keras.layers.Layer):
    """q(z | frames, text) = N(mean, exp(log variance)) of a word, and samples of it.

    Two blocks of depthwise convolution, the mean over the frames of each word, and one
    layer for mean and log variance. A sample is mean + exp(log variance / 2) noise, the
    reparameterisation of Kingma, Welling 2014, "Auto-Encoding Variational Bayes" (arXiv
    1312.6114). The noise belongs to the example, as masks of `Dropout` do.

    Args of the constructor:
        size: Of the latent variable.
        units: Channels of the blocks.
        kernel_size: Width of the convolutions.
        dropout: Share of activations dropped in training.
    """

    def __init__(
        self,
        size: int,
        units: int,
        kernel_size: int,
        dropout: float,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.size, self.units = size, units
        self.frame_layer = keras.layers.Dense(units, dtype=policy, name="frames")
        self.text_layer = keras.layers.Dense(units, dtype=policy, name="text")
        self.blocks = [
            DepthwiseBlock(
                units, kernel_size, dropout, dtype=policy, name=f"block_{index}"
            )
            for index in range(2)
        ]
        # Statistics lose too much in half precision.
        self.gaussian_layer = keras.layers.Dense(
            2 * size, dtype="float32", name="gaussian"
        )

    def build(self, frames_shape: Shape, text_shape: Shape) -> None:
        """Creates the weights for frames and text, [batch, frames, channels]."""
        self.frame_layer.build(frames_shape)
        self.text_layer.build(text_shape)
        for layer in (*self.blocks, self.gaussian_layer):
            layer.build((*frames_shape[:-1], self.units))
        self.seed_generator = keras.random.SeedGenerator(name="seeds")

    def call(
        self,
        frames: tf.Tensor,
        text: tf.Tensor,
        lengths: tf.Tensor,
        words: tf.Tensor,
        count: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> Gaussian:
        """Finds the posteriors of words.

        Args:
            frames: Of a recording, [batch, frames, values].
            text: Its text by the frame, [batch, frames, channels].
            lengths: In frames, int32 [batch].
            words: Of every frame, int32 [batch, frames].
            count: The number of words, an int32 scalar.
            seeds: Of dropout, int64 [batch].
            training: Whether dropout is on.
        """
        hidden = self.frame_layer(frames) + self.text_layer(text)
        for block in self.blocks:
            hidden = block(hidden, lengths, seeds, training=training)
        inside = mask_frames(tf.one_hot(words, count), lengths)
        sums = tf.einsum("btw,btc->bwc", inside, tf.cast(hidden, tf.float32))
        counts = tf.reduce_sum(inside, axis=1)[:, :, tf.newaxis]
        pooled = self.gaussian_layer(sums / tf.maximum(counts, 1.0))
        return Gaussian(*tf.split(pooled, 2, axis=2))

    def sample(self, gaussian: Gaussian, seeds: tf.Tensor | None = None) -> tf.Tensor:
        """Draws z for every word, float32 [batch, words, size]."""
        batch, words, _ = tf.unstack(tf.shape(gaussian.mean))
        seeds = row_seeds(seeds, self.seed_generator, batch)
        noise = normal(seeds, [words, self.size], self.path)
        return gaussian.mean + tf.exp(0.5 * gaussian.log_variance) * noise
