"""Names with arguments, as `global_norm(5.0)`: how users choose what they want."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib
import inspect
import io
import os
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tfspeech.errors import SpecError

Product = TypeVar("Product")

Chain = str | Product | Sequence[str | Product]
"""Strategies one after the other: `name(1) + name(2)`, a strategy, or several."""

_OUTSIDE = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)\s*(\(.*\))?", re.DOTALL)
_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")
_SIMILAR = 0.7
_LONGEST = 10_000


def build_spec(
    text: str,
    table: Mapping[str, Callable[..., Product]],
    noun: str,
    base: type[Product] | None = None,
) -> Product:
    """Builds the entry of a table that a spec names.

    Args:
        text: `name` or `name(argument, ..., name=argument, ...)`; arguments are Python
            literals.
        table: The names known and what builds each.
        noun: Name for an entry of the table, for errors: "clipping strategy".
        base: Class of the products. Where it is given, the name may be that of a class
            or function outside the table, `package.module:Name`.

    Raises:
        SpecError: The text does not parse, the name is unknown, or the arguments are
            not what it takes.

    Example:
        >>> build_spec("pair(1, b=2)", {"pair": lambda a, b: (a, b)}, "pair")
        (1, 2)
    """
    outside = _OUTSIDE.fullmatch(text.strip()) if base else None
    call = outside[2] + (outside[3] or "()") if outside else text
    name, positional, named = _parse(call, noun, text)
    if outside:
        build = load_outside(text, noun, table)
    elif name in table:
        build = table[name]
    else:
        raise SpecError(f"{unknown(noun, name, table)}. Received: {text!r}")
    try:
        signature = inspect.signature(build)
    except (TypeError, ValueError) as error:
        raise SpecError(
            f"{text!r} is no {noun}: {name} is no class and no function"
        ) from error
    try:
        signature.bind(*positional, **named)
        product = build(*positional, **named)
    except (TypeError, ValueError) as error:
        wrong = [argument for argument in named if argument not in signature.parameters]
        near = "".join(_meant(argument, signature.parameters) for argument in wrong)
        raise SpecError(
            f"{text!r} is no {noun} {name}({usage(build)}): {error}{near}"
        ) from error
    if outside and not isinstance(product, base):
        raise SpecError(
            f"{text!r} is no {noun}: it makes a {type(product).__name__}, not a "
            f"{base.__name__}"
        )
    return product


def usage(build: Callable[..., Any]) -> str:
    """The parameters of a builder with their defaults, as in its spec.

    Example:
        >>> usage(lambda a, b=2: None)
        'a, b=2'
    """
    return ", ".join(
        p.name if p.default is p.empty else f"{p.name}={p.default!r}"
        for p in inspect.signature(build).parameters.values()
    )


def unknown(noun: str, name: str, known: Iterable[str]) -> str:
    """Says that a name is not known, which ones are, and which may have been meant."""
    known = list(known)
    return (
        f"unknown {noun} {name!r}{_meant(name, known)}; the known ones are "
        f"{', '.join(known)}"
    )


def is_outside(text: str) -> bool:
    """Whether a spec is written as `package.module:Name`, with arguments or without."""
    return _OUTSIDE.fullmatch(text.strip()) is not None


def load_outside(text: str, noun: str, known: Iterable[str]) -> Any:
    """Imports what `package.module:Name` names, also from the working directory.

    Args:
        text: A spec of which `is_outside` holds; arguments are left out.
        noun: Name for what is wanted, for errors.
        known: The names that are known without a module.

    Raises:
        SpecError: The module cannot be imported, or has no such name.
    """
    module_name, name, _ = _OUTSIDE.fullmatch(text.strip()).groups()
    if os.getcwd() not in sys.path:
        # Behind all others: no file that lies there takes the place of a package.
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise SpecError(
            f"{noun} {text!r}: {module_name} cannot be imported "
            f"({type(error).__name__}: {error}); work in the folder that holds it, or "
            f"install it{_meant(module_name, known)}"
        ) from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise SpecError(
            f"{noun} {text!r}: {module_name} has no {name}{_meant(name, dir(module))}"
        ) from error


def _meant(name: str, known: Iterable[str]) -> str:
    """Names the known ones that are nearest to another; empty where none is near."""
    names = [each.partition(":")[0] for each in known]
    near = difflib.get_close_matches(name, names, cutoff=_SIMILAR)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def parse_expression(text: str) -> ast.expr:
    """Parses a Python expression, but does not evaluate it.

    Raises:
        ValueError: It is none, or so long or so deep that Python's own parser might
            overflow its stack.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"more than {_LONGEST} characters")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from error


def _parse(
    call: str, noun: str, text: str
) -> tuple[str, list[object], dict[str, object]]:
    """The name, the arguments by place and those by name of a call."""
    try:
        node = parse_expression(call)
        if isinstance(node, ast.Name):
            return node.id, [], {}
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError("not a call")
        positional = [ast.literal_eval(argument) for argument in node.args]
        named = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(
            f"a {noun} is written as name(arguments) or name alone, the arguments "
            f"numbers or quoted text, such as 'name(5.0)'. Received: {text!r}"
        ) from error
    return node.func.id, positional, named


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
    """The specs that `+` joins, outside of brackets and quotes."""
    text = chain.replace("\n", " ")
    depth, ends = 0, []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            depth += (token.string in _OPENING) - (token.string in _CLOSING)
            if token.string == "+" and not depth:
                ends.append(token.start[1])
    except (tokenize.TokenError, SyntaxError):
        return [chain]  # Whoever parses it says what is wrong.
    starts = [0, *(end + 1 for end in ends)]
    return [
        text[start:end].strip()
        for start, end in zip(starts, [*ends, None], strict=True)
    ]


def format_spec(strategy: Any, table: Mapping[str, type]) -> str:
    """The spec of a strategy: `build_spec` makes the same of it.

    One that is not in the table is named by its module.

    Example:
        >>> format_spec(GlobalNorm(5.0, match="kernel"), {"global_norm": GlobalNorm})
        "global_norm(match='kernel', c=5.0)"
    """
    kind = type(strategy)
    names = {known: name for name, known in table.items()}
    name = names.get(kind, f"{kind.__module__}:{kind.__name__}")
    values = {f.name: getattr(strategy, f.name) for f in dataclasses.fields(strategy)}
    return f"{name}({', '.join(f'{n}={value!r}' for n, value in values.items())})"
