"""From the values of a trial to the configuration of its runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfspeech.errors import SpecError
from tfspeech.flags import with_settings
from tfspeech.strategies import CLIPPINGS, REGULARIZATIONS, build_spec
from tfspeech.tasks.task import RunConfig
from tuning.search.dimensions import (
    CLIP_KIND,
    CLIP_THRESHOLD,
    LAMBDA,
    LAMBDAS,
    REGULARIZE_KIND,
    THRESHOLDS,
    Value,
)
from tuning.settings import format_arguments, split_setting, with_training

JOIN = "+"
"""Joins the parts of a value that is more than one, as in `hidden_units=128+64`."""
_CHAINS = ("clip", "regularize")


def configure(config: RunConfig, values: Mapping[str, Value]) -> RunConfig:
    """The configuration of a trial.

    A kind of clipping or regularization replaces its whole chain. A threshold without a
    kind goes to the one strategy in the chain that has one; a lambda without a kind
    joins the chain, and replaces the strategy of its kind that is there already.

    Args:
        config: The baseline of the search.
        values: By the names of dimensions.

    Raises:
        SpecError: A name is unknown, or a value out of range.
    """
    settings: list[tuple[str, str]] = []
    for name, value in values.items():
        if name in (CLIP_KIND, CLIP_THRESHOLD, REGULARIZE_KIND) or (
            name.endswith(LAMBDA)
        ):
            continue
        is_tuple = isinstance(find_field(config, name), tuple)
        text = to_text(value)
        settings += [
            (name, part) for part in (text.split(JOIN) if is_tuple else [text])
        ]
    config = with_settings(config, settings)
    try:
        return with_training(
            config,
            clip=_clip(config.training.clip, values),
            regularize=_regularize(config.training.regularize, values),
        )
    except ValueError as error:
        raise SpecError(str(error)) from error


def parse_fixed(fix: Sequence[str]) -> dict[str, str]:
    """Names and values of `name=value`.

    Raises:
        SpecError: One is not written so, or a name is there twice.
    """
    pinned: dict[str, str] = {}
    for text in fix:
        name, value = split_setting(text)
        if not name or not value or name in pinned:
            raise SpecError(
                f"--fix is written as NAME=VALUE, every name once. Received: {text!r}"
            )
        pinned[name] = value
    return pinned


def find_field(config: RunConfig, name: str) -> Any:
    """The value of a field that can be searched.

    Raises:
        SpecError: There is no such field.
    """
    for section in config.sections().values():
        names = {field.name for field in dataclasses.fields(section)}
        if name in names.difference(_CHAINS):
            return getattr(section, name)
    raise SpecError(
        f"{name} cannot be searched or fixed: name {CLIP_KIND}, {CLIP_THRESHOLD}, "
        f"{REGULARIZE_KIND}, a KIND{LAMBDA} of {', '.join(LAMBDAS)}, or another flag "
        "of training without its dashes"
    )


def find_threshold(chain: Sequence[str]) -> tuple[int, str]:
    """Index and kind of the one strategy of a clipping chain that has a threshold.

    Raises:
        SpecError: There is none, or more than one.
    """
    kinds = [_kind(spec) for spec in chain]
    found = [(index, kind) for index, kind in enumerate(kinds) if kind in THRESHOLDS]
    if len(found) != 1:
        raise SpecError(
            f"{CLIP_THRESHOLD} needs one clipping with a threshold: search {CLIP_KIND} "
            f"or --fix it. Received: --clip {' --clip '.join(chain) or 'none()'}"
        )
    return found[0]


def to_text(value: Value | tuple[Value, ...]) -> str:
    """A value as on the command line, numbers to four digits, tuples with a `+`."""
    if isinstance(value, tuple):
        return JOIN.join(map(to_text, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_values(values: Mapping[str, Value]) -> str:
    """The values of a trial as text."""
    return ", ".join(f"{name}={to_text(value)}" for name, value in values.items())


def _clip(chain: tuple[str, ...], values: Mapping[str, Value]) -> tuple[str, ...]:
    if CLIP_KIND in values:
        chain = (f"{values[CLIP_KIND]}()",)
    threshold = values.get(CLIP_THRESHOLD)
    if threshold is None:
        return chain
    index, _ = find_threshold(chain)
    spec = _with_argument(chain[index], CLIPPINGS, threshold)
    return (*chain[:index], spec, *chain[index + 1 :])


def _regularize(chain: tuple[str, ...], values: Mapping[str, Value]) -> tuple[str, ...]:
    kind = values.get(REGULARIZE_KIND)
    if kind is not None:
        chain = () if kind == "none" else (f"{kind}()",)
    for name, value in values.items():
        if not name.endswith(LAMBDA):
            continue
        own = name.removesuffix(LAMBDA)
        known = [spec for spec in chain if _kind(spec) == own] or [own]
        spec = _with_argument(known[0], REGULARIZATIONS, value)
        chain = (*(other for other in chain if _kind(other) != own), spec)
    return chain


def _kind(spec: str) -> str:
    """The name of a strategy, without arguments."""
    return spec.partition("(")[0].strip()


def _with_argument(spec: str, table: Mapping[str, Any], value: Value) -> str:
    """The spec of a strategy with another first argument, and the others it had."""
    strategy = build_spec(spec, table, "strategy")
    first = next(f.name for f in dataclasses.fields(strategy) if not f.kw_only)
    return f"{_kind(spec)}({format_arguments(strategy, first, to_text(value))})"
