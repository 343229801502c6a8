"""Constraints: bounds that hold after every update, and change nothing inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from models.config import FINITE, argument
from tfspeech.strategies.gradients import vector_norm
from tfspeech.strategies.regularization.base import Regularization, Update
from tfspeech.strategies.regularization.units import bounded, unit_matrix, unit_norms
from tfspeech.strategies.strategy import POSITIVE, State
from tfspeech.strategies.variables import VariableInfo


@dataclasses.dataclass(frozen=True)
class Box(Regularization):
    """Constraint: every weight within [lo, hi], one that is inside stays as it is."""

    lo: float = argument(-1.0, FINITE)
    hi: float = argument(1.0, FINITE)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.lo < self.hi, "lo", f"below hi, {self.hi!r}")

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor:
        """Returns clip(w, lo, hi)."""
        return tf.clip_by_value(weight, self.lo, self.hi)


@dataclasses.dataclass(frozen=True)
class MaxNorm(Regularization):
    """Constraint: w min(1, c / |w|) for the incoming weights of every unit.

    A unit inside the ball stays as it is to the bit; Keras's own `MaxNorm` shrinks it a
    little at every step. Source: Srivastava et al. 2014, "Dropout", section 5.1.
    """

    c: float = argument(2.0, POSITIVE)

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor:
        """Returns the weight with every unit's norm at most c."""
        return bounded(weight, unit_norms(weight, info), self.c)


@dataclasses.dataclass(frozen=True)
class L2Ball(Regularization):
    """Constraint: w min(1, c / |w|) for every tensor as a whole.

    The projection on the ball of radius c; a tensor inside stays as it is to the bit.
    """

    c: float = argument(10.0, POSITIVE)

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor:
        """Returns the weight with a norm of at most c."""
        return bounded(weight, vector_norm(tf.reshape(weight, [-1])), self.c)


@dataclasses.dataclass(frozen=True)
class L1Ball(Regularization):
    """Constraint: sum |w| <= c for every tensor as a whole.

    The projection sign(w) max(|w| - t, 0), with the t at which the sum is c; it makes
    exact zeros. A tensor inside stays as it is to the bit. Source: Duchi et al. 2008,
    "Efficient Projections onto the l1-Ball"; t is found as in Michelot 1986, "A Finite
    Algorithm for Finding the Projection of a Point onto the Canonical Simplex", in a
    few passes without sorting.
    """

    c: float = argument(100.0, POSITIVE)

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor:
        """Returns the nearest tensor whose magnitudes sum to at most c."""
        total = tf.reduce_sum(tf.abs(weight))
        outside = total > self.c * (1.0 + 1e-6)
        return tf.cond(outside, lambda: self._projected(weight), lambda: weight)

    def _projected(self, weight: tf.Tensor) -> tf.Tensor:
        # Sums over a million values that all but cancel c need the double precision.
        magnitudes = tf.cast(tf.abs(weight), tf.float64)

        def threshold(above: tf.Tensor) -> tf.Tensor:
            total = tf.reduce_sum(tf.where(above, magnitudes, 0.0))
            return (total - self.c) / tf.math.count_nonzero(above, dtype=tf.float64)

        def smaller(above: tf.Tensor, changed: tf.Tensor) -> tuple[tf.Tensor, ...]:
            fewer = above & (magnitudes > threshold(above))
            return fewer, tf.reduce_any(fewer != above)

        above, _ = tf.while_loop(
            lambda above, changed: changed,
            smaller,
            (tf.ones_like(magnitudes, tf.bool), tf.constant(True)),
        )
        projected = tf.cast(tf.nn.relu(magnitudes - threshold(above)), tf.float32)
        return tf.sign(weight) * projected


@dataclasses.dataclass(frozen=True)
class Spectral(Regularization):
    """Constraint: w min(1, c / sigma), sigma the largest singular value.

    Of the matrix [values per unit, units]; for convolutions that bounds the kernel and
    not the whole map. Sigma comes from one power iteration a step, which starts where
    the last one ended: an estimate from below that is right after some steps. By
    default it leaves embeddings alone, which look rows up and multiply nothing, besides
    biases and normalisation. Source: Miyato et al. 2018, "Spectral Normalization for
    Generative Adversarial Networks" (arXiv 1802.05957), algorithm 1.
    """

    c: float = argument(1.0, POSITIVE)

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects kernels."""
        return info.kind in ("kernel", "recurrent_kernel")

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """The direction of the largest singular value, float32 [units, 1]."""
        (info,) = infos
        units = unit_matrix(tf.zeros(info.shape), info).shape[1]
        start = tf.random.stateless_normal([units, 1], seed=[1802, 5957])
        return {"direction": tf.Variable(start / tf.norm(start), trainable=False)}

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor:
        """Returns the weight with a largest singular value of at most c."""
        matrix = unit_matrix(weight, info)
        response = tf.matmul(matrix, tf.convert_to_tensor(state["direction"]))
        response = tf.math.divide_no_nan(response, tf.norm(response))
        direction = tf.matmul(matrix, response, transpose_a=True)
        sigma = tf.norm(direction)
        # A weight of zeros has no direction: the old one stays.
        new = tf.where(sigma > 0.0, direction / sigma, state["direction"])
        state["direction"].assign(new)
        return bounded(weight, sigma, self.c)
