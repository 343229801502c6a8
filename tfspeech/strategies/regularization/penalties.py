"""Penalties: what weights and activations add to the loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from models.config import argument
from tfspeech.strategies.regularization.base import ActivationPenalty, Regularization
from tfspeech.strategies.regularization.units import unit_matrix, unit_size
from tfspeech.strategies.strategy import FRACTION, POSITIVE
from tfspeech.strategies.variables import VariableInfo


@dataclasses.dataclass(frozen=True)
class L1(Regularization):
    """Penalty: adds s sum |w| to the loss at every step.

    By its subgradient weights come near zero but not to it; `l1_prox` gets there.
    """

    s: float = argument(1e-5, POSITIVE)

    def penalty(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
        """Returns s sum |w|."""
        return self.s * tf.reduce_sum(tf.abs(weight))


@dataclasses.dataclass(frozen=True)
class L2(Regularization):
    """Penalty: adds s sum w^2 to the loss (without the factor 1/2 that others put)."""

    s: float = argument(1e-4, POSITIVE)

    def penalty(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
        """Returns s sum w^2."""
        return self.s * tf.reduce_sum(tf.square(weight))


@dataclasses.dataclass(frozen=True)
class L1L2(Regularization):
    """Penalty: adds l1 sum |w| + l2 sum w^2 to the loss.

    Of weights that say the same it keeps all, where `l1` alone keeps any one. Source:
    Zou, Hastie 2005, "Regularization and variable selection via the elastic net",
    equation 3.
    """

    l1: float = argument(1e-5, POSITIVE)
    l2: float = argument(1e-4, POSITIVE)

    def penalty(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
        """Returns l1 sum |w| + l2 sum w^2."""
        absolute = tf.reduce_sum(tf.abs(weight))
        return self.l1 * absolute + self.l2 * tf.reduce_sum(tf.square(weight))


@dataclasses.dataclass(frozen=True)
class KLGaussian(Regularization):
    """Penalty: adds s KL(N(m, v) || N(0, v0)) for every weight tensor.

    KL = 1/2 [(v + m^2) / v0 - 1 - ln(v / v0)], with m and v the mean and the variance
    of the tensor's values and v0 the variance that its initialiser gave them. It
    punishes collapse as well as growth. It matches two moments of one tensor and is not
    Bayesian: nothing is said about the uncertainty of a weight.
    """

    s: float = argument(1e-3, POSITIVE)

    def penalty(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
        """Returns s KL(N(m, v) || N(0, v0))."""
        mean = tf.reduce_mean(weight)
        variance = tf.reduce_mean(tf.square(weight - mean))
        prior = info.initial_variance
        # ln 0 where all weights are the same; from here on collapse costs no more.
        ratio = tf.maximum(variance / prior, 1e-8)
        second_moment = (variance + tf.square(mean)) / prior
        return 0.5 * self.s * (second_moment - 1.0 - tf.math.log(ratio))


@dataclasses.dataclass(frozen=True)
class Orthogonal(Regularization):
    """Penalty: adds s |W'W - I|^2, the columns of W being the units.

    Where there are more units than values in each, it is s |WW' - I|^2, which differs
    by a constant and can reach zero. By default it leaves embeddings alone, whose rows
    are no directions that a signal passes through, and units of a single value, besides
    biases and normalisation. Source: Brock et al. 2017, "Neural Photo Editing with
    Introspective Adversarial Networks" (arXiv 1609.07093), section 3.1, squared.
    """

    s: float = argument(1e-4, POSITIVE)

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects kernels whose units have more than one value."""
        return info.kind in ("kernel", "recurrent_kernel") and unit_size(info) > 1

    def penalty(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
        """Returns s |W'W - I|^2, Frobenius norm."""
        matrix = unit_matrix(weight, info)
        rows, columns = matrix.shape
        gram = tf.matmul(
            matrix, matrix, transpose_a=rows >= columns, transpose_b=rows < columns
        )
        return self.s * tf.reduce_sum(tf.square(gram - tf.eye(min(rows, columns))))


@dataclasses.dataclass(frozen=True)
class KLSparsity(ActivationPenalty):
    """Penalty: adds s sum_j rho ln(rho / r_j) + (1 - rho) ln((1 - rho) / (1 - r_j)).

    r_j is the mean of |h_j| of unit j over all frames of the batch that are no padding,
    on all replicas, for units in (-1, 1) such as those of recurrent layers. It asks
    each to be active with a mean of rho. Weights are left alone; `match` selects layers
    by name. Source: Ng 2011, "Sparse autoencoder" (CS294A lecture notes), section 3,
    where units are in (0, 1).
    """

    rho: float = argument(0.05, FRACTION)
    s: float = argument(1e-3, POSITIVE)

    def activation_penalty(
        self, activations: Mapping[str, tf.Tensor], lengths: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """Returns s sum KL(rho || r) over all units of the layers selected."""
        names = [name for name in activations if self.selects_layer(name)]
        terms = [self._divergence(activations[n], lengths[n]) for n in names]
        return self.s * tf.add_n(terms)

    def _divergence(self, activations: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        means = mean_magnitudes(activations, lengths)
        # A unit that is always off would cost infinitely much.
        means = tf.clip_by_value(means, 1e-6, 1.0 - 1e-6)
        on = self.rho * tf.math.log(self.rho / means)
        off = (1.0 - self.rho) * tf.math.log((1.0 - self.rho) / (1.0 - means))
        return tf.reduce_sum(on + off)


def mean_magnitudes(activations: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Means of |h| over all frames within the lengths, on all replicas together.

    Args:
        activations: [batch, frames, units], those of this replica.
        lengths: int32 [batch], in frames.

    Returns:
        float32 [units], the same on every replica.
    """
    mask = tf.sequence_mask(lengths, tf.shape(activations)[1])
    magnitudes = tf.abs(tf.cast(activations, tf.float32))
    magnitudes = tf.where(mask[:, :, tf.newaxis], magnitudes, 0.0)
    sums = tf.reduce_sum(magnitudes, axis=[0, 1])
    frames = tf.reduce_sum(tf.cast(mask, tf.float32))
    totals = tf.concat([sums, frames[tf.newaxis]], axis=0)
    totals = tf.distribute.get_replica_context().all_reduce("SUM", totals)
    return totals[:-1] / tf.maximum(totals[-1], 1.0)
