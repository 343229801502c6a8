"""Smooth trajectories out of predicted frames and their differences, in TensorFlow.

A model that predicts every frame on its own jitters. If it predicts the difference to
the frame before as well, the trajectory that is most likely under both is smooth:
K. Tokuda et al., "Speech Parameter Generation Algorithms for HMM-Based Speech
Synthesis", 2000. With differences between neighbours alone its equations are
tridiagonal, and are solved for all frames at once.
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
    diagonal = tf.where(valid, diagonal, 1.0)
    return _solve_tridiagonal(-delta_weight, diagonal, -next_weight, wanted)


def _solve_tridiagonal(
    below: tf.Tensor, diagonal: tf.Tensor, above: tf.Tensor, wanted: tf.Tensor
) -> tf.Tensor:
    """Solves below[t] c[t-1] + diagonal[t] c[t] + above[t] c[t+1] = wanted[t].

    Parallel cyclic reduction: R. Hockney and C. Jesshope, "Parallel Computers", 1981.
    Each step has every equation take in those `reach` before and after it, until none
    is left in reach. Unlike `tf.linalg.tridiagonal_solve` it is made of operations that
    TFLite has, too.

    Args:
        below: float32 [batch, frames, dim], 0 in the first frame.
        diagonal: Likewise, more than the other two together in size.
        above: Likewise, 0 in the last frame.
        wanted: Likewise.
    """
    frames = tf.shape(wanted)[1]

    def reduce(reach: tf.Tensor, *equations: tf.Tensor) -> tuple[tf.Tensor, ...]:
        def before(values: tf.Tensor, beyond: float = 0.0) -> tf.Tensor:
            padding = [[0, 0], [reach, 0], [0, 0]]
            return tf.pad(values, padding, constant_values=beyond)[:, :frames]

        def after(values: tf.Tensor, beyond: float = 0.0) -> tf.Tensor:
            padding = [[0, 0], [0, reach], [0, 0]]
            return tf.pad(values, padding, constant_values=beyond)[:, reach:]

        below, diagonal, above, wanted = equations
        down, up = -below / before(diagonal, 1.0), -above / after(diagonal, 1.0)
        return (
            2 * reach,
            down * before(below),
            diagonal + down * before(above) + up * after(below),
            up * after(above),
            wanted + down * before(wanted) + up * after(wanted),
        )

    shape = tf.TensorShape([None, None, wanted.shape[2]])
    _, _, diagonal, _, wanted = tf.while_loop(
        lambda reach, *_: reach < frames,
        reduce,
        (1, below, diagonal, above, wanted),
        shape_invariants=(tf.TensorShape([]), *[shape] * 4),
    )
    return wanted / diagonal


def _later(values: tf.Tensor) -> tf.Tensor:
    """Returns each frame's successor, 0 for the last, [batch, frames, dim]."""
    return tf.pad(values[:, 1:], [[0, 0], [0, 1], [0, 0]])
