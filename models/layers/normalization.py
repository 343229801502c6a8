"""Feature normalisation by statistics of the training set."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from models.layers.masking import Shape

# Percent of the training set below and above the range, and where that is.
_TAIL, _RANGE = 0.5, 0.9


class FeatureNormalization(keras.layers.Layer):
    """(x - mean) / std per feature, with statistics that live in the model.

    They are weights that are not trained, so that checkpoints and exports carry them.
    Until `set_statistics` is called the layer changes nothing.
    """

    def build(self, input_shape: Shape) -> None:
        """Creates the statistics, float32 [features]."""
        shape = (input_shape[-1],)
        self.mean = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="mean"
        )
        self.std = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="std"
        )

    def set_statistics(self, mean: np.ndarray, std: np.ndarray) -> None:
        """Sets mean and standard deviation, each [features], in feature units."""
        self.mean.assign(mean)
        # A feature that never changes says nothing; it must not become noise.
        self.std.assign(np.where(std > 1e-5, std, 1.0))

    def set_range(self, values: np.ndarray) -> None:
        """Brings 99 % of the values, [values, features], to [-0.9, 0.9].

        The rest is rare, such as wrong pitches, and must not decide how much a usual
        difference counts.
        """
        low, high = np.percentile(values, [_TAIL, 100 - _TAIL], axis=0)
        # A value may be nearly always the same.
        low = np.where(high > low, low, values.min(0))
        high = np.where(high > low, high, values.max(0))
        self.set_statistics((low + high) / 2, (high - low) / (2 * _RANGE))

    def call(self, features: tf.Tensor, invert: bool = False) -> tf.Tensor:
        """Normalises [..., features], or brings normalised ones back to their units."""
        if invert:
            return features * self.std + self.mean
        return (features - self.mean) / self.std
