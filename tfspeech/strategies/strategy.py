"""The base of clipping and regularization strategies."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import ClassVar

import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.strategies.variables import VariableInfo

_LARGEST = 3.4e38

State = dict[str, tf.Variable]


@dataclasses.dataclass(frozen=True)
class Strategy:
    """Hyperparameters of a strategy and its mathematics, without state of its own.

    Attributes:
        match: Regular expression; the strategy acts on the variables whose path it is
            found in. Empty for the strategy's own default.
        positive: Names of the hyperparameters that must be numbers above 0.
        fractions: Names of those that must be strictly between 0 and 1.
        counts: Names of those that must be whole numbers above 0.
    """

    match: str = dataclasses.field(default="", kw_only=True)
    positive: ClassVar[tuple[str, ...]] = ()
    fractions: ClassVar[tuple[str, ...]] = ()
    counts: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self.positive:
            check_positive(name, getattr(self, name))
        for name in self.fractions:
            value = getattr(self, name)
            if not (is_number(value) and 0 < value < 1):
                raise ValueError(f"{name} must be between 0 and 1, not {value!r}")
        for name in self.counts:
            value = getattr(self, name)
            if not (is_number(value) and value >= 1 and value == int(value)):
                raise ValueError(
                    f"{name} must be a whole number above 0, not {value!r}"
                )
        try:
            re.compile(self.match)
        except re.error as error:
            raise ValueError(f"match is no regular expression: {error}") from error

    def selects(self, info: VariableInfo) -> bool:
        """Whether the strategy acts on a variable."""
        if self.match:
            return re.search(self.match, info.path) is not None
        return self.selects_by_default(info)

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Whether the strategy acts on a variable when `match` is empty."""
        return True

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """Creates the variables that the strategy keeps from step to step.

        They are part of checkpoints. They stay as they are when a step is skipped.

        Args:
            infos: The variables that the strategy acts on.
        """
        return {}


def selected_indices(strategy: Strategy, infos: Sequence[VariableInfo]) -> list[int]:
    """The positions of the variables that a strategy acts on.

    Raises:
        SpecError: `match` selects none.
    """
    indices = [i for i, info in enumerate(infos) if strategy.selects(info)]
    if not indices and strategy.match:
        paths = ", ".join(info.path for info in infos)
        raise SpecError(f"match={strategy.match!r} selects none of: {paths}")
    return indices


def is_number(value: object) -> bool:
    """Whether a value is a number that float32 can hold; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _LARGEST


def check_positive(name: str, value: float) -> None:
    """Raises a ValueError for a value that is not a finite number above zero."""
    if not (is_number(value) and value > 0):
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
