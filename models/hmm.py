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

from models.gaussian_mixtures import log_densities, monomials
from models.trellis import (
    LOG_ZERO,
    Transitions,
    at_end,
    best_path,
    forward_backward,
)

_SPLIT_STDS = 0.2
_MIN_WEIGHT = 1e-5
_MIN_PROBABILITY = 0.01


class Hmm(NamedTuple):
    """The parameters of all units.

    Attributes:
        log_weights: Of the Gaussians in each state, float32 [states, gaussians].
        means: float32 [states, gaussians, dim].
        variances: float32 [states, gaussians, dim].
        self_loop: The probability that a state is followed by itself, float32 [states].
        present: The probability that an optional unit is not left out, float32 [].
    """

    log_weights: tf.Tensor
    means: tf.Tensor
    variances: tf.Tensor
    self_loop: tf.Tensor
    present: tf.Tensor


class Chains(NamedTuple):
    """The left-to-right chains of states of utterances.

    Attributes:
        states: The state at each position, int32 [batch, positions].
        lengths: The number of positions of each utterance, int32 [batch].
        is_optional: Whether a position is in a unit that may be left out, bool
            [batch, positions]. Two such units never follow each other, and each
            utterance has others.
        states_per_unit: The number of positions of a unit.
    """

    states: tf.Tensor
    lengths: tf.Tensor
    is_optional: tf.Tensor
    states_per_unit: int


class Statistics(NamedTuple):
    """Sufficient statistics of an iteration of Baum-Welch; those of batches are added.

    Attributes:
        occupancy: Expected frames of each Gaussian, float32 [states, gaussians].
        features: Sums of the features, weighted by the occupancy of each frame, float32
            [states, gaussians, dim].
        squares: Sums of their squares, likewise.
        self_loops: Expected transitions of a state to itself, float32 [states].
        present: Expected number of optional units that are not left out, float32 [].
        optional: The number of optional units, float32 [].
        log_likelihood: Of all utterances, natural logarithm, float64 [].
        frames: Of all utterances, float64 [].
    """

    occupancy: tf.Tensor
    features: tf.Tensor
    squares: tf.Tensor
    self_loops: tf.Tensor
    present: tf.Tensor
    optional: tf.Tensor
    log_likelihood: tf.Tensor
    frames: tf.Tensor


class _Trellis(NamedTuple):
    """The input of the recursions over frames and positions.

    Attributes:
        monomials: Of the features.
        log_responsibilities: Of the Gaussians for the density of their state, float32
            [all frames, states, gaussians].
        log_scale: The log density of each frame in its likeliest state, float32
            [batch, frames], 0 beyond the lengths.
        one_hot: The state at each position, float32 [batch, positions, states].
        emissions: The log density of each frame at each position, float32
            [frames, batch, positions]. It is relative to `log_scale`, so that sums over
            an utterance stay small enough for float32.
        transitions: Those between positions.
    """

    monomials: tf.Tensor
    log_responsibilities: tf.Tensor
    log_scale: tf.Tensor
    one_hot: tf.Tensor
    emissions: tf.Tensor
    transitions: Transitions


