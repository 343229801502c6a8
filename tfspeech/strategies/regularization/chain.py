"""Regularization strategies one after the other."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import keras
import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.strategies.regularization.base import (
    ActivationPenalty,
    Regularization,
    Reparameterization,
    Run,
    Update,
)
from tfspeech.strategies.strategy import State, selected_indices
from tfspeech.strategies.variables import VariableInfo

Substitution = tuple[keras.Variable, tf.Tensor]
"""A weight, and the value that models are to work with in its place."""


@dataclasses.dataclass(frozen=True)
class _Reparameterized:
    """A reparameterized weight: its strategy, its index and its parameter."""

    strategy: Reparameterization
    index: int
    parameter: keras.Variable


class RegularizationChain:
    """Regularization strategies one after the other, with all that they keep.

    Args of the constructor:
        strategies: In the order in which they act.
        models: Freshly built models, whose variables are trained together.
        infos: Descriptions of their trainable variables, by `describe_variables`.
        run: The training run.

    Attributes:
        variables: State, besides the parameters, by names that are always the same.
        parameters: Parameters of the reparameterized weights, to be trained with the
            models.
        parameter_infos: Descriptions of those.
        settled_after: Updates after which a model is what the strategies make of it.

    Raises:
        SpecError: A strategy is not for these models or this run, `match` selects
            nothing, or two strategies reparameterize one weight.
    """

    def __init__(
        self,
        strategies: Sequence[Regularization],
        models: Sequence[keras.Model],
        infos: Sequence[VariableInfo],
        run: Run,
    ) -> None:
        self.models = tuple(models)
        self._weights = [v for model in models for v in model.trainable_variables]
        self._infos = list(infos)
        self._run = run
        self._strategies = tuple(strategies)
        for strategy in strategies:
            strategy.check(models, run)
        self._selected = [
            [] if isinstance(s, ActivationPenalty) else selected_indices(s, infos)
            for s in strategies
        ]
        # Every weight has state of its own.
        self._states: list[dict[int, State]] = [
            {i: strategy.create_state([infos[i]]) for i in indices}
            for strategy, indices in zip(strategies, self._selected, strict=True)
        ]
        self.variables = {
            f"{number}/{infos[i].path}/{name}": variable
            for number, states in enumerate(self._states)
            for i, state in states.items()
            for name, variable in state.items()
        }
        self._reparameterized = self._reparameterize()
        self.parameters = [part.parameter for part in self._reparameterized]
        self.parameter_infos = [
            VariableInfo(
                f"{infos[part.index].path}/parameter",
                "parameter",
                (),
                1,
                infos[part.index].input_dim,
                tuple(part.parameter.shape),
            )
            for part in self._reparameterized
        ]
        self.settled_after = max((s.settled_after for s in strategies), default=0)

    def _reparameterize(self) -> list[_Reparameterized]:
        parts: dict[int, _Reparameterized] = {}
        for strategy, indices in zip(self._strategies, self._selected, strict=True):
            if not isinstance(strategy, Reparameterization):
                continue
            for i in indices:
                info = self._infos[i]
                if i in parts:
                    raise SpecError(
                        f"two strategies reparameterize {info.path}: "
                        "part them by match="
                    )
                # Optimizers name what they keep after it.
                name = f"{info.path}/parameter".replace("/", "_")
                parameter = keras.Variable(strategy.initial_parameter(info), name=name)
                parts[i] = _Reparameterized(strategy, i, parameter)
        return list(parts.values())

    def training_weights(self, update: Update) -> list[Substitution]:
        """The reparameterized weights, with the values that give an update's loss."""
        return [
            (self._weights[part.index], self._effective(part, self._seed(part, update)))
            for part in self._reparameterized
        ]

    def _seed(self, part: _Reparameterized, update: Update) -> tf.Tensor:
        number = tf.cast(update.number, tf.int32)
        return tf.stack([number, self._run.seed * 10_007 + part.index])

    def _effective(self, part: _Reparameterized, seed: tf.Tensor | None) -> tf.Tensor:
        weight = tf.convert_to_tensor(self._weights[part.index].value)
        parameter = tf.convert_to_tensor(part.parameter.value)
        return part.strategy.effective(weight, parameter, self._infos[part.index], seed)

    def evaluated_weights(self) -> list[Substitution]:
        """The reparameterized weights, with the values to evaluate."""
        return [
            (self._weights[p.index], self._effective(p, None))
            for p in self._reparameterized
        ]

    def penalty(self, outputs: Mapping[str, object], update: Update) -> tf.Tensor:
        """The sum of all penalties, a float32 scalar.

        To be called under the tape, in replica context, and outside of `substituted`:
        weights are penalised as the optimizer has them.

        Args:
            outputs: Of the model.
            update: That is to be made.
        """
        terms: list[tf.Tensor | None] = []
        for strategy, indices in zip(self._strategies, self._selected, strict=True):
            for i in indices:
                weight = tf.convert_to_tensor(self._weights[i].value)
                terms.append(strategy.penalty(weight, self._infos[i]))
            if isinstance(strategy, ActivationPenalty):
                activations = outputs["activations"]
                lengths = outputs["activation_lengths"]
                terms.append(strategy.activation_penalty(activations, lengths))
        for part in self._reparameterized:
            weight = tf.convert_to_tensor(self._weights[part.index].value)
            parameter = tf.convert_to_tensor(part.parameter.value)
            info = self._infos[part.index]
            terms.append(
                part.strategy.parameter_penalty(
                    weight, parameter, info, update, self._run
                )
            )
        return tf.add_n([tf.zeros([]), *(term for term in terms if term is not None)])

    def update(self, update: Update) -> None:
        """Applies update rules and constraints to the weights, in their order."""
        for strategy, states in zip(self._strategies, self._states, strict=True):
            for i, state in states.items():
                weight = tf.convert_to_tensor(self._weights[i].value)
                new = strategy.updated(weight, self._infos[i], update, state)
                if new is not None:
                    self._weights[i].assign(new)


@contextlib.contextmanager
def substituted(
    chains: Sequence[RegularizationChain], update: Update
) -> Iterator[None]:
    """Has the models of chains work with the weights of an update, noise included."""
    mapping = [each for chain in chains for each in chain.training_weights(update)]
    if not mapping:
        yield
        return
    with keras.StatelessScope(state_mapping=mapping) as scope:
        yield
    # The scope keeps what layers assign, such as the states of random generators.
    for model in {id(model): model for c in chains for model in c.models}.values():
        for variable in model.non_trainable_variables:
            value = scope.get_current_value(variable)
            if value is not None:
                variable.assign(value)
