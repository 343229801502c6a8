"""Declaration of the fields of configuration dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    choices: Sequence[str] = (),
    metavar: str = "",
) -> Any:
    """Declares a dataclass field that carries its own documentation.

    Args:
        default: The field's default value. It must be immutable.
        help: What the field does, in a few words.
        unit: The unit of the value, such as `"Hz"`; empty where there is none.
        choices: The only values allowed, where they can be listed.
        metavar: Name of the value in `--help`; by default its type.

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
        },
    )


def check_choices(config: Any) -> None:
    """Raises a ValueError where a field of `config` is none of its `choices`."""
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), field.metadata.get("choices")
        if choices and value not in choices:
            raise ValueError(
                f"{field.name} must be one of {', '.join(choices)}. "
                f"Received: {field.name}={value!r}"
            )
