"""Forward-backward and Viterbi recursions over left-to-right chains of states.

A path starts and ends where the chain allows it. From frame to frame it stays in its
state, goes to the next one or skips some. All is in log space (L. R. Rabiner, "A
Tutorial on Hidden Markov Models and Selected Applications in Speech Recognition",
Proceedings of the IEEE 77(2), 1989, section III), for batches of padded utterances.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

LOG_ZERO = -1e9  # The logarithm of a probability of 0; sums of it stay finite.


class Transitions(NamedTuple):
    """Logarithms of the probabilities to enter a state, float32 [batch, states].

    Those of states that an utterance does not have are `LOG_ZERO`, but for
    `self_loop`.

    Attributes:
        skip_length: How many states `skip` goes forward; more than 1.
        initial: At the first frame.
        self_loop: From the state itself.
        next: From the state before.
        skip: From the state `skip_length` before.
        final: From the state to the end, after the last frame.
    """

    skip_length: int
    initial: tf.Tensor
    self_loop: tf.Tensor
    next: tf.Tensor
    skip: tf.Tensor
    final: tf.Tensor


def forward_backward(
    emissions: tf.Tensor,
    lengths: tf.Tensor,
    transitions: Transitions,
    states: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the logarithms of alpha and beta (Rabiner 1989, eq. 18 to 25).

    Both contain the emission of their own frame. A left-to-right chain that is read
    from its end is one, too, so that beta is the alpha of the reversed utterance; both
    are computed side by side.

    Args:
        emissions: Log densities, float32 [frames, batch, states]; at least 2 frames.
        lengths: The frames of each utterance, int32 [batch].
        transitions: The transitions.
        states: The number of states of each utterance, int32 [batch].

    Returns:
        log_alpha and log_beta, float32 [frames, batch, states].
    """

    def reversed_states(values: tf.Tensor, shift: int = 0) -> tf.Tensor:
        return tf.reverse_sequence(tf.roll(values, -shift, 1), states, 1, 0)

    def reversed_all(values: tf.Tensor) -> tf.Tensor:
        values = tf.reverse_sequence(values, states, 2, 1)
        return tf.reverse_sequence(values, lengths, 0, 1)

    def advance(log_alpha: tf.Tensor, emission: tf.Tensor) -> tf.Tensor:
        return _log_sum(_incoming(log_alpha, both)) + emission

    # A transition from i to i + n leads, in the reversed chain, from there to i.
    backwards = (
        reversed_states(transitions.final),
        reversed_states(transitions.self_loop),
        reversed_states(transitions.next, 1),
        reversed_states(transitions.skip, transitions.skip_length),
        reversed_states(transitions.initial),
    )
    pairs = zip(transitions[1:], backwards, strict=True)
    both = Transitions(transitions.skip_length, *(tf.concat(pair, 0) for pair in pairs))
    emissions = tf.concat([emissions, reversed_all(emissions)], axis=1)
    first = both.initial + emissions[0]
    rest = tf.scan(advance, emissions[1:], first)
    sums = tf.concat([first[tf.newaxis], rest], axis=0)
    log_alpha, log_beta = tf.split(sums, 2, axis=1)
    return log_alpha, reversed_all(log_beta)


def log_likelihoods(
    emissions: tf.Tensor, lengths: tf.Tensor, transitions: Transitions
) -> tf.Tensor:
    """Returns log-probabilities of utterances, over all paths (Rabiner, eq. 21).

    Args:
        emissions: Log densities, float32 [frames, batch, states].
        lengths: The frames of each utterance, int32 [batch], at least one.
        transitions: The transitions.

    Returns:
        float32 [batch].
    """

    def advance(frame: tf.Tensor, log_alpha: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        moved = _log_sum(_incoming(log_alpha, transitions)) + emissions[frame]
        return frame + 1, tf.where((frame < lengths)[:, tf.newaxis], moved, log_alpha)

    _, log_alpha = tf.while_loop(
        lambda frame, _: frame < tf.shape(emissions)[0],
        advance,
        (tf.constant(1), transitions.initial + emissions[0]),
    )
    return tf.reduce_logsumexp(log_alpha + transitions.final, axis=1)


def best_path(
    emissions: tf.Tensor, lengths: tf.Tensor, transitions: Transitions
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the best path by the Viterbi algorithm (Rabiner 1989, eq. 32 to 35).

    Args:
        emissions: Log densities, float32 [frames, batch, states]; at least 2 frames.
        lengths: The frames of each utterance, int32 [batch].
        transitions: The transitions.

    Returns:
        The state of each frame, int32 [batch, frames], that of the last frame beyond
        the lengths; and the score of the path, float32 [batch].
    """

    def advance(
        before: tuple[tf.Tensor, tf.Tensor], emission: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        scores = tf.stack(_incoming(before[0], transitions))
        choice = tf.argmax(scores, axis=0, output_type=tf.int32)
        return tf.reduce_max(scores, axis=0) + emission, choice

    def backtrack(state: tf.Tensor, step: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        choice, frame = step
        advanced = tf.gather(steps, tf.gather(choice, state, batch_dims=1))
        return tf.where(frame < lengths, state - advanced, last)

    first = transitions.initial + emissions[0]
    scores, choices = tf.scan(
        advance, emissions[1:], (first, tf.zeros(tf.shape(first), tf.int32))
    )
    scores = tf.concat([first[tf.newaxis], scores], axis=0)
    ends = at_end(scores, lengths) + transitions.final
    last = tf.argmax(ends, axis=1, output_type=tf.int32)
    steps = tf.constant([0, 1, transitions.skip_length])
    frames = tf.range(1, tf.shape(emissions)[0])
    path = tf.scan(backtrack, (choices, frames), last, reverse=True)
    path = tf.concat([path, last[tf.newaxis]], axis=0)
    return tf.transpose(path), tf.reduce_max(ends, axis=1)


def at_end(scores: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Returns the scores at the last valid frame of each utterance.

    Args:
        scores: float32 [frames, batch, states].
        lengths: int32 [batch], in frames.

    Returns:
        float32 [batch, states].
    """
    return tf.gather(tf.transpose(scores, [1, 0, 2]), lengths - 1, batch_dims=1)


def _incoming(score: tf.Tensor, transitions: Transitions) -> list[tf.Tensor]:
    """Returns the scores of all states after each of the three transitions to them."""
    # What is rolled around the end meets transitions of probability 0.
    return [
        score + transitions.self_loop,
        tf.roll(score, 1, 1) + transitions.next,
        tf.roll(score, transitions.skip_length, 1) + transitions.skip,
    ]


def _log_sum(terms: list[tf.Tensor]) -> tf.Tensor:
    """The logarithm of the sum of what three terms are the logarithms of."""
    top = tf.maximum(tf.maximum(terms[0], terms[1]), terms[2])
    return top + tf.math.log(tf.add_n([tf.exp(t - top) for t in terms]))
