"""Regularization strategies as the regularizers and constraints of Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.spec import Chain, build_chain
from tfspeech.strategies.regularization import (
    ActivationPenalty,
    Regularization,
    Reparameterization,
    Run,
    Update,
    parse_regularization,
)
from tfspeech.strategies.strategy import selected_indices
from tfspeech.strategies.variables import VariableInfo, describe_variables

Penalty = Callable[[tf.Tensor], tf.Tensor]
"""Weight -> what it adds to the loss, a scalar."""

Rule = Callable[[tf.Tensor], tf.Tensor]
"""Weight after an update -> weight."""


def regularize(
    model: keras.Model,
    chain: Chain[Regularization],
    optimizer: keras.optimizers.Optimizer | None = None,
) -> None:
    """Regularizes the trainable variables of a built model, in any loop.

    Penalties become the `regularizer` of a variable: `fit` adds them to its loss, and
    shows them in it; a loop of one's own adds `model.losses`. Update rules and
    constraints become its `constraint`, which Keras optimizers apply after an update.
    Both come after what the variable has already. They belong to these variables, not
    to layers: so a model that is loaded from a file needs the call again.

    Args:
        model: Built, and not yet trained by a step that is compiled.
        chain: Specs joined by `+`, such as `"l2(1e-4) + max_norm(2.0)"`, a strategy, or
            a sequence of both; in the order in which they act.
        optimizer: Whose learning rate and count of updates the rules follow; by default
            the one that the model is compiled with.

    Raises:
        SpecError: A spec does not parse, `match` selects nothing, or a strategy needs
            more than a Keras model can give it: activations with their lengths, weights
            that are computed, or state that a checkpoint is to carry.
        ValueError: The model is not built.
    """
    if not model.built:
        raise ValueError(f"build {model.name} first: call it on a batch")
    infos = describe_variables(model)
    strategies = build_chain(chain, parse_regularization, Regularization)
    for strategy in strategies:
        _check(strategy, infos)
        strategy.check([model], Run(updates=2**31 - 1, examples=1))
    selected = [selected_indices(strategy, infos) for strategy in strategies]
    for strategy, indices in zip(strategies, selected, strict=True):
        for index in indices:
            part = _Part(strategy, infos[index], model, optimizer)
            variable = model.trainable_variables[index]
            if _overrides(strategy, "penalty"):
                variable.regularizer = _sum(variable.regularizer, part.penalty)
            if _overrides(strategy, "updated"):
                variable.constraint = _sequence(variable.constraint, part.updated)


@dataclasses.dataclass(frozen=True)
class _Part:
    """A strategy for one variable."""

    strategy: Regularization
    info: VariableInfo
    model: keras.Model
    optimizer: keras.optimizers.Optimizer | None

    def penalty(self, weight: tf.Tensor) -> tf.Tensor:
        return self.strategy.penalty(_as_float32(weight), self.info)

    def updated(self, weight: tf.Tensor) -> tf.Tensor:
        optimizer = self.optimizer or getattr(self.model, "optimizer", None)
        if optimizer is None:
            raise ValueError(
                f"{self.model.name} is not compiled: name the optimizer, "
                "regularize(model, chain, optimizer)"
            )
        number = tf.cast(optimizer.iterations, tf.int64)
        update = Update(number, tf.cast(optimizer.learning_rate, tf.float32))
        return self.strategy.updated(_as_float32(weight), self.info, update, {})


def _as_float32(weight: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(weight), tf.float32)


def _overrides(strategy: Regularization, method: str) -> bool:
    return getattr(type(strategy), method) is not getattr(Regularization, method)


def _sum(first: Penalty | None, second: Penalty) -> Penalty:
    if first is None:
        return second
    return lambda weight: first(weight) + second(weight)


def _sequence(first: Rule | None, second: Rule) -> Rule:
    if first is None:
        return second
    return lambda weight: second(first(weight))


def _check(strategy: Regularization, infos: list[VariableInfo]) -> None:
    """Raises a SpecError for what Keras has no place for."""
    name = type(strategy).__name__
    if isinstance(strategy, ActivationPenalty):
        raise SpecError(
            f"{name} penalises activations up to their lengths, which a Keras "
            "regularizer is not given: train by tfspeech's own step"
        )
    if isinstance(strategy, Reparameterization):
        raise SpecError(
            f"{name} computes weights from other weights, which a Keras model cannot: "
            "train by tfspeech's own step"
        )
    if any(strategy.create_state([info]) for info in infos if strategy.selects(info)):
        raise SpecError(
            f"{name} keeps state from step to step, which the constraints of Keras "
            "cannot save: train by tfspeech's own step"
        )
