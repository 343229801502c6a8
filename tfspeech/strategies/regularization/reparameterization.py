"""Reparameterization: weights computed from themselves and one more parameter."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf

from models.config import argument
from tfspeech.strategies.regularization.base import Reparameterization, Run, Update
from tfspeech.strategies.regularization.units import has_spare_units, unit_size
from tfspeech.strategies.strategy import COUNT, FRACTION, POSITIVE
from tfspeech.strategies.variables import VariableInfo

INITIAL_STD = 0.1
"""Standard deviation of a weight's noise, in units of that of the initial values."""

TEMPERATURE, LOWEST, HIGHEST = 2.0 / 3.0, -0.1, 1.1
"""beta, gamma and zeta of Louizos et al. 2018, section 4.1."""


@dataclasses.dataclass(frozen=True)
class KLMeanField(Reparameterization):
    """Reparameterization and penalty: a weight is drawn from N(mu, softplus(rho)^2).

    The model trains with mu + softplus(rho) e, e normal noise that is drawn anew at
    every step, and is evaluated with mu. The loss gains s beta KL / examples, with

        KL = sum 1/2 [(sigma^2 + mu^2) / v0 - 1 - ln(sigma^2 / v0)]

    against N(0, v0), v0 the variance that the initialiser gave the tensor, and beta
    rising from 0 to 1 over the first `warmup` updates. With s = 1 and a loss that is a
    mean over utterances in nats it is the bound of variational inference. Biases and
    normalisation stay as they are: they are few, and their noise does most harm.
    Source: Blundell et al. 2015, "Weight Uncertainty in Neural Networks" (arXiv
    1505.05424), section 3.2.
    """

    s: float = argument(1.0, POSITIVE)
    warmup: int = argument(500, COUNT)

    def initial_parameter(self, info: VariableInfo) -> tf.Tensor:
        """Rho, one for each weight."""
        std = INITIAL_STD * math.sqrt(info.initial_variance)
        return tf.fill(info.shape, math.log(math.expm1(std)))

    def effective(
        self,
        weight: tf.Tensor,
        parameter: tf.Tensor,
        info: VariableInfo,
        seed: Sequence[int] | tf.Tensor | None,
    ) -> tf.Tensor:
        """Returns mu + softplus(rho) e, or mu without a seed."""
        if seed is None:
            return weight
        noise = tf.random.stateless_normal(info.shape, seed)
        return weight + tf.nn.softplus(parameter) * noise

    def parameter_penalty(
        self,
        weight: tf.Tensor,
        parameter: tf.Tensor,
        info: VariableInfo,
        update: Update,
        run: Run,
    ) -> tf.Tensor:
        """Returns s beta KL / examples."""
        ratio = tf.square(tf.nn.softplus(parameter)) / info.initial_variance
        distance = tf.square(weight) / info.initial_variance
        divergence = 0.5 * tf.reduce_sum(ratio + distance - 1.0 - tf.math.log(ratio))
        done = tf.cast(update.number + 1, tf.float32) / self.warmup
        return self.s * tf.minimum(done, 1.0) * divergence / run.examples


@dataclasses.dataclass(frozen=True)
class HardConcreteL0(Reparameterization):
    """Reparameterization and penalty: a gate per unit, and s for each open weight.

    The gate in [0, 1] is z = min(1, max(0, g (zeta - gamma) + gamma)); in training g =
    sigmoid((ln u - ln(1 - u) + log_alpha) / beta) with u uniform in (0, 1) and drawn
    anew at every step, in evaluation g = sigmoid(log_alpha). The loss gains
    s sum_g d_g P(z_g > 0), the expected number of weights that count, with

        P(z > 0) = sigmoid(log_alpha - beta ln(-gamma / zeta))

    A gate multiplies all d_g weights that lead into a unit, so that whole units vanish,
    exactly, and few parameters are added. At the start a gate is shut with probability
    `drop_rate`. By default embeddings and output layers are left alone besides biases
    and normalisation, for their units are symbols and classes, of which none is to
    vanish, and kernels of a single unit.
    Source: Louizos et al. 2018, "Learning Sparse Neural Networks through L0
    Regularization" (arXiv 1712.01312), equations 10 to 13.
    """

    s: float = argument(1e-6, POSITIVE)
    drop_rate: float = argument(0.2, FRACTION)

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects kernels of several units but those of output layers."""
        return has_spare_units(info)

    def initial_parameter(self, info: VariableInfo) -> tf.Tensor:
        """Log alpha, one for each unit; its shape has 1 for the axes of a unit."""
        axes = info.unit_axes
        shape = [1 if axis in axes else n for axis, n in enumerate(info.shape)]
        return tf.fill(shape, math.log(1.0 - self.drop_rate) - math.log(self.drop_rate))

    def effective(
        self,
        weight: tf.Tensor,
        parameter: tf.Tensor,
        info: VariableInfo,
        seed: Sequence[int] | tf.Tensor | None,
    ) -> tf.Tensor:
        """Returns the weight times its gates."""
        if seed is None:
            gates = tf.sigmoid(parameter)
        else:
            uniform = tf.random.stateless_uniform(
                tf.shape(parameter), seed, 1e-6, 1.0 - 1e-6
            )
            logits = tf.math.log(uniform) - tf.math.log1p(-uniform)
            gates = tf.sigmoid((logits + parameter) / TEMPERATURE)
        gates = gates * (HIGHEST - LOWEST) + LOWEST
        return weight * tf.clip_by_value(gates, 0.0, 1.0)

    def parameter_penalty(
        self,
        weight: tf.Tensor,
        parameter: tf.Tensor,
        info: VariableInfo,
        update: Update,
        run: Run,
    ) -> tf.Tensor:
        """Returns s sum d_g P(z_g > 0)."""
        shift = TEMPERATURE * math.log(-LOWEST / HIGHEST)
        open_units = tf.reduce_sum(tf.sigmoid(parameter - shift))
        return self.s * unit_size(info) * open_units