def chain(
    units: tf.Tensor, lengths: tf.Tensor, is_optional: tf.Tensor, states_per_unit: int
) -> Chains:
    """Returns the chains of utterances.

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
    mean: tf.Tensor, variance: tf.Tensor, states: int, self_loop: float, present: float
) -> Hmm:
    """Returns an HMM all of whose states are the same single Gaussian.

    Args:
        mean: Of all frames, float32 [dim].
        variance: Of all frames, float32 [dim].
        states: Of all units.
        self_loop: The probability that a state is followed by itself; its expected
            number of frames is 1 / (1 - self_loop).
        present: The probability that an optional unit is not left out.
    """
    return Hmm(
        tf.zeros([states, 1]),
        tf.tile(mean[tf.newaxis, tf.newaxis], [states, 1, 1]),
        tf.tile(variance[tf.newaxis, tf.newaxis], [states, 1, 1]),
        tf.fill([states], self_loop),
        tf.constant(present),
    )


def split_gaussians(hmm: Hmm) -> Hmm:
    """Splits each Gaussian in two with half its weight and means 0.4 std apart.

    That is how HTK increases mixtures (The HTK Book, `HHEd`, command MU).
    """
    step = _SPLIT_STDS * tf.sqrt(hmm.variances)
    return hmm._replace(
        log_weights=tf.concat([hmm.log_weights - math.log(2)] * 2, axis=1),
        means=tf.concat([hmm.means - step, hmm.means + step], axis=1),
        variances=tf.concat([hmm.variances] * 2, axis=1),
    )


def baum_welch(
    hmm: Hmm, features: tf.Tensor, lengths: tf.Tensor, chains: Chains
) -> Statistics:
    """Returns the expected counts given utterances and their states.

    With the forward and backward probabilities alpha and beta, state j has emitted
    frame t with probability alpha_t(j) beta_t(j) / P(O), and its Gaussian m with the
    responsibility of that Gaussian for the frame (Rabiner 1989, eq. 27 and 54).

    Args:
        hmm: The current parameters.
        features: float32 [batch, frames, dim], of zero mean and unit variance or so.
        lengths: The frames of each utterance, int32 [batch]; at least 2, and as many as
            its chain has positions that are not optional.
        chains: The states of the utterances.
    """
    trellis = _trellis(hmm, features, lengths, chains)
    log_alpha, log_beta = forward_backward(
        trellis.emissions, lengths, trellis.transitions, chains.lengths
    )
    occupancy, self_loops = _posteriors(trellis, log_alpha, log_beta, lengths)
    sums = _weighted_sums(trellis, occupancy)
    dim = features.shape[2]
    visits = tf.reduce_sum(occupancy, axis=0) - self_loops
    is_position = tf.reduce_sum(trellis.one_hot, axis=2)
    is_optional = tf.cast(chains.is_optional, tf.float32) * is_position
    relative = tf.reduce_logsumexp(
        at_end(log_alpha, lengths) + trellis.transitions.final, axis=1, keepdims=True
    )
    terms = tf.concat([trellis.log_scale, relative], axis=1)
    return Statistics(
        occupancy=sums[:, :, 2 * dim],
        features=sums[:, :, :dim],
        squares=sums[:, :, dim : 2 * dim],
        self_loops=tf.einsum("bp,bps->s", self_loops, trellis.one_hot),
        present=tf.reduce_sum(visits * is_optional) / chains.states_per_unit,
        optional=tf.reduce_sum(is_optional) / chains.states_per_unit,
        log_likelihood=tf.reduce_sum(tf.cast(terms, tf.float64)),
        frames=tf.cast(tf.reduce_sum(lengths), tf.float64),
    )


def reestimate(
    hmm: Hmm, statistics: Statistics, variance_floor: tf.Tensor, min_occupancy: float
) -> Hmm:
    """Returns the parameters under which the expected counts are likeliest.

    Args:
        hmm: The parameters that gave the statistics.
        statistics: Of all utterances.
        variance_floor: The smallest variances, float32 [dim].
        min_occupancy: A Gaussian with a smaller occupancy stays as it is.
    """
    occupancy = statistics.occupancy
    by_state = tf.reduce_sum(occupancy, axis=1)
    is_seen = (occupancy >= min_occupancy)[:, :, tf.newaxis]
    count = tf.maximum(occupancy, min_occupancy)[:, :, tf.newaxis]
    means = statistics.features / count
    variances = tf.maximum(statistics.squares / count - means**2, variance_floor)
    weights = occupancy / tf.maximum(by_state, min_occupancy)[:, tf.newaxis]
    log_weights = tf.math.log(tf.maximum(weights, _MIN_WEIGHT))
    self_loop = statistics.self_loops / tf.maximum(by_state, min_occupancy)
    present = statistics.present / tf.maximum(statistics.optional, 1.0)
    is_state_seen = by_state >= min_occupancy
    return Hmm(
        tf.where(is_state_seen[:, tf.newaxis], log_weights, hmm.log_weights),
        tf.where(is_seen, means, hmm.means),
        tf.where(is_seen, variances, hmm.variances),
        tf.where(is_state_seen, _probability(self_loop), hmm.self_loop),
        _probability(present),
    )


def viterbi(
    hmm: Hmm, features: tf.Tensor, lengths: tf.Tensor, chains: Chains
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the likeliest path of each utterance (Rabiner 1989, section III B).

    Args:
        hmm: The parameters.
        features: float32 [batch, frames, dim].
        lengths: See `baum_welch`.
        chains: The states of the utterances.

    Returns:
        The position of each frame, int32 [batch, frames], that of the last frame beyond
        the lengths; and the logarithm of the likelihood of that path, float32 [batch].
        It is below -1e8 for an utterance with fewer frames than positions that are not
        optional.
    """
    trellis = _trellis(hmm, features, lengths, chains)
    path, score = best_path(trellis.emissions, lengths, trellis.transitions)
    return path, score + tf.reduce_sum(trellis.log_scale, axis=1)


