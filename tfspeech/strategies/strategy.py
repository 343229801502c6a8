"""The base of clipping and regularization strategies."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import re2
import tensorflow as tf

from models.config import Bounds, Options
from tfspeech.errors import SpecError
from tfspeech.strategies.variables import VariableInfo

POSITIVE = Bounds("a number above 0", lambda x: x > 0)
FRACTION = Bounds("between 0 and 1", lambda x: 0 < x < 1)
COUNT = Bounds("a whole number above 0", lambda x: x >= 1 and x == int(x))
COUNT_OR_0 = Bounds("a whole number, 0 or more", lambda x: x >= 0 and x == int(x))

State = dict[str, tf.Variable]

_QUIET = re2.Options()
_QUIET.log_errors = False
_LONGEST_PATTERN = 1000


@dataclasses.dataclass(frozen=True)
class Strategy(Options):
    """Hyperparameters of a strategy and its mathematics, without state of its own.

    Attributes:
        match: Regular expression, with the syntax of RE2; the strategy acts on the
            variables whose path it is found in. Empty for the strategy's own default.
    """

    match: str = dataclasses.field(default="", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            len(self.match) <= _LONGEST_PATTERN,
            "match",
            f"of {_LONGEST_PATTERN} characters at most",
        )
        try:
            self.is_found_in("")
        except (re2.error, UnicodeEncodeError) as error:
            reason = error.args[0]
            reason = reason.decode() if isinstance(reason, bytes) else error
            raise ValueError(
                f"match is no regular expression: {reason}. Received: "
                f"match={self.match!r}"
            ) from error

    def is_found_in(self, name: str) -> bool:
        """Whether `match` is found in a name, in time that grows with both alone."""
        return re2.search(self.match, name, _QUIET) is not None

    def selects(self, info: VariableInfo) -> bool:
        """Whether the strategy acts on a variable."""
        if self.match:
            return self.is_found_in(info.path)
        return self.selects_by_default(info)

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Whether the strategy acts on a variable when `match` is empty."""
        return True

    def get_config(self) -> dict[str, Any]:
        """The arguments, for Keras to save a strategy that is registered with it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the strategy that `get_config` describes."""
        return cls(**config)

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
