"""Mixtures of Gaussians with diagonal covariances, one for every state."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
import tensorflow as tf

from models.layers.masking import Shape

_SCALE = 0.1  # Of log densities, before training.


@keras.saving.register_keras_serializable(package="tfspeech")
class GaussianMixtures(keras.layers.Layer):
    """Scaled log densities of feature vectors in every state, with trained weights.

    Neighbouring frames are alike, but densities take them for independent, and so are
    far too sure. Their logarithms are therefore scaled by a number that is trained, too
    (Woodland and Povey 2002, "Large scale discriminative training of hidden Markov
    models for speech recognition").

    Args of the constructor:
        states: Their number.
        gaussians: In the mixture of each.

    Attributes:
        unit_axes: The axes whose values belong to one state, by weight.
    """

    unit_axes: ClassVar = {
        "log_scale": (),
        "log_weights": (1,),
        "means": (1, 2),
        "log_variances": (1, 2),
    }

    def __init__(self, states: int, gaussians: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.states = states
        self.gaussians = gaussians

    def build(self, input_shape: Shape) -> None:
        """Creates the weights: Gaussians of variance 1 around means near 0."""
        self.log_scale = self.add_weight(
            shape=(1,),
            initializer=keras.initializers.Constant(math.log(_SCALE)),
            name="log_scale",
        )
        shape = (self.states, self.gaussians)
        self.log_weights = self.add_weight(
            shape=shape, initializer="zeros", name="log_weights"
        )
        shape = (*shape, input_shape[-1])
        self.means = self.add_weight(
            shape=shape, initializer="random_normal", name="means"
        )
        self.log_variances = self.add_weight(
            shape=shape, initializer="zeros", name="log_variances"
        )

    def set_mixtures(
        self, log_weights: tf.Tensor, means: tf.Tensor, variances: tf.Tensor
    ) -> None:
        """Sets the Gaussians; see `log_densities`."""
        self.log_weights.assign(log_weights)
        self.means.assign(means)
        self.log_variances.assign(tf.math.log(variances))

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Returns scaled log densities, float32 [batch, frames, states].

        Args:
            features: float32 [batch, frames, dim], of zero mean and unit variance or
                so.
        """
        by_gaussian = log_densities(
            tf.nn.log_softmax(self.log_weights),
            tf.convert_to_tensor(self.means),
            tf.exp(self.log_variances),
            monomials(features),
        )
        by_state = tf.exp(self.log_scale) * tf.reduce_logsumexp(by_gaussian, axis=2)
        shape = tf.shape(features)
        return tf.reshape(by_state, [shape[0], shape[1], self.states])


def monomials(features: tf.Tensor) -> tf.Tensor:
    """Returns features, their squares and 1, for `log_densities`.

    Args:
        features: float32 [batch, frames, dim].

    Returns:
        float32 [all frames, 2 dim + 1].
    """
    flat = tf.reshape(features, [-1, features.shape[2]])
    return tf.concat([flat, flat**2, tf.ones_like(flat[:, :1])], axis=1)


def log_densities(
    log_weights: tf.Tensor, means: tf.Tensor, variances: tf.Tensor, frames: tf.Tensor
) -> tf.Tensor:
    """Returns log(weight x density) of every Gaussian.

    The exponent of a Gaussian with a diagonal covariance is linear in the features,
    their squares and 1, so that one matrix product gives all.

    Args:
        log_weights: Of the Gaussians in each state, float32 [states, gaussians].
        means: float32 [states, gaussians, dim].
        variances: float32 [states, gaussians, dim].
        frames: Their `monomials`.

    Returns:
        float32 [all frames, states, gaussians].
    """
    states, gaussians, dim = tf.unstack(tf.shape(means))
    squares = tf.math.log(2 * math.pi * variances) + means**2 / variances
    constant = log_weights - 0.5 * tf.reduce_sum(squares, axis=2)
    weights = tf.concat(
        [means / variances, -0.5 / variances, constant[:, :, tf.newaxis]], axis=2
    )
    weights = tf.reshape(weights, [states * gaussians, 2 * dim + 1])
    product = tf.matmul(frames, weights, transpose_b=True)
    return tf.reshape(product, [-1, states, gaussians])