def _probability(value: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(value, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)


def _trellis(
    hmm: Hmm, features: tf.Tensor, lengths: tf.Tensor, chains: Chains
) -> _Trellis:
    shape = tf.shape(features)
    frames = monomials(features)
    by_gaussian = log_densities(hmm.log_weights, hmm.means, hmm.variances, frames)
    by_state = tf.reduce_logsumexp(by_gaussian, axis=2)
    log_scale = tf.reduce_max(by_state, axis=1, keepdims=True)
    one_hot = _one_hot(chains, tf.shape(by_state)[1])
    valid = tf.sequence_mask(lengths, shape[1])
    relative = tf.reshape(by_state - log_scale, [shape[0], shape[1], -1])
    return _Trellis(
        frames,
        by_gaussian - by_state[:, :, tf.newaxis],
        tf.where(valid, tf.reshape(log_scale, shape[:2]), 0.0),
        one_hot,
        tf.einsum("bts,bps->tbp", relative, one_hot),
        _transitions(hmm, chains),
    )


def _posteriors(
    trellis: _Trellis, log_alpha: tf.Tensor, log_beta: tf.Tensor, lengths: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the probability of each position at each frame, and expected self-loops.

    The first is [frames, batch, positions], 0 beyond the lengths, the second
    [batch, positions].
    """
    log_joint = log_alpha + log_beta - trellis.emissions
    # That of each frame for itself: rounding errors along the utterance cancel.
    log_total = tf.reduce_logsumexp(log_joint, axis=2, keepdims=True)
    valid = tf.sequence_mask(lengths, tf.shape(log_alpha)[0], tf.float32)
    valid = tf.transpose(valid)[:, :, tf.newaxis]
    log_loops = log_alpha[:-1] + trellis.transitions.self_loop + log_beta[1:]
    # A state that is not occupied has no self-loop; where densities are tiny, rounding
    # errors would make it one, and without bound.
    loops = tf.exp(tf.minimum(log_loops, log_joint[:-1]) - log_total[:-1])
    occupancy = valid * tf.exp(log_joint - log_total)
    return occupancy, tf.reduce_sum(valid[1:] * loops, axis=0)


def _weighted_sums(trellis: _Trellis, occupancy: tf.Tensor) -> tf.Tensor:
    """Returns sums of the monomials by Gaussian, [states, gaussians, 2 dim + 1].

    Each frame is weighted by the probability that the Gaussian has emitted it.
    """
    shape = tf.shape(trellis.log_responsibilities)
    by_state = tf.einsum("tbp,bps->bts", occupancy, trellis.one_hot)
    weights = tf.reshape(by_state, [shape[0], shape[1], 1])
    weights *= tf.exp(trellis.log_responsibilities)
    sums = tf.matmul(
        tf.reshape(weights, [shape[0], -1]), trellis.monomials, transpose_a=True
    )
    return tf.reshape(sums, [shape[1], shape[2], -1])


def _one_hot(chains: Chains, states: tf.Tensor) -> tf.Tensor:
    """Returns the state at each position, float32 [batch, positions, states]."""
    valid = tf.sequence_mask(chains.lengths, tf.shape(chains.states)[1])
    return tf.one_hot(tf.where(valid, chains.states, -1), states)


def _transitions(hmm: Hmm, chains: Chains) -> Transitions:
    """Returns the transitions between positions, which may skip an optional unit."""
    optional, unit = chains.is_optional, chains.states_per_unit
    position = tf.range(tf.shape(optional)[1])
    last = chains.lengths[:, tf.newaxis] - 1
    self_loop = tf.gather(hmm.self_loop, chains.states)
    log_leave = tf.math.log(1 - self_loop)
    log_present, log_absent = tf.math.log(hmm.present), tf.math.log(1 - hmm.present)
    # A path with an optional unit enters its first position; one without enters that
    # of the next unit.
    is_first = position % unit == 0
    log_enter = tf.where(optional & is_first, log_present, 0.0)
    after_optional = tf.roll(optional, unit, 1) & is_first & (position >= unit)
    ends_optional = tf.gather(optional, last, batch_dims=1)

    def cases(*pairs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        result = tf.fill(tf.shape(optional), LOG_ZERO)
        for condition, log_probability in pairs:
            result = tf.where(condition, log_probability, result)
        return result

    return Transitions(
        skip_length=unit + 1,
        initial=cases(
            (position == 0, log_enter),
            (after_optional & (position == unit), log_absent),
        ),
        self_loop=tf.math.log(self_loop),
        next=cases(
            ((position > 0) & (position <= last), tf.roll(log_leave, 1, 1) + log_enter)
        ),
        skip=cases(
            (
                after_optional & (position > unit) & (position <= last),
                tf.roll(log_leave, unit + 1, 1) + log_absent,
            )
        ),
        final=cases(
            (position == last, log_leave),
            (ends_optional & (position == last - unit), log_leave + log_absent),
        ),
    )
