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

from models.trellis import IMPOSSIBLE, Arcs, at_end, best_path, forward_backward

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


class _Trellis(NamedTuple):
    """What the recursions over frames and places need.

    Attributes:
        extended: See `_extended`.
        log_shares: Of the Gaussians in the density of their state, float32
            [all frames, states, gaussians].
        best: The log density of each frame in its best state, float32 [batch, frames],
            0 beyond the lengths.
        places: Which state is at which place, float32 [batch, places, states].
        emissions: The log density of each frame at each place, float32
            [frames, batch, places]. It is relative to `best`, so that sums over an
            utterance stay small enough for float32.
        arcs: The transitions.
    """

    extended: tf.Tensor
    log_shares: tf.Tensor
    best: tf.Tensor
    places: tf.Tensor
    emissions: tf.Tensor
    arcs: Arcs


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
        lengths: The frames of each utterance, int32 [batch]; at least 2, and as many as
            its chain has places that are not optional.
        chains: The states of the utterances.
    """
    trellis = _trellis(hmm, features, lengths, chains)
    alpha, beta = forward_backward(
        trellis.emissions, lengths, trellis.arcs, chains.lengths
    )
    posterior, stays = _posteriors(trellis, alpha, beta, lengths)
    sums = _weighted_sums(trellis, posterior)
    dim = features.shape[2]
    visits = tf.reduce_sum(posterior, axis=0) - stays
    is_place = tf.reduce_sum(trellis.places, axis=2)
    is_optional = tf.cast(chains.is_optional, tf.float32) * is_place
    relative = tf.reduce_logsumexp(
        at_end(alpha, lengths) + trellis.arcs.end, axis=1, keepdims=True
    )
    terms = tf.concat([trellis.best, relative], axis=1)
    return Statistics(
        occupancy=sums[:, :, 2 * dim],
        first=sums[:, :, :dim],
        second=sums[:, :, dim : 2 * dim],
        stays=tf.einsum("bp,bps->s", stays, trellis.places),
        taken=tf.reduce_sum(visits * is_optional) / chains.states_per_unit,
        optional=tf.reduce_sum(is_optional) / chains.states_per_unit,
        log_likelihood=tf.reduce_sum(tf.cast(terms, tf.float64)),
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
    trellis = _trellis(hmm, features, lengths, chains)
    path, score = best_path(trellis.emissions, lengths, trellis.arcs)
    return path, score + tf.reduce_sum(trellis.best, axis=1)


def _probability(value: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(value, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)


def _trellis(
    hmm: Hmm, features: tf.Tensor, lengths: tf.Tensor, chains: Chains
) -> _Trellis:
    shape = tf.shape(features)
    extended = _extended(features)
    by_gaussian = _log_densities(hmm, extended)
    by_state = tf.reduce_logsumexp(by_gaussian, axis=2)
    best = tf.reduce_max(by_state, axis=1, keepdims=True)
    places = _one_hot(chains, tf.shape(by_state)[1])
    relative = tf.reshape(by_state - best, [shape[0], shape[1], -1])
    return _Trellis(
        extended,
        by_gaussian - by_state[:, :, tf.newaxis],
        tf.where(tf.sequence_mask(lengths, shape[1]), tf.reshape(best, shape[:2]), 0.0),
        places,
        tf.einsum("bts,bps->tbp", relative, places),
        _arcs(hmm, chains),
    )


def _posteriors(
    trellis: _Trellis, alpha: tf.Tensor, beta: tf.Tensor, lengths: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns how likely each frame is at each place, and expected stays.

    The first is [frames, batch, places], 0 beyond the lengths, the second
    [batch, places].
    """
    log_joint = alpha + beta - trellis.emissions
    # That of each frame for itself: rounding errors along the utterance cancel.
    log_total = tf.reduce_logsumexp(log_joint, axis=2, keepdims=True)
    valid = tf.sequence_mask(lengths, tf.shape(alpha)[0], tf.float32)
    valid = tf.transpose(valid)[:, :, tf.newaxis]
    log_stays = alpha[:-1] + trellis.arcs.stay + beta[1:] - log_total[:-1]
    stays = tf.reduce_sum(valid[1:] * tf.exp(log_stays), axis=0)
    return valid * tf.exp(log_joint - log_total), stays


def _weighted_sums(trellis: _Trellis, posterior: tf.Tensor) -> tf.Tensor:
    """Returns the extended features of each Gaussian, [states, gaussians, 2 dim + 1].

    They are added over all frames, weighted by how likely it has emitted them.
    """
    shape = tf.shape(trellis.log_shares)
    by_state = tf.einsum("tbp,bps->bts", posterior, trellis.places)
    weights = tf.reshape(by_state, [shape[0], shape[1], 1])
    weights *= tf.exp(trellis.log_shares)
    sums = tf.matmul(
        tf.reshape(weights, [shape[0], -1]), trellis.extended, transpose_a=True
    )
    return tf.reshape(sums, [shape[1], shape[2], -1])


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


def _arcs(hmm: Hmm, chains: Chains) -> Arcs:
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
        result = tf.fill(tf.shape(optional), IMPOSSIBLE)
        for condition, log_probability in pairs:
            result = tf.where(condition, log_probability, result)
        return result

    return Arcs(
        jump=unit + 1,
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
