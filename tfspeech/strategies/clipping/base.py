"""The base class of clipping strategies, and chains of them."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import tensorflow as tf

from tfspeech.strategies.gradients import Gradients
from tfspeech.strategies.strategy import State, Strategy, selected_indices
from tfspeech.strategies.variables import VariableInfo


@dataclasses.dataclass(frozen=True)
class Clipping(Strategy, abc.ABC):
    """Base of the clipping strategies. They act on all variables by default.

    A strategy takes the reduced, unscaled, finite gradient of a step and returns
    another. It runs once per step however many replicas there are.

    Attributes:
        by_unit: Whether it asks for more of a variable than its path, kind and shape:
            `unit_axes`, `fan_in`, `input_dim` or `output`, which layers decide.
    """

    by_unit: ClassVar[bool] = False

    def accepts(self, gradients: Gradients, state: State) -> tf.Tensor:
        """Whether the step may be made, a bool scalar; a refused one is skipped.

        It is asked before any strategy clips, and must not change the state.
        """
        return tf.constant(True)

    @abc.abstractmethod
    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Returns the clipped gradient and updates the state."""


class ClippingChain:
    """Clipping strategies one after the other, with their state in `variables`.

    Args of the constructor:
        strategies: In the order in which they act.
        infos: Descriptions of the trainable variables.
        keep: (name, variable) -> the variable that is to hold this state; by default
            the one that the strategy has created.

    Attributes:
        variables: All that the strategies keep, by names that are always the same.

    Raises:
        SpecError: `match` of a strategy selects none of the variables.
    """

    def __init__(
        self,
        strategies: Sequence[Clipping],
        infos: Sequence[VariableInfo],
        keep: Callable[[str, tf.Variable], tf.Variable] = lambda _, variable: variable,
    ) -> None:
        self._strategies = tuple(strategies)
        self._states: list[State] = []
        for number, strategy in enumerate(strategies):
            selected = [infos[i] for i in selected_indices(strategy, infos)]
            state = strategy.create_state(selected)
            self._states.append(
                {name: keep(f"{number}/{name}", v) for name, v in state.items()}
            )
        self.variables = {
            f"{number}/{name}": variable
            for number, state in enumerate(self._states)
            for name, variable in state.items()
        }

    def accepts(self, gradients: Gradients) -> tf.Tensor:
        """Whether no strategy refuses the step, a bool scalar."""
        answers = [tf.constant(True)]
        for strategy, state in zip(self._strategies, self._states, strict=True):
            indices = _selected(strategy, gradients)
            if indices:
                answers.append(strategy.accepts(gradients.select(indices), state))
        return tf.reduce_all(answers)

    def __call__(self, gradients: Gradients) -> Gradients:
        """Clips a finite gradient that was accepted."""
        for strategy, state in zip(self._strategies, self._states, strict=True):
            indices = _selected(strategy, gradients)
            if len(indices) == len(gradients.infos):
                gradients = strategy.clip(gradients, state)
            elif indices:
                part = strategy.clip(gradients.select(indices), state)
                gradients = gradients.merge(indices, part)
        return gradients


def _selected(strategy: Clipping, gradients: Gradients) -> list[int]:
    """The gradients that a strategy acts on; none where its variables have none."""
    return [i for i, info in enumerate(gradients.infos) if strategy.selects(info)]
