"""Options: fields of configuration dataclasses, declared with their ranges."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

Config = TypeVar("Config")

_LARGEST = 3.4e38
_LARGEST_WHOLE = 2**31 - 1
_LOG_RATIO = 10.0


class Bounds(NamedTuple):
    """The numbers that a field may have.

    Attributes:
        wanted: Text that follows "must be" in errors.
        hold: Whether a finite number is one of them.
    """

    wanted: str
    hold: Callable[[float], bool]


AT_LEAST_1 = Bounds("at least 1", lambda x: x >= 1)
NOT_NEGATIVE = Bounds("0 or more", lambda x: x >= 0)
POSITIVE = Bounds("above 0", lambda x: x > 0)
BELOW_1 = Bounds("in [0, 1)", lambda x: 0 <= x < 1)
SHARE = Bounds("in [0, 1]", lambda x: 0 <= x <= 1)
POWER_OF_2 = Bounds("a power of 2", lambda x: x >= 1 and math.log2(x) % 1 == 0)
FINITE = Bounds("a finite number", lambda x: True)


def between(low: float, high: float) -> Bounds:
    """Numbers from `low` to `high`, both included."""
    return Bounds(f"between {low} and {high}", lambda x: low <= x <= high)


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
    within: Bounds | None = None,
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
        within: The range of a number, or of every number in a tuple; by default whole
            numbers are at least 1 and others 0 or more.
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
            "within": within or _usual_bounds(default),
            "metavar": metavar,
            "search": search,
        },
    )


def argument(
    default: Any, within: Bounds | None = None, choices: Sequence[str] = ()
) -> Any:
    """Declares a dataclass field that is an argument of a spec, such as `norm(1.0)`.

    Args:
        default: The field's default value. It must be immutable.
        within: The range of a number.
        choices: The only values allowed, where they can be listed.
    """
    return dataclasses.field(
        default=default, metadata={"within": within, "choices": tuple(choices)}
    )


def _usual_bounds(default: Any) -> Bounds | None:
    first = next(iter(default), None) if isinstance(default, tuple) else default
    if not is_number(first):
        return None
    return AT_LEAST_1 if isinstance(first, int) else NOT_NEGATIVE


@dataclasses.dataclass(frozen=True)
class Options:
    """Base of dataclasses whose fields are checked: type, `choices` and `within`.

    A value may be None where that is the default. Whole numbers are those of int32.

    Attributes:
        error: The class of the error for a value that is refused.
    """

    error: ClassVar[type[ValueError]] = ValueError

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, metadata = getattr(self, field.name), field.metadata
            choices, within = metadata.get("choices"), metadata.get("within")
            if choices:
                self.require(
                    value in choices, field.name, f"one of {', '.join(choices)}"
                )
            elif within and not (value is field.default is None):
                several = isinstance(field.default, tuple) and isinstance(value, tuple)
                values = value if several else (value,)
                valid = all(is_number(x) and within.hold(x) for x in values)
                self.require(valid, field.name, within.wanted)
            if kind := _TYPES.get(str(field.type)):
                self.require(kind.hold(value), field.name, kind.wanted)

    def require(self, valid: bool, name: str, wanted: str) -> None:
        """Raises `error` unless the value of a field is valid.

        Args:
            valid: Whether it is.
            name: The field.
            wanted: What its value must be.
        """
        if not valid:
            value = getattr(self, name)
            raise self.error(f"{name} must be {wanted}. Received: {name}={value!r}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and abs(value) <= _LARGEST_WHOLE


# How annotations are written -> what their values must be.
_TYPES = {
    "int": Bounds(f"a whole number up to {_LARGEST_WHOLE}", _is_whole),
    "tuple[int, ...]": Bounds(
        f"whole numbers up to {_LARGEST_WHOLE}",
        lambda x: isinstance(x, tuple) and all(map(_is_whole, x)),
    ),
    "bool": Bounds("true or false", lambda x: isinstance(x, bool)),
    "str": Bounds("a text", lambda x: isinstance(x, str)),
    "tuple[str, ...]": Bounds(
        "texts",
        lambda x: isinstance(x, tuple) and all(isinstance(each, str) for each in x),
    ),
}


def restored(config_class: type[Config], values: Mapping[str, Any]) -> Config:
    """Builds a configuration from what JSON has of its fields, which has no tuples."""
    return config_class(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
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


def is_number(value: object) -> bool:
    """Whether a value is a number that float32 can hold; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _LARGEST
