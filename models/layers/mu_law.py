"""Samples as 256 classes, on the logarithmic scale of the mu-law.

ITU-T G.711, 1988. Waveforms as classes: A. van den Oord et al., "WaveNet: A Generative
Model for Raw Audio", 2016, section 2.2.
"""

from __future__ import annotations

import math

import tensorflow as tf

LEVELS = 256
_MU = LEVELS - 1


def mu_law_classes(waveforms: tf.Tensor) -> tf.Tensor:
    """Returns the classes, int32 in [0, 256), of samples; beyond full scale 1 the last.

    Args:
        waveforms: float32 [...].
    """
    clipped = tf.clip_by_value(waveforms, -1.0, 1.0)
    size = tf.math.log1p(_MU * tf.abs(clipped)) / math.log1p(_MU)
    return tf.cast((tf.sign(clipped) * size + 1.0) / 2.0 * _MU + 0.5, tf.int32)


def mu_law_levels(classes: tf.Tensor) -> tf.Tensor:
    """Returns where classes are on the logarithmic scale, float32 in [-1, 1]."""
    return tf.cast(classes, tf.float32) * (2.0 / _MU) - 1.0


def mu_law_samples(classes: tf.Tensor) -> tf.Tensor:
    """Returns the samples, float32 in [-1, 1], in the middle of classes."""
    levels = mu_law_levels(classes)
    size = tf.math.expm1(tf.abs(levels) * math.log1p(_MU)) / _MU
    return tf.sign(levels) * size
