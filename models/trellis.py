"""Sums and maxima over the paths of utterances through left-to-right chains of places.

A path starts and ends where the chain allows it, and from frame to frame it stays, goes
to the next place or jumps over some. All is in log space (L. R. Rabiner, "A Tutorial on
Hidden Markov Models and Selected Applications in Speech Recognition", Proceedings of
the IEEE 77(2), 1989, section III), for batches of padded utterances.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

IMPOSSIBLE = -1e9  # The logarithm of a probability of 0; sums of it stay finite.


class Arcs(NamedTuple):
    """Logarithms of the probabilities to come to a place, float32 [batch, places].

    Those of places that an utterance does not have are `IMPOSSIBLE`, but for `stay`.

    Attributes:
        jump: How many places a jump goes forward; more than 1.
        start: At the first frame.
        stay: From the place itself.
        enter: From the place before.
        skip: By a jump.
        end: From the place to the end, after the last frame.
    """

    jump: int
    start: tf.Tensor
    stay: tf.Tensor
    enter: tf.Tensor
    skip: tf.Tensor
    end: tf.Tensor


def forward_backward(
    emissions: tf.Tensor, lengths: tf.Tensor, arcs: Arcs, places: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the logarithms of alpha and beta (Rabiner 1989, eq. 18 to 25).

    Both contain the emission of their own frame. A left-to-right chain that is read
    from its end is one, too, so that beta is the alpha of the reversed utterance; both
    are computed side by side.

    Args:
        emissions: Log densities, float32 [frames, batch, places]; at least 2 frames.
        lengths: The frames of each utterance, int32 [batch].
        arcs: The transitions.
        places: The places of each utterance, int32 [batch].

    Returns:
        Two tensors, float32 [frames, batch, places].
    """

    def reversed_places(values: tf.Tensor, shift: int = 0) -> tf.Tensor:
        return tf.reverse_sequence(tf.roll(values, -shift, 1), places, 1, 0)

    def reversed_all(values: tf.Tensor) -> tf.Tensor:
        values = tf.reverse_sequence(values, places, 2, 1)
        return tf.reverse_sequence(values, lengths, 0, 1)

    def advance(alpha: tf.Tensor, emission: tf.Tensor) -> tf.Tensor:
        ways = _ways(alpha, both)
        top = tf.maximum(tf.maximum(ways[0], ways[1]), ways[2])
        return top + tf.math.log(tf.add_n([tf.exp(w - top) for w in ways])) + emission

    # An arc from i to i + n leads, in the reversed chain, from there to i.
    backwards = (
        reversed_places(arcs.end),
        reversed_places(arcs.stay),
        reversed_places(arcs.enter, 1),
        reversed_places(arcs.skip, arcs.jump),
        reversed_places(arcs.start),
    )
    pairs = zip(arcs[1:], backwards, strict=True)
    both = Arcs(arcs.jump, *(tf.concat(pair, 0) for pair in pairs))
    emissions = tf.concat([emissions, reversed_all(emissions)], axis=1)
    first = both.start + emissions[0]
    rest = tf.scan(advance, emissions[1:], first)
    alpha, beta = tf.split(tf.concat([first[tf.newaxis], rest], axis=0), 2, axis=1)
    return alpha, reversed_all(beta)


def best_path(
    emissions: tf.Tensor, lengths: tf.Tensor, arcs: Arcs
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the best path by the Viterbi algorithm (Rabiner 1989, eq. 32 to 35).

    Args:
        emissions: Log densities, float32 [frames, batch, places]; at least 2 frames.
        lengths: The frames of each utterance, int32 [batch].
        arcs: The transitions.

    Returns:
        The place of each frame, int32 [batch, frames], that of the last frame beyond
        the lengths; and the score of the path, float32 [batch].
    """

    def advance(
        before: tuple[tf.Tensor, tf.Tensor], emission: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        ways = tf.stack(_ways(before[0], arcs))
        score = tf.reduce_max(ways, axis=0)
        return score + emission, tf.argmax(ways, axis=0, output_type=tf.int32)

    def retreat(place: tf.Tensor, step: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        ways, frame = step
        taken = tf.gather(steps, tf.gather(ways, place, batch_dims=1))
        return tf.where(frame < lengths, place - taken, last)

    first = arcs.start + emissions[0]
    scores, ways = tf.scan(
        advance, emissions[1:], (first, tf.zeros(tf.shape(first), tf.int32))
    )
    final = at_end(tf.concat([first[tf.newaxis], scores], axis=0), lengths) + arcs.end
    last = tf.argmax(final, axis=1, output_type=tf.int32)
    steps = tf.constant([0, 1, arcs.jump])
    frames = tf.range(1, tf.shape(emissions)[0])
    path = tf.scan(retreat, (ways, frames), last, reverse=True)
    path = tf.concat([path, last[tf.newaxis]], axis=0)
    return tf.transpose(path), tf.reduce_max(final, axis=1)


def at_end(scores: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Returns what is in the last valid frame.

    Args:
        scores: float32 [frames, batch, places].
        lengths: int32 [batch], in frames.

    Returns:
        float32 [batch, places].
    """
    return tf.gather(tf.transpose(scores, [1, 0, 2]), lengths - 1, batch_dims=1)


def _ways(score: tf.Tensor, arcs: Arcs) -> list[tf.Tensor]:
    """Returns the scores of all places after each of the three ways to them."""
    # What is rolled around the end meets arcs that are impossible.
    return [
        score + arcs.stay,
        tf.roll(score, 1, 1) + arcs.enter,
        tf.roll(score, arcs.jump, 1) + arcs.skip,
    ]
