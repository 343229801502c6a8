"""Configurations: frozen dataclasses that are flags on the command line and JSON."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from models.config import Bounds, is_number
from tfspeech.errors import SpecError

Config = TypeVar("Config")
Record = TypeVar("Record")

_MAX_SHOWN = 60

# It evaluates all annotations of a class.
_type_hints = functools.cache(typing.get_type_hints)


def add_flags(
    parser: argparse.ArgumentParser, config: Any, skip: Collection[str] = ()
) -> None:
    """Adds one flag per field of a configuration.

    Args:
        parser: The parser to extend.
        config: A dataclass with the defaults, whose fields are declared by
            `models.config.option`. Tuples become flags that can be repeated, booleans
            `--x` and `--no-x`.
        skip: Names of fields that get no flag.
    """
    title = (config.__doc__ or "").splitlines()[0].rstrip(".")
    group = parser.add_argument_group(title)
    hints = _type_hints(type(config))
    for field in dataclasses.fields(config):
        if field.name in skip:
            continue
        flag = "--" + field.name.replace("_", "-")
        unit = field.metadata["unit"]
        default = getattr(config, field.name)
        if isinstance(default, tuple):
            default = " ".join(map(str, default)) or "none"
        help_text = (
            f"{field.metadata['help']} (default: {default}{unit and ' ' + unit})"
        )
        options: dict[str, Any] = {"help": help_text.replace("%", "%%")}
        if hints[field.name] is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            is_tuple = typing.get_origin(hints[field.name]) is tuple
            options["type"] = (
                typing.get_args(hints[field.name])[0] if is_tuple else hints[field.name]
            )
            options["action"] = "append" if is_tuple else "store"
            options["metavar"] = field.metadata["metavar"] or (
                "{" + ",".join(field.metadata["choices"]) + "}"
                if field.metadata["choices"]
                else options["type"].__name__.upper()
            )
        group.add_argument(flag, **options)


def number(kind: type[int | float], within: Bounds) -> Callable[[str], int | float]:
    """Returns the `type` of an argument of `argparse`: a number in a range."""

    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if not is_number(value) or not within.hold(value):
            raise argparse.ArgumentTypeError(
                f"must be {within.wanted}. Received: {text}"
            )
        return value

    return read


def take_flags(config: Config, given: argparse.Namespace) -> Config:
    """Returns `config` with the fields that were given on the command line.

    Raises:
        SpecError: A value is none of the field's choices or out of its range.
    """
    values = {
        field.name: tuple(value) if isinstance(value, list) else value
        for field in dataclasses.fields(config)
        if (value := getattr(given, field.name, None)) is not None
    }
    try:
        return dataclasses.replace(config, **values)
    except ValueError as error:
        raise SpecError(str(error)) from error


def to_flag(name: str, value: Any) -> list[str]:
    """A field as on the command line; a tuple repeats its flag, if it is not empty."""
    text = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [text if value else text.replace("--", "--no-", 1)]
    values = value if isinstance(value, tuple) else (value,)
    return [word for v in values for word in (text, str(v))]


def differing(config: Any, other: Any, skip: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a configuration that another of its class has otherwise.

    Args:
        config: Whose values are returned, by the names of the fields.
        other: What it is compared with.
        skip: Names of fields to be left out.
    """
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in skip
        and getattr(config, field.name) != getattr(other, field.name)
    }


