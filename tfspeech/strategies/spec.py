"""Names with arguments, as `global_norm(5.0)`: how users choose strategies."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tfspeech.errors import SpecError

Product = TypeVar("Product")

Chain = str | Product | Sequence[str | Product]
"""Strategies one after the other: `name(1) + name(2)`, a strategy, or several."""


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
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("not a call")
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError, RecursionError) as error:
        raise SpecError(
            f"a {noun} is written as name(arguments), the arguments numbers or quoted "
            f"text, such as 'name(5.0)'. Received: {text!r}"
        ) from error
    return call.func.id, positional, named


def build_chain(
    chain: Chain[Product],
    parse: Callable[[Sequence[str]], list[Product]],
    base: type[Product],
) -> list[Product]:
    """Builds the strategies of a chain, in their order.

    Args:
        chain: Specs joined by `+`, a strategy, or a sequence of both.
        parse: Builds strategies from specs.
        base: The class of strategies.

    Raises:
        SpecError: A spec does not parse, or something is neither spec nor strategy.
    """
    parts = chain if isinstance(chain, (list, tuple)) else [chain]
    built: list[Product] = []
    for part in parts:
        if isinstance(part, base):
            built.append(part)
        elif isinstance(part, str):
            built += parse(_split(part))
        else:
            raise SpecError(
                f"a chain is made of specs, such as 'name(5.0)', and of "
                f"{base.__name__} objects. Received: {part!r}"
            )
    return built


def _split(chain: str) -> list[str]:
    """The specs that `+` joins."""
    text = chain.strip()
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return [chain]  # Whoever parses it says what is wrong.
    parts = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts.append(node.right)
        node = node.left
    parts.append(node)
    return [ast.get_source_segment(text, part) or text for part in reversed(parts)]


def format_spec(strategy: Any, table: Mapping[str, type]) -> str:
    """The spec of a strategy of a table: `build_spec` makes the same of it.

    Example:
        >>> format_spec(GlobalNorm(5.0, match="kernel"), {"global_norm": GlobalNorm})
        "global_norm(match='kernel', c=5.0)"
    """
    (name,) = (name for name, kind in table.items() if kind is type(strategy))
    values = {f.name: getattr(strategy, f.name) for f in dataclasses.fields(strategy)}
    return f"{name}({', '.join(f'{n}={value!r}' for n, value in values.items())})"
