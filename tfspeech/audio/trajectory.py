"""Smooth trajectories out of predicted frames and their differences, in TensorFlow.

A model that predicts every frame on its own jitters. If it predicts the difference to
the frame before as well, the trajectory that is most likely under both is smooth:
K. Tokuda et al., "Speech Parameter Generation Algorithms for HMM-Based Speech
Synthesis", 2000. With differences between neighbours alone its equations are
tridiagonal, and are solved in a time proportional to the frames.
"""

from __future__ import annotations

import tensorflow as tf


def with_deltas(frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Appends to each frame its difference to the one before.

    Args:
        frames: float32 [batch, frames, dim].
        lengths: int32 [batch], the valid frames of each; what is beyond them, whatever
            it is, changes nothing.

    Returns:
        float32 [batch, frames, 2 dim], 0 beyond the lengths: the frames c[t], then
        c[t] - c[t-1], which is 0 for the first.
    """
    valid = tf.sequence_mask(lengths, tf.shape(frames)[1])[:, :, tf.newaxis]
    frames = tf.where(valid, frames, 0.0)
    deltas = tf.pad(frames[:, 1:] - frames[:, :-1], [[0, 0], [1, 0], [0, 0]])
    return tf.where(valid, tf.concat([frames, deltas], axis=2), 0.0)


def most_likely_trajectory(
    means: tf.Tensor, variances: tf.Tensor, lengths: tf.Tensor
) -> tf.Tensor:
    """Finds the frames c whose values and differences are the most likely ones.

    They are Gaussian and independent, with means m and d, and variances v and w: c
    minimizes sum (c[t] - m[t])^2 / v[t] + sum (c[t] - c[t-1] - d[t])^2 / w[t], where
    the second sum begins with the second frame.

    Args:
        means: float32 [batch, frames, 2 dim], in the order of `with_deltas`.
        variances: Those of the means, above 0, of a shape that can be broadcast to
            theirs.
        lengths: int32 [batch], the valid frames of each; what is beyond them, whatever
            it is, changes nothing.

    Returns:
        float32 [batch, frames, dim], 0 beyond the lengths.
    """
    frames = tf.shape(means)[1]
    valid = tf.sequence_mask(lengths, frames)[:, :, tf.newaxis]
    means = tf.where(valid, means, 0.0)
    weights = tf.where(valid, tf.broadcast_to(1 / variances, tf.shape(means)), 0.0)
    static_mean, delta_mean = tf.split(means, 2, axis=2)
    static_weight, delta_weight = tf.split(weights, 2, axis=2)
    first = (tf.range(frames) == 0)[:, tf.newaxis]
    delta_weight = tf.where(first, 0.0, delta_weight)
    # What the difference of the next frame has to say about this one.
    next_weight, next_mean = (_later(each) for each in (delta_weight, delta_mean))
    diagonal = static_weight + delta_weight + next_weight
    wanted = (
        static_weight * static_mean
        + delta_weight * delta_mean
        - next_weight * next_mean
    )
    # Beyond the lengths every equation reads 1 c = 0.
    diagonals = tf.stack(
        [-next_weight, tf.where(valid, diagonal, 1.0), -delta_weight], axis=1
    )
    solution = tf.linalg.tridiagonal_solve(
        tf.transpose(diagonals, [0, 3, 1, 2]),
        tf.transpose(wanted, [0, 2, 1]),
        partial_pivoting=False,
    )
    return tf.transpose(solution, [0, 2, 1])


def _later(values: tf.Tensor) -> tf.Tensor:
    """Returns each frame's successor, 0 for the last, [batch, frames, dim]."""
    return tf.pad(values[:, 1:], [[0, 0], [0, 1], [0, 0]])