def from_json(config: Config, values: Any, name: str = "") -> Config:
    """Builds a configuration from what JSON has of it.

    Every field is checked against its annotation, those that are configurations
    themselves by their own fields.

    Args:
        config: The defaults, for fields that JSON does not have.
        values: Of a JSON object.
        name: Of the configuration, for errors.

    Raises:
        SpecError: A field is not known, or its value is of another type or out of its
            range.
    """
    if not isinstance(values, dict):
        raise SpecError(f"{name or 'it'} must be an object. Received: {_cut(values)}")
    prefix = name and f"{name}."
    hints = _type_hints(type(config))
    fields = {field.name for field in dataclasses.fields(config)}
    checked = {}
    for key, value in values.items():
        if key not in fields:
            raise SpecError(f"{_cut(prefix + key)[1:-1]} is not known")
        default = getattr(config, key)
        if dataclasses.is_dataclass(default):
            checked[key] = from_json(default, value, prefix + key)
        else:
            checked[key] = _convert(value, hints[key], prefix + key)
    try:
        return dataclasses.replace(config, **checked)
    except ValueError as error:
        raise SpecError(f"{name}: {error}" if name else str(error)) from error


def record_from_json(kind: type[Record], values: Any, name: str = "") -> Record:
    """Builds a record, of which nothing has a default, from what JSON has of it.

    Args:
        kind: A dataclass or a `NamedTuple`, whose fields are numbers, texts, truth
            values, other records, and tuples and dicts of those.
        values: Of a JSON object.
        name: Of the record, for errors.

    Raises:
        SpecError: A field is missing, not known, or its value is of another type.
    """
    if not isinstance(values, dict):
        raise SpecError(f"{name or 'it'} must be an object. Received: {_cut(values)}")
    prefix = name and f"{name}."
    hints = _type_hints(kind)
    for key in (*hints, *values):
        if key not in values or key not in hints:
            state = "not known" if key in values else "missing"
            raise SpecError(f"{_cut(prefix + key)[1:-1]} is {state}")
    return kind(**{k: _convert(values[k], hints[k], prefix + k) for k in hints})


_TYPES = {
    bool: ("true or false", bool),
    int: ("an integer", int),
    float: ("a number", (int, float)),
    str: ("text", str),
    types.NoneType: ("null", types.NoneType),
}
"""Type of a field -> what its values are called, and their types in JSON."""


def _convert(value: Any, hint: Any, name: str) -> Any:
    """A value of JSON as one of the type of a field.

    Raises:
        SpecError: It is of another type.
    """
    if isinstance(hint, types.UnionType):
        return _convert_to_one(value, typing.get_args(hint), name)
    if dataclasses.is_dataclass(hint) or hasattr(hint, "_fields"):
        return record_from_json(hint, value, name)
    if typing.get_origin(hint) is typing.Literal:
        if value not in typing.get_args(hint):
            known = ", ".join(typing.get_args(hint))
            raise SpecError(f"{name} must be one of {known}. Received: {_cut(value)}")
        return value
    if typing.get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise SpecError(f"{name} must be an object. Received: {_cut(value)}")
        each = typing.get_args(hint)[1]
        return {k: _convert(v, each, f"{name}.{k}") for k, v in value.items()}
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise SpecError(f"{name} must be a list. Received: {_cut(value)}")
        each = typing.get_args(hint)[0]
        return tuple(_convert(v, each, f"{name}[{i}]") for i, v in enumerate(value))
    wanted, kinds = _TYPES.get(hint, ("", object))  # Models from outside have more.
    # In Python, a truth value is an integer.
    valid = hint not in (int, float) or is_number(value)
    if not valid or not isinstance(value, kinds):
        raise SpecError(f"{name} must be {wanted}. Received: {_cut(value)}")
    return value


def _convert_to_one(value: Any, hints: Sequence[Any], name: str) -> Any:
    """A value of JSON as one of the first type that it can be.

    Raises:
        SpecError: It is of none; the error is that of the first.
    """
    errors = []
    for hint in hints:
        try:
            return _convert(value, hint, name)
        except SpecError as error:
            errors.append(error)
    raise errors[0]


def _cut(value: Any) -> str:
    """A value of JSON on one short line, however large it is."""
    text = json.dumps(value)
    if len(text) <= _MAX_SHOWN:
        return text
    return f"{text[: _MAX_SHOWN // 2]}...{text[-_MAX_SHOWN // 2 :]}"
