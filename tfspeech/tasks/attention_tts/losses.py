"""Losses of a synthesiser with attention beside its frames: of attention and stop."""

from __future__ import annotations

import tensorflow as tf

from tfspeech.tasks.attention_tts.data import TAIL_STEPS

_STOP_COUNTS = 5.0
"""How often a step that stops counts, against one that goes on."""


def stop_loss(logits: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy per decoder step of the token that ends an utterance, in nats.

    The last step of speech is to stop, and so are the `TAIL_STEPS` after it. They count
    five times, since there are few of them per utterance.

    Args:
        logits: float32 [batch, steps].
        steps: int32 [batch], of each utterance with its tail.
    """
    count = tf.shape(logits)[1]
    valid = tf.sequence_mask(steps, count, tf.float32)
    stop = valid - tf.sequence_mask(steps - 1 - TAIL_STEPS, count, tf.float32)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(stop, logits)
    weights = valid + (_STOP_COUNTS - 1.0) * stop
    return tf.reduce_sum(losses * weights) / tf.reduce_sum(valid)


def guided_attention_loss(
    alignment: tf.Tensor, steps: tf.Tensor, symbols: tf.Tensor, width: float
) -> tf.Tensor:
    """Mean share of the attention that is far from the diagonal.

    H. Tachibana, K. Uenoyama, S. Aihara 2018, "Efficiently Trainable Text-to-Speech
    System Based on Deep Convolutional Networks with Guided Attention" (arXiv
    1710.08969), section 4.1: the mean over the steps of
    sum a_tn (1 - exp(-(n / N - t / T)^2 / (2 g^2))).

    Args:
        alignment: float32 [batch, steps, symbols], 0 beyond the symbols.
        steps: int32 [batch], T.
        symbols: int32 [batch], N.
        width: g.
    """
    _, count, length = tf.unstack(tf.shape(alignment))
    t = tf.range(count, dtype=tf.float32) / tf.cast(steps, tf.float32)[:, tf.newaxis]
    n = tf.range(length, dtype=tf.float32) / tf.cast(symbols, tf.float32)[:, tf.newaxis]
    distance = n[:, tf.newaxis] - t[:, :, tf.newaxis]
    far = 1.0 - tf.exp(-tf.square(distance) / (2.0 * width**2))
    valid = tf.sequence_mask(steps, count, tf.float32)
    shares = tf.reduce_sum(alignment * far, axis=2)
    return tf.reduce_sum(shares * valid) / tf.reduce_sum(valid)
