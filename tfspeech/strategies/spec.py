"""Names with arguments, as `global_norm(5.0)`: how users choose strategies."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

from tfspeech.errors import SpecError

Product = TypeVar("Product")

# Python's own parser may overflow the stack on a long text.
_LONGEST = 1000


def build_spec(
    text: str, table: Mapping[str, Callable[..., Product]], noun: str
) -> Product:
    """Builds the entry of a table that a spec names.

    Args:
        text: `name(argument, ..., name=argument, ...)`; arguments are Python literals.
        table: The names known and what builds each; nothing else can be called.
        noun: Name for an entry of the table, for errors: "clipping strategy".

    Raises:
        SpecError: The text does not parse, the name is unknown, or the arguments are
            not what it takes.

    Example:
        >>> build_spec("pair(1, b=2)", {"pair": lambda a, b: (a, b)}, "pair")
        (1, 2)
    """
    name, positional, named = _parse(text, noun)
    if name not in table:
        raise SpecError(
            f"unknown {noun} {name!r}; known: {', '.join(table)}. Received: {text!r}"
        )
    signature = inspect.signature(table[name])
    try:
        signature.bind(*positional, **named)
        return table[name](*positional, **named)
    except (TypeError, ValueError) as error:
        usage = ", ".join(
            f"{p.name}={p.default!r}" for p in signature.parameters.values()
        )
        raise SpecError(f"{text!r} is no {noun} {name}({usage}): {error}") from error


def _parse(text: str, noun: str) -> tuple[str, list[object], dict[str, object]]:
    try:
        if len(text) > _LONGEST:
            raise ValueError(f"more than {_LONGEST} characters")
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("not a call")
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError) as error:
        raise SpecError(
            f"a {noun} is written as name(arguments), the arguments numbers or quoted "
            f"text, such as 'name(5.0)'. Received: {text!r}"
        ) from error
    return call.func.id, positional, named
