"""The distance of a classifier's outputs from those of its teacher."""

from __future__ import annotations

import tensorflow as tf


def soft_divergence(
    logits: tf.Tensor, taught: tf.Tensor, temperature: float
) -> tf.Tensor:
    """The Kullback-Leibler divergence from the teacher's softened distribution.

    T^2 KL(softmax(taught / T) || softmax(logits / T)). By T^2 its gradient is about as
    large at every temperature T. Source: Hinton, Vinyals and Dean 2015, "Distilling the
    Knowledge in a Neural Network" (arXiv 1503.02531), section 2.

    Args:
        logits: Of the student, float32 [..., classes].
        taught: Of the teacher, likewise.
        temperature: Above 0.

    Returns:
        In nats, float32 [...].
    """
    wanted = tf.nn.log_softmax(taught / temperature)
    found = tf.nn.log_softmax(logits / temperature)
    divergence = tf.reduce_sum(tf.exp(wanted) * (wanted - found), axis=-1)
    return temperature**2 * divergence
