"""Left-to-right hidden Markov models with Gaussian mixtures, in log space.

A unit, such as a phoneme, is a row of states; each emits frames from its own mixture of
Gaussians with diagonal covariances and is left for the next one only. The chain of an
utterance is that of its units, of which some may be left out: the pauses between words.
Formulas are those of L. R. Rabiner, "A Tutorial on Hidden Markov Models and Selected
Applications in Speech Recognition", Proceedings of the IEEE 77(2), 1989, and of
S. Young et al., "The HTK Book", chapter 8, for mixtures and several utterances.

All functions take batches of padded utterances; padding, and what else is in a batch,
changes nothing. They are pure: an `Hmm` and the `Statistics` of an iteration of
Baum-Welch are tuples of tensors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

_IMPOSSIBLE = -1e9  # The logarithm of a probability of 0; sums of it stay finite.
_SPLIT_DEVIATIONS = 0.2
_LEAST_WEIGHT = 1e-5
_LEAST_PROBABILITY = 0.01


class Hmm(NamedTuple):
    """The parameters of all units.

    Attributes:
        log_weights: Of the Gaussians in each state, float32 [states, gaussians].
        means: float32 [states, gaussians, dim].
        variances: float32 [states, gaussians, dim].
        stay: The probability that a state is followed by itself, float32 [states].
        optional: The probability that an optional unit is not left out, float32 [].
    """

    log_weights: tf.Tensor
    means: tf.Tensor
    variances: tf.Tensor
    stay: tf.Tensor
    optional: tf.Tensor


class Chains(NamedTuple):
    """The states of utterances, one after the other.

    Attributes:
        states: Which state is at each place, int32 [batch, places].
        lengths: The places of each utterance, int32 [batch].
        is_optional: Whether a place is in a unit that may be left out, bool
            [batch, places]. Two such units never follow each other, and each utterance
            has others.
        states_per_unit: How many places a unit has.
    """

    states: tf.Tensor
    lengths: tf.Tensor
    is_optional: tf.Tensor
    states_per_unit: int


class Statistics(NamedTuple):
    """What an iteration of Baum-Welch adds up; those of batches are added.

    Attributes:
        occupancy: Expected frames of each Gaussian, float32 [states, gaussians].
        first: Sums of the features, weighted so, float32 [states, gaussians, dim].
        second: Sums of their squares, float32 [states, gaussians, dim].
        stays: Expected transitions of a state to itself, float32 [states].
        taken: Expected number of optional units that are not left out, float32 [].
        optional: The number of optional units, float32 [].
        log_likelihood: Of all utterances, natural logarithm, float64 [].
        frames: Of all utterances, float64 [].
    """

    occupancy: tf.Tensor
    first: tf.Tensor
    second: tf.Tensor
    stays: tf.Tensor
    taken: tf.Tensor
    optional: tf.Tensor
    log_likelihood: tf.Tensor
    frames: tf.Tensor


class _Arcs(NamedTuple):
    """Logarithms of the probabilities to come to a place, float32 [batch, places].

    Attributes:
        start: At the first frame.
        stay: From the place itself.
        enter: From the place before.
        skip: From the place before an optional unit.
        end: From the place to the end, after the last frame.
    """

    start: tf.Tensor
    stay: tf.Tensor
    enter: tf.Tensor
    skip: tf.Tensor
    end: tf.Tensor


def chain(
    units: tf.Tensor, lengths: tf.Tensor, is_optional: tf.Tensor, states_per_unit: int
) -> Chains:
    """Returns the states of utterances.

    Args:
        units: int32 [batch, units]; the states of unit u are `states_per_unit` x u and
            those that follow.
        lengths: The units of each utterance, int32 [batch].
        is_optional: Which of them may be left out, bool [batch, units].
        states_per_unit: At least 1.
    """
    first = units[:, :, tf.newaxis] * states_per_unit
    batch = tf.shape(units)[0]
    return Chains(
        tf.reshape(first + tf.range(states_per_unit), [batch, -1]),
        lengths * states_per_unit,
        tf.repeat(is_optional, states_per_unit, axis=1),
        states_per_unit,
    )


def flat_start(
    mean: tf.Tensor, variance: tf.Tensor, states: int, stay: float, optional: float
) -> Hmm:
    """Returns an HMM all of whose states are the same single Gaussian.

    Args:
        mean: Of all frames, float32 [dim].
        variance: Of all frames, float32 [dim].
        states: Of all units.
        stay: The probability that a state is followed by itself; 1 / (1 - stay) is
            the expected number of its frames.
        optional: The probability that an optional unit is not left out.
    """
    return Hmm(
        tf.zeros([states, 1]),
        tf.tile(mean[tf.newaxis, tf.newaxis], [states, 1, 1]),
        tf.tile(variance[tf.newaxis, tf.newaxis], [states, 1, 1]),
        tf.fill([states], stay),
        tf.constant(optional),
    )


def split_gaussians(hmm: Hmm) -> Hmm:
    """Splits each Gaussian in two with half its weight and means 0.4 deviations apart.

    That is how HTK increases mixtures (The HTK Book, `HHEd`, command MU).
    """
    step = _SPLIT_DEVIATIONS * tf.sqrt(hmm.variances)
    return hmm._replace(
        log_weights=tf.concat([hmm.log_weights - math.log(2)] * 2, axis=1),
        means=tf.concat([hmm.means - step, hmm.means + step], axis=1),
        variances=tf.concat([hmm.variances] * 2, axis=1),
    )


def baum_welch(
    hmm: Hmm, features: tf.Tensor, lengths: tf.Tensor, chains: Chains
) -> Statistics:
    """Returns the expected counts given utterances and their states.

    With the forward and backward probabilities alpha and beta, a frame t is of state j
    with probability alpha_t(j) beta_t(j) / P(O), and of its Gaussian m with the share
    of that Gaussian in the density of the frame (Rabiner 1989, eq. 27 and 54).

    Args:
        hmm: The current parameters.
        features: float32 [batch, frames, dim], of zero mean and unit variance or so.
        lengths: The frames of each utterance, int32 [batch]; at least as many as the
            places of its chain that are not optional.
        chains: The states of the utterances.
    """
    shape = tf.shape(features)
    valid = tf.sequence_mask(lengths, shape[1])
    extended = _extended(features)
    by_gaussian = _log_densities(hmm, extended)
    by_state = tf.reduce_logsumexp(by_gaussian, axis=2)
    best = tf.reduce_max(by_state, axis=1, keepdims=True)
    places = _one_hot(chains, tf.shape(by_state)[1])
    emissions = _emissions(by_state - best, shape, places)
    arcs = _arcs(hmm, chains)
    alpha, beta = _forward_backward(emissions, arcs, lengths, chains)

    log_joint = alpha + beta - emissions
    log_total = tf.reduce_logsumexp(log_joint, axis=2, keepdims=True)
    weights = tf.cast(tf.transpose(valid), tf.float32)[:, :, tf.newaxis]
    posterior = weights * tf.exp(log_joint - log_total)
    log_stays = (alpha[:-1] + arcs.stay + beta[1:]) - log_total[:-1]
    stays = tf.reduce_sum(weights[1:] * tf.exp(log_stays), axis=0)

    by_state_posterior = tf.reshape(
        tf.einsum("tbp,bps->bts", posterior, places), tf.shape(by_state)
    )
    shares = tf.exp(by_gaussian - by_state[:, :, tf.newaxis])
    shares *= by_state_posterior[:, :, tf.newaxis]
    states, gaussians, dim = tf.unstack(tf.shape(hmm.means))
    sums = tf.matmul(
        tf.reshape(shares, [-1, states * gaussians]), extended, transpose_a=True
    )
    sums = tf.reshape(sums, [states, gaussians, 2 * dim + 1])
    visits = tf.reduce_sum(posterior, axis=0) - stays
    is_optional = tf.cast(chains.is_optional, tf.float32) * tf.reduce_sum(places, 2)
    best = tf.where(tf.reshape(valid, [-1]), best[:, 0], 0.0)
    log_path = _at_end(alpha, lengths) + arcs.end
    log_path = tf.cast(tf.reduce_logsumexp(log_path, axis=1), tf.float64)
    return Statistics(
        occupancy=sums[:, :, 2 * dim],
        first=sums[:, :, :dim],
        second=sums[:, :, dim : 2 * dim],
        stays=tf.einsum("bp,bps->s", stays, places),
        taken=tf.reduce_sum(visits * is_optional) / chains.states_per_unit,
        optional=tf.reduce_sum(is_optional) / chains.states_per_unit,
        log_likelihood=tf.reduce_sum(tf.cast(best, tf.float64))
        + tf.reduce_sum(log_path),
        frames=tf.cast(tf.reduce_sum(lengths), tf.float64),
    )


def reestimate(
    hmm: Hmm, statistics: Statistics, variance_floor: tf.Tensor, least_frames: float
) -> Hmm:
    """Returns the parameters under which the expected counts are likeliest.

    Args:
        hmm: The parameters that gave the statistics.
        statistics: Of all utterances.
        variance_floor: The least variances, float32 [dim].
        least_frames: A Gaussian with a lesser occupancy stays as it is.
    """
    occupancy = statistics.occupancy
    by_state = tf.reduce_sum(occupancy, axis=1)
    is_seen = (occupancy >= least_frames)[:, :, tf.newaxis]
    count = tf.maximum(occupancy, least_frames)[:, :, tf.newaxis]
    means = statistics.first / count
    variances = tf.maximum(statistics.second / count - means**2, variance_floor)
    share = occupancy / tf.maximum(by_state, least_frames)[:, tf.newaxis]
    log_weights = tf.math.log(tf.maximum(share, _LEAST_WEIGHT))
    stay = statistics.stays / tf.maximum(by_state, least_frames)
    taken = statistics.taken / tf.maximum(statistics.optional, 1.0)
    is_state_seen = by_state >= least_frames
    return Hmm(
        tf.where(is_state_seen[:, tf.newaxis], log_weights, hmm.log_weights),
        tf.where(is_seen, means, hmm.means),
        tf.where(is_seen, variances, hmm.variances),
        tf.where(is_state_seen, _probability(stay), hmm.stay),
        _probability(taken),
    )


def viterbi(
    hmm: Hmm, features: tf.Tensor, lengths: tf.Tensor, chains: Chains
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the likeliest place of each frame (Rabiner 1989, section III B).

    Args:
        hmm: The parameters.
        features: float32 [batch, frames, dim].
        lengths: See `baum_welch`.
        chains: The states of the utterances.

    Returns:
        Places, int32 [batch, frames], that of the last frame beyond the lengths; and
        the logarithm of the likelihood of that path, float32 [batch]. It is below -1e8
        for an utterance with fewer frames than places that are not optional.
    """
    shape = tf.shape(features)
    by_state = tf.reduce_logsumexp(_log_densities(hmm, _extended(features)), axis=2)
    best = tf.reduce_max(by_state, axis=1, keepdims=True)
    places = _one_hot(chains, tf.shape(by_state)[1])
    emissions = _emissions(by_state - best, shape, places)
    arcs = _arcs(hmm, chains)
    unit = chains.states_per_unit

    def advance(
        before: tuple[tf.Tensor, tf.Tensor], emission: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        ways = tf.stack(_ways(before[0], arcs, unit))
        score = tf.reduce_max(ways, axis=0)
        return score + emission, tf.argmax(ways, axis=0, output_type=tf.int32)

    start = (arcs.start + emissions[0], tf.zeros(tf.shape(arcs.start), tf.int32))
    scores, ways = tf.scan(advance, emissions[1:], start)
    scores = tf.concat([start[0][tf.newaxis], scores], axis=0)
    final = _at_end(scores, lengths) + arcs.end
    last = tf.argmax(final, axis=1, output_type=tf.int32)
    steps = tf.constant([0, 1, unit + 1])

    def retreat(place: tf.Tensor, way: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        taken = tf.gather(way[0], place, batch_dims=1)
        return tf.where(way[1] < lengths, place - tf.gather(steps, taken), last)

    path = tf.scan(retreat, (ways, tf.range(1, shape[1])), last, reverse=True)
    path = tf.transpose(tf.concat([path, last[tf.newaxis]], axis=0))
    valid = tf.sequence_mask(lengths, shape[1])
    best = tf.where(valid, tf.reshape(best, shape[:2]), 0.0)
    return path, tf.reduce_max(final, axis=1) + tf.reduce_sum(best, axis=1)


def _probability(value: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(value, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)


def _extended(features: tf.Tensor) -> tf.Tensor:
    """Returns features, their squares and 1, float32 [all frames, 2 dim + 1]."""
    flat = tf.reshape(features, [-1, features.shape[2]])
    return tf.concat([flat, flat**2, tf.ones_like(flat[:, :1])], axis=1)


def _log_densities(hmm: Hmm, extended: tf.Tensor) -> tf.Tensor:
    """Returns log(weight x density), float32 [all frames, states, gaussians].

    The exponent of a Gaussian with a diagonal covariance is linear in the features,
    their squares and 1, so that one matrix product gives all.
    """
    states, gaussians, dim = tf.unstack(tf.shape(hmm.means))
    constant = hmm.log_weights - 0.5 * (
        tf.reduce_sum(
            tf.math.log(2 * math.pi * hmm.variances) + hmm.means**2 / hmm.variances,
            axis=2,
        )
    )
    weights = tf.concat(
        [hmm.means / hmm.variances, -0.5 / hmm.variances, constant[:, :, tf.newaxis]],
        axis=2,
    )
    weights = tf.reshape(weights, [states * gaussians, 2 * dim + 1])
    product = tf.matmul(extended, weights, transpose_b=True)
    return tf.reshape(product, [-1, states, gaussians])


def _one_hot(chains: Chains, states: tf.Tensor) -> tf.Tensor:
    """Returns which state is at which place, float32 [batch, places, states]."""
    valid = tf.sequence_mask(chains.lengths, tf.shape(chains.states)[1])
    return tf.one_hot(tf.where(valid, chains.states, -1), states)


def _emissions(by_state: tf.Tensor, shape: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Returns the log density of each frame at each place, [frames, batch, places].

    It is relative to that of the frame's best state, so that sums over an utterance
    stay small enough for float32.
    """
    by_state = tf.reshape(by_state, [shape[0], shape[1], -1])
    return tf.einsum("bts,bps->tbp", by_state, places)


def _arcs(hmm: Hmm, chains: Chains) -> _Arcs:
    optional, unit = chains.is_optional, chains.states_per_unit
    place = tf.range(tf.shape(optional)[1])
    last = chains.lengths[:, tf.newaxis] - 1
    stay = tf.gather(hmm.stay, chains.states)
    leave = tf.math.log(1 - stay)
    log_taken, log_left = tf.math.log(hmm.optional), tf.math.log(1 - hmm.optional)
    # What takes an optional unit comes to its first place; what does not comes to
    # that of the next unit.
    is_first = place % unit == 0
    take = tf.where(optional & is_first, log_taken, 0.0)
    after_optional = tf.roll(optional, unit, 1) & is_first & (place >= unit)
    ends_optional = tf.gather(optional, last, batch_dims=1)

    def cases(*pairs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        result = tf.fill(tf.shape(optional), _IMPOSSIBLE)
        for condition, log_probability in pairs:
            result = tf.where(condition, log_probability, result)
        return result

    return _Arcs(
        start=cases((place == 0, take), (after_optional & (place == unit), log_left)),
        stay=tf.math.log(stay),
        enter=cases(((place > 0) & (place <= last), tf.roll(leave, 1, 1) + take)),
        skip=cases(
            (
                after_optional & (place > unit) & (place <= last),
                tf.roll(leave, unit + 1, 1) + log_left,
            )
        ),
        end=cases(
            (place == last, leave),
            (ends_optional & (place == last - unit), leave + log_left),
        ),
    )


def _ways(score: tf.Tensor, arcs: _Arcs, unit: int) -> list[tf.Tensor]:
    """Returns the scores of all places after each of the three ways to them."""
    # What is rolled around the end meets arcs that are impossible.
    return [
        score + arcs.stay,
        tf.roll(score, 1, 1) + arcs.enter,
        tf.roll(score, unit + 1, 1) + arcs.skip,
    ]


def _forward_backward(
    emissions: tf.Tensor, arcs: _Arcs, lengths: tf.Tensor, chains: Chains
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the logarithms of alpha and beta, [frames, batch, places].

    Both contain the emission of their own frame. A left-to-right chain that is read
    from its end is one, too, so that beta is the alpha of the reversed utterance; both
    are computed side by side.
    """
    unit = chains.states_per_unit

    def reversed_places(values: tf.Tensor) -> tf.Tensor:
        return tf.reverse_sequence(values, chains.lengths, 1, 0)

    def reversed_all(values: tf.Tensor) -> tf.Tensor:
        values = tf.reverse_sequence(values, chains.lengths, 2, 1)
        return tf.reverse_sequence(values, lengths, 0, 1)

    backwards = _Arcs(
        start=reversed_places(arcs.end),
        stay=reversed_places(arcs.stay),
        enter=reversed_places(tf.roll(arcs.enter, -1, 1)),
        skip=reversed_places(tf.roll(arcs.skip, -unit - 1, 1)),
        end=reversed_places(arcs.start),
    )
    both = _Arcs(*(tf.concat(pair, 0) for pair in zip(arcs, backwards, strict=True)))
    emissions = tf.concat([emissions, reversed_all(emissions)], axis=1)

    def advance(alpha: tf.Tensor, emission: tf.Tensor) -> tf.Tensor:
        ways = _ways(alpha, both, unit)
        top = tf.maximum(tf.maximum(ways[0], ways[1]), ways[2])
        return top + tf.math.log(tf.add_n([tf.exp(w - top) for w in ways])) + emission

    first = both.start + emissions[0]
    rest = tf.scan(advance, emissions[1:], first)
    alpha, beta = tf.split(tf.concat([first[tf.newaxis], rest], axis=0), 2, axis=1)
    return alpha, reversed_all(beta)


def _at_end(scores: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Returns the scores of the last valid frame, [batch, places]."""
    return tf.gather(tf.transpose(scores, [1, 0, 2]), lengths - 1, batch_dims=1)
