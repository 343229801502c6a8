"""Weights seen unit by unit: all values that lead into one output, or one row."""

from __future__ import annotations

import math

import tensorflow as tf

from tfspeech.strategies.variables import VariableInfo


def unit_size(info: VariableInfo) -> int:
    """Values per unit; 1 for a bias, each of whose values stands alone."""
    return math.prod(info.shape[axis] for axis in info.unit_axes)


def has_spare_units(info: VariableInfo) -> bool:
    """Whether units of a weight may vanish: kernels but those of output layers.

    Those have a unit for each class, as embeddings have for each symbol; and where a
    kernel leads into a single unit there is none to spare.
    """
    hidden = info.kind in ("kernel", "recurrent_kernel") and not info.output
    return hidden and info.size > unit_size(info)


def unit_norms(weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
    """L2 norms of the units, in the weight's shape with 1 for the axes of a unit."""
    return tf.sqrt(tf.reduce_sum(tf.square(weight), info.unit_axes, keepdims=True))


def unit_matrix(weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
    """A weight as [values per unit, units]."""
    units = [axis for axis in range(len(info.shape)) if axis not in info.unit_axes]
    columns = tf.transpose(weight, [*info.unit_axes, *units])
    return tf.reshape(columns, [unit_size(info), -1])


def bounded(weight: tf.Tensor, norms: tf.Tensor, limit: float) -> tf.Tensor:
    """Returns w limit / norm where a norm is above the limit, else w to the bit.

    A share of 1e-6 above counts as inside: what was bounded once is not rounded again.
    """
    outside = norms > limit * (1.0 + 1e-6)
    return tf.where(outside, weight * (limit / norms), weight)
