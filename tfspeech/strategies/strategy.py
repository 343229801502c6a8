"""What clipping and regularization strategies have in common."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.strategies.variables import VariableInfo

State = dict[str, tf.Variable]


@dataclasses.dataclass(frozen=True)
class Strategy:
    """Hyperparameters of a strategy and its mathematics, without state of its own.

    Attributes:
        match: Regular expression; the strategy acts on the variables whose path it is
            found in. Empty for the strategy's own default.
    """

    match: str = dataclasses.field(default="", kw_only=True)

    def __post_init__(self) -> None:
        try:
            re.compile(self.match)
        except re.error as error:
            raise ValueError(f"match is no regular expression: {error}") from error

    def selects(self, info: VariableInfo) -> bool:
        """Whether the strategy acts on a variable."""
        return not self.match or re.search(self.match, info.path) is not None

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """Creates the variables that the strategy keeps from step to step.

        They are part of checkpoints. They stay as they are when a step is skipped.
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


def check_positive(**values: float) -> None:
    """Raises a ValueError for a value that is not a finite number above zero."""
    for name, value in values.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a number above 0, not {value!r}")
