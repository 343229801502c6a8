"""Connectionist temporal classification: loss and decoding of frame-wise classes.

A path names a class for every frame; without repetitions and then without blanks it
reads as a sequence of symbols. Source: Graves et al. 2006, "Connectionist temporal
classification: labelling unsegmented sequence data with recurrent neural networks".
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from models.trellis import LOG_ZERO, Transitions, log_likelihoods

BLANK = -1
"""The class of the blank, counted as Python does: the last. `tf.nn.ctc_loss` and
`tf.nn.ctc_greedy_decoder` are told so, `tf.nn.ctc_beam_search_decoder` knows no other
place; `keras.losses.CTC` has it first."""


class Symbols(NamedTuple):
    """Symbols that were read from frames.

    Attributes:
        numbers: Of the symbols, ragged int32 [batch, symbols].
        starts: The first frame of each, ragged int32 [batch, symbols].
        ends: The frame behind the last of each, ragged int32 [batch, symbols].
    """

    numbers: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


def required_frames(symbols: tf.Tensor, symbol_lengths: tf.Tensor) -> tf.Tensor:
    """Returns the fewest frames that read as some symbols, int32 [batch].

    That is one for each symbol, and a blank between two that are the same.

    Args:
        symbols: int32 [batch, symbols].
        symbol_lengths: int32 [batch], how many of them are valid.
    """
    inside = tf.sequence_mask(symbol_lengths - 1, tf.shape(symbols[:, 1:])[1])
    repeated = (symbols[:, 1:] == symbols[:, :-1]) & inside
    return symbol_lengths + tf.reduce_sum(tf.cast(repeated, tf.int32), axis=1)


def ctc_losses(
    logits: tf.Tensor,
    lengths: tf.Tensor,
    symbols: tf.Tensor,
    symbol_lengths: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Negative log-probabilities of sequences of symbols, over all their paths.

    Args:
        logits: float32 [batch, frames, symbols + 1]; the last class is the blank.
        lengths: int32 [batch], in frames.
        symbols: int32 [batch, symbols].
        symbol_lengths: int32 [batch], how many of them are valid, at least one.

    Returns:
        The losses in nats, float32 [batch]; and whether there are as many frames as the
        symbols need, bool [batch]. Where there are not, the loss and its gradient
        are 0.
    """
    fits = required_frames(symbols, symbol_lengths) <= lengths
    # Where they do not fit, the first alone: the loss takes no empty sequence.
    counts = tf.where(fits, symbol_lengths, 1)
    kept = tf.sequence_mask(counts, tf.shape(symbols)[1])
    # Sparse: with dense labels, what does not fit has a finite loss that means nothing.
    sparse = tf.SparseTensor(
        tf.where(kept),
        tf.boolean_mask(symbols, kept),
        tf.shape(symbols, out_type=tf.int64),
    )
    losses = tf.nn.ctc_loss(
        sparse, logits, None, lengths, logits_time_major=False, blank_index=BLANK
    )
    return tf.where(fits, losses, 0.0), fits


def log_probabilities(
    logits: tf.Tensor, lengths: tf.Tensor, numbers: tf.RaggedTensor
) -> tf.Tensor:
    """Returns the log-probabilities of texts, over all their paths.

    They are those of `ctc_losses`, also of empty texts, in operations that exported
    graphs may have.

    Args:
        logits: float32 [batch, frames, symbols + 1]; the last class is the blank.
        lengths: int32 [batch], in frames, at least one.
        numbers: Symbols that fit into the frames, ragged int32 [batch, symbols].

    Returns:
        float32 [batch].
    """
    blank = logits.shape[2] + BLANK
    symbols = numbers.to_tensor()
    counts = tf.cast(numbers.row_lengths(), tf.int32)[:, tf.newaxis]
    # Every symbol is a state, and so is the blank before it and that at the end.
    pairs = tf.stack([tf.fill(tf.shape(symbols), blank), symbols], axis=2)
    states = tf.reshape(pairs, [tf.shape(symbols)[0], 2 * tf.shape(symbols)[1]])
    states = tf.pad(states, [[0, 0], [0, 1]], constant_values=blank)
    places = tf.range(tf.shape(states)[1])[tf.newaxis]
    exists = places <= 2 * counts
    # A blank may be left out between two symbols that differ.
    is_other = (states != blank) & (states != tf.roll(states, 2, 1))

    def allowed(where: tf.Tensor) -> tf.Tensor:
        return tf.where(where & exists, 0.0, LOG_ZERO)

    transitions = Transitions(
        skip_length=2,
        initial=allowed(places <= 1),
        self_loop=tf.zeros(tf.shape(states)),
        next=allowed(places >= 1),
        skip=allowed(is_other & (places >= 2)),
        final=allowed(places >= 2 * counts - 1),
    )
    scores = tf.gather(tf.nn.log_softmax(logits), states, axis=2, batch_dims=1)
    return log_likelihoods(tf.transpose(scores, [1, 0, 2]), lengths, transitions)


def read_best_path(logits: tf.Tensor, lengths: tf.Tensor) -> Symbols:
    """Reads the most probable class of every frame (greedy decoding).

    Args:
        logits: float32 [batch, frames, symbols + 1]; the last class is the blank.
        lengths: int32 [batch], in frames.
    """
    blank = logits.shape[2] + BLANK
    best = tf.argmax(logits, axis=2, output_type=tf.int32)
    best = tf.where(tf.sequence_mask(lengths, tf.shape(best)[1]), best, blank)
    edge = tf.fill([tf.shape(best)[0], 1], blank)
    starts = (best != blank) & (best != tf.concat([edge, best[:, :-1]], axis=1))
    ends = (best != blank) & (best != tf.concat([best[:, 1:], edge], axis=1))
    frames = tf.zeros_like(best) + tf.range(tf.shape(best)[1])
    return Symbols(
        tf.ragged.boolean_mask(best, starts),
        tf.ragged.boolean_mask(frames, starts),
        tf.ragged.boolean_mask(frames + 1, ends),
    )
