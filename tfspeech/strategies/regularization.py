"""Regularization strategies: what keeps weights small, bounded or few.

They act in two places. A *penalty* adds to the loss. An *update rule* or a
*constraint* changes the weights after the optimizer has, on steps that update only.
Biases and normalisation are left alone unless `match` selects them: they are few, and
their size says nothing about how much a model can memorise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfspeech.strategies.spec import build_spec
from tfspeech.strategies.strategy import (
    State,
    Strategy,
    check_positive,
    selected_indices,
)
from tfspeech.strategies.variables import WEIGHT_KINDS, VariableInfo


@dataclasses.dataclass(frozen=True)
class Regularization(Strategy):
    """Base of the regularization strategies; each overrides one of the two methods."""

    def selects(self, info: VariableInfo) -> bool:
        """Selects kernels and embeddings, or what `match` selects."""
        return super().selects(info) if self.match else info.kind in WEIGHT_KINDS

    def penalty(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor | None:
        """Returns what one weight adds to the loss, a float32 scalar, or None."""
        return None

    def updated(
        self,
        weight: tf.Tensor,
        info: VariableInfo,
        learning_rate: tf.Tensor,
        state: State,
    ) -> tf.Tensor | None:
        """Returns one weight as it is to be after an update, or None for no change."""
        return None


@dataclasses.dataclass(frozen=True)
class NoRegularization(Regularization):
    """Leaves loss and weights as they are."""


@dataclasses.dataclass(frozen=True)
class L1(Regularization):
    """Penalty: adds s sum |w| to the loss.

    By its subgradient weights come near zero but not to it.
    """

    s: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(s=self.s)

    def penalty(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
        """Returns s sum |w|."""
        return self.s * tf.reduce_sum(tf.abs(weight))


@dataclasses.dataclass(frozen=True)
class L2(Regularization):
    """Penalty: adds s sum w^2 to the loss (without the factor 1/2 that others put)."""

    s: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(s=self.s)

    def penalty(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
        """Returns s sum w^2."""
        return self.s * tf.reduce_sum(tf.square(weight))


@dataclasses.dataclass(frozen=True)
class WeightDecay(Regularization):
    """Update rule: w <- w - lr s w after the optimizer's own update.

    Decoupled from the gradient, so clipping and the optimizer's moments do not see it.
    Source: Loshchilov, Hutter 2019, "Decoupled Weight Decay Regularization" (arXiv
    1711.05101), algorithm 2 with the rate taken into account as PyTorch and Keras do.
    """

    s: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(s=self.s)

    def updated(
        self,
        weight: tf.Tensor,
        info: VariableInfo,
        learning_rate: tf.Tensor,
        state: State,
    ) -> tf.Tensor:
        """Returns w (1 - lr s)."""
        return weight * (1.0 - learning_rate * self.s)


@dataclasses.dataclass(frozen=True)
class Box(Regularization):
    """Constraint: every weight within [lo, hi], one that is inside stays as it is."""

    lo: float = -1.0
    hi: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lo < self.hi:
            raise ValueError(f"lo must be below hi, not {self.lo!r} and {self.hi!r}")

    def updated(
        self,
        weight: tf.Tensor,
        info: VariableInfo,
        learning_rate: tf.Tensor,
        state: State,
    ) -> tf.Tensor:
        """Returns clip(w, lo, hi)."""
        return tf.clip_by_value(weight, self.lo, self.hi)


@dataclasses.dataclass(frozen=True)
class MaxNorm(Regularization):
    """Constraint: w min(1, c / |w|) for the incoming weights of every unit.

    A unit inside the ball stays as it is to the bit; Keras's own `MaxNorm` shrinks it a
    little at every step. Source: Srivastava et al. 2014, "Dropout", section 5.1.
    """

    c: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(c=self.c)

    def updated(
        self,
        weight: tf.Tensor,
        info: VariableInfo,
        learning_rate: tf.Tensor,
        state: State,
    ) -> tf.Tensor:
        """Returns the weight with every unit's norm at most c."""
        squares = tf.reduce_sum(tf.square(weight), info.unit_axes, keepdims=True)
        norms = tf.sqrt(squares)
        return weight * tf.minimum(1.0, self.c / norms)


REGULARIZATIONS: dict[str, type[Regularization]] = {
    "none": NoRegularization,
    "l1": L1,
    "l2": L2,
    "weight_decay": WeightDecay,
    "box": Box,
    "max_norm": MaxNorm,
}
"""The names users write, and the strategies behind them."""


def parse_regularization(specs: Sequence[str]) -> list[Regularization]:
    """Builds regularization strategies from specs such as `["l2(1e-4)"]`.

    Raises:
        SpecError: A spec does not parse.
    """
    return [build_spec(s, REGULARIZATIONS, "regularization strategy") for s in specs]


class RegularizationChain:
    """Regularization strategies one after the other, with their state in `variables`.

    Args of the constructor:
        strategies: In the order in which they act.
        infos: What the model's trainable variables are.
    """

    def __init__(
        self, strategies: Sequence[Regularization], infos: Sequence[VariableInfo]
    ) -> None:
        self._infos = list(infos)
        self._strategies = tuple(strategies)
        self._selected = tuple(selected_indices(s, infos) for s in strategies)
        self._states = [strategy.create_state(infos) for strategy in strategies]
        self.variables = [v for state in self._states for v in state.values()]

    def penalty(self, variables: Sequence[keras.Variable]) -> tf.Tensor:
        """The sum of all penalties, a float32 scalar; to be called under the tape."""
        terms = [
            strategy.penalty(tf.convert_to_tensor(variables[i].value), self._infos[i])
            for strategy, indices in zip(self._strategies, self._selected, strict=True)
            for i in indices
        ]
        return tf.add_n([tf.zeros([]), *(term for term in terms if term is not None)])

    def update(
        self, variables: Sequence[keras.Variable], learning_rate: tf.Tensor
    ) -> None:
        """Applies update rules and constraints to the weights, in their order."""
        for strategy, state, indices in zip(
            self._strategies, self._states, self._selected, strict=True
        ):
            for i in indices:
                weight = tf.convert_to_tensor(variables[i].value)
                new = strategy.updated(weight, self._infos[i], learning_rate, state)
                if new is not None:
                    variables[i].assign(new)
