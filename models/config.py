"""Declaration of the fields of configuration dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

_LOG_RATIO = 10.0


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: The least.
        high: The greatest.
        whole: Whether they are whole numbers.
    """

    low: float
    high: float
    whole: bool = False

    @property
    def log(self) -> bool:
        """Whether the scale is logarithmic: its ends are a factor of ten apart."""
        return self.low > 0 and self.high >= _LOG_RATIO * self.low

    def at(self, fraction: float) -> float:
        """The number at a fraction of the scale, from 0 at `low` to 1 at `high`."""
        if self.log:
            return self.low * (self.high / self.low) ** fraction
        return self.low + (self.high - self.low) * fraction


Values = Range | tuple[Any, ...]
"""Candidates of a hyperparameter search: a range, or a list of values."""


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    choices: Sequence[str] = (),
    metavar: str = "",
    search: Values | Callable[[Any], Values] | None = None,
) -> Any:
    """Declares a dataclass field that carries its own documentation.

    Args:
        default: The field's default value. It must be immutable.
        help: What the field does, in a few words.
        unit: The unit of the value, such as `"Hz"`; empty where there is none.
        choices: The only values allowed, where they can be listed.
        metavar: Name of a value in `--help`; by default its type.
        search: The values that a hyperparameter search tries by default, or a function
            that returns them for the value of the baseline, such as `sizes`;
            None leaves the option out of searches that do not name it.

    Returns:
        A `dataclasses.field` whose metadata holds all but the default.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "unit": unit,
            "choices": tuple(choices),
            "metavar": metavar,
            "search": search,
        },
    )


def decade_around(value: float) -> Range:
    """The range from a tenth of a number to ten times it."""
    return Range(value / 10, value * 10)


def sizes(units: int | tuple[int, ...]) -> tuple[Any, ...]:
    """Half a number of units, the number and twice it; those of all layers together.

    Example:
        >>> sizes((128, 64))
        ((64, 32), (128, 64), (256, 128))
    """
    if isinstance(units, tuple):
        half = tuple(max(1, each // 2) for each in units)
        return tuple(dict.fromkeys((half, units, tuple(2 * each for each in units))))
    return tuple(dict.fromkeys((max(1, units // 2), units, 2 * units)))


def check_choices(config: Any) -> None:
    """Raises a ValueError where a field of `config` is none of its `choices`."""
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), field.metadata.get("choices")
        if choices and value not in choices:
            raise ValueError(
                f"{field.name} must be one of {', '.join(choices)}. "
                f"Received: {field.name}={value!r}"
            )
