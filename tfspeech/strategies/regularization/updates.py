"""Update rules: what shrinks weights beside the optimizer."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from models.config import argument
from tfspeech.strategies.regularization.base import Regularization, Update
from tfspeech.strategies.regularization.units import (
    has_spare_units,
    unit_norms,
    unit_size,
)
from tfspeech.strategies.strategy import POSITIVE, State
from tfspeech.strategies.variables import VariableInfo


@dataclasses.dataclass(frozen=True)
class WeightDecay(Regularization):
    """Update rule: w <- w - lr s w after the optimizer's own update.

    Decoupled from the gradient, so clipping and the optimizer's moments do not see it.
    Source: Loshchilov, Hutter 2019, "Decoupled Weight Decay Regularization" (arXiv
    1711.05101), algorithm 2 with the rate taken into account as PyTorch and Keras do.
    """

    s: float = argument(1e-2, POSITIVE)

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor:
        """Returns w (1 - lr s)."""
        return weight * (1.0 - update.learning_rate * self.s)


@dataclasses.dataclass(frozen=True)
class L1Prox(Regularization):
    """Update rule: w <- sign(w) max(|w| - lr s, 0) after the optimizer's own update.

    The proximal step of s sum |w|. Weights become exactly zero, and stay so where the
    optimizer moves them by less than lr s a step. Source: Beck, Teboulle 2009, "A Fast
    Iterative Shrinkage-Thresholding Algorithm", equation 1.5.
    """

    s: float = argument(0.2, POSITIVE)

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor:
        """Returns sign(w) max(|w| - lr s, 0)."""
        shrunk = tf.nn.relu(tf.abs(weight) - update.learning_rate * self.s)
        return tf.sign(weight) * shrunk


@dataclasses.dataclass(frozen=True)
class GroupLasso(Regularization):
    """Update rule: w_g <- w_g max(0, 1 - lr s sqrt(d_g) / |w_g|) for every unit g.

    d_g is the number of values that lead into the unit. All of them become exactly zero
    together. By default it leaves embeddings and output layers alone besides biases and
    normalisation, for their units are symbols and classes, of which none is to vanish,
    and kernels of a single unit. Source: Yuan, Lin 2006, "Model selection and
    estimation in regression with grouped variables", as a proximal step.
    """

    s: float = argument(1e-2, POSITIVE)

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects kernels of several units but those of output layers."""
        return has_spare_units(info)

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor:
        """Returns w_g max(0, 1 - lr s sqrt(d_g) / |w_g|)."""
        shrinkage = update.learning_rate * (self.s * math.sqrt(unit_size(info)))
        share = tf.math.divide_no_nan(shrinkage, unit_norms(weight, info))
        return weight * tf.nn.relu(1.0 - share)
