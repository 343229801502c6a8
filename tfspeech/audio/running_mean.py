"""The mean of the frames of an utterance so far."""

from __future__ import annotations

import tensorflow as tf

RUNNING_FRAMES = 300.0
"""Memory of a running mean in frames, usually three seconds."""


def running_mean(
    features: tf.Tensor, valid: tf.Tensor, mean: tf.Tensor, count: tf.Tensor
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """Means of the frames up to each one, which forget those before `RUNNING_FRAMES`.

    m[n] = m[n - 1] + (x[n] - m[n - 1]) / min(n, `RUNNING_FRAMES`), n = 1, 2 ...

    Args:
        features: float32 [batch, frames, dim].
        valid: Which frames count, bool [batch, frames, 1].
        mean: Of the frames before these, float32 [batch, dim].
        count: How many there were, at most `RUNNING_FRAMES`, float32 [batch].

    Returns:
        The means, float32 [batch, frames, dim]; and `mean` and `count` behind them.
    """

    def step(
        before: tuple[tf.Tensor, tf.Tensor], frame: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        (mean, count), (values, counts) = before, frame
        more = tf.minimum(count + 1.0, RUNNING_FRAMES)
        after = mean + (values - mean) / more[:, tf.newaxis]
        return tf.where(counts, after, mean), tf.where(counts[:, 0], more, count)

    frames = (tf.transpose(features, [1, 0, 2]), tf.transpose(valid, [1, 0, 2]))
    means, counts = tf.scan(step, frames, (mean, count))
    return tf.transpose(means, [1, 0, 2]), (means[-1], counts[-1])
