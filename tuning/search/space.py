"""From `--tune` and `--fix` to a space, and on to Keras Tuner's hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence

import keras_tuner

from models.config import Range, Values, is_number
from tfspeech.errors import SpecError
from tfspeech.tasks.task import RunConfig
from tuning.search.dimensions import (
    CLIP_KIND,
    CLIP_THRESHOLD,
    DEFAULT_CLIPS,
    DEFAULT_REGULARIZERS,
    LAMBDA,
    LAMBDAS,
    REGULARIZE_KIND,
    THRESHOLDS,
    Dimension,
    Space,
    Value,
    lambda_range,
    option_ranges,
)
from tuning.search.trial_config import (
    configure,
    find_field,
    find_threshold,
    parse_fixed,
    to_text,
)
from tuning.settings import split_setting

KINDS = {
    CLIP_KIND: (("none", *THRESHOLDS), DEFAULT_CLIPS),
    REGULARIZE_KIND: (("none", *LAMBDAS), DEFAULT_REGULARIZERS),
}
"""For both kinds of strategies, the known ones and those searched by default."""


def build_space(config: RunConfig, tune: Sequence[str], fix: Sequence[str]) -> Space:
    """The dimensions of a search.

    Args:
        config: The baseline, which has the fixed values already.
        tune: Hyperparameters to search, each as `name`, `name=low:high` or
            `name=value,value`; empty for all that have a range of their own.
        fix: Those not to search, each as `name=value`.

    Returns:
        Kinds before the dimensions that depend on them. Thresholds in the unit of the
        gradient have no range yet, where none is given.

    Raises:
        SpecError: A name is unknown, a value is out of range, or nothing is left.
    """
    pinned = parse_fixed(fix)
    wanted: dict[str, str] = {}
    for text in tune:
        name, values = split_setting(text)
        if not name or ("=" in text and not values):
            raise SpecError(
                "--tune is written as NAME, NAME=LOW:HIGH or NAME=VALUE,VALUE. "
                f"Received: {text!r}"
            )
        if name in wanted or name in pinned:
            raise SpecError(f"--tune and --fix name {name} twice: leave one out")
        wanted[name] = values
    if not tune:
        names = [name for name in _all_names(config, pinned) if name not in pinned]
        wanted = dict.fromkeys(names, "")
    kinds = {name: _kinds(name, wanted.pop(name)) for name in KINDS if name in wanted}
    space = [Dimension(name, values) for name, values in kinds.items()]
    for name, values in wanted.items():
        if name == CLIP_THRESHOLD:
            space += _thresholds(config, kinds.get(CLIP_KIND), values)
        elif name.endswith(LAMBDA):
            space.append(_lambda(name, kinds.get(REGULARIZE_KIND), values))
        else:
            space.append(_field(config, name, values))
    if not space:
        raise SpecError("nothing is left to be searched: --fix less")
    return tuple(space)


def declare(space: Space) -> keras_tuner.HyperParameters:
    """The space as Keras Tuner's hyperparameters."""
    declared = keras_tuner.HyperParameters()
    dependent: dict[str, list[Dimension]] = {}
    for dimension in space:
        if dimension.parent:
            dependent.setdefault(dimension.key, []).append(dimension)
            continue
        values, default = dimension.values, dimension.default
        if isinstance(values, Range):
            add = declared.Int if values.whole else declared.Float
            scale = "log" if values.log else "linear"
            add(dimension.key, values.low, values.high, sampling=scale, default=default)
        else:
            declared.Choice(dimension.key, list(values), default=default)
    for key, dimensions in dependent.items():
        kinds = [dimension.kind for dimension in dimensions]
        parent = dimensions[0].parent
        declared.Float(key, 0.0, 1.0, parent_name=parent, parent_values=kinds)
    return declared


def _all_names(config: RunConfig, pinned: dict[str, str]) -> list[str]:
    """The names of all hyperparameters that have a range of their own."""
    names = [CLIP_KIND, REGULARIZE_KIND]
    if CLIP_KIND not in pinned or pinned[CLIP_KIND] in THRESHOLDS:
        names.append(CLIP_THRESHOLD)
    regularizers = DEFAULT_REGULARIZERS
    if REGULARIZE_KIND in pinned:
        regularizers = (pinned[REGULARIZE_KIND],)
    names += [kind + LAMBDA for kind in regularizers if kind in LAMBDAS]
    return [*names, *option_ranges(config)]


def _kinds(name: str, values: str) -> tuple[str, ...]:
    known, kinds = KINDS[name]
    if values:
        kinds = tuple(word.strip() for word in values.split(","))
    for kind in kinds:
        if kind not in known or kinds.count(kind) > 1:
            raise SpecError(
                f"--tune {name} takes different kinds of {', '.join(known)}. "
                f"Received: {values!r}"
            )
    return kinds


def _thresholds(
    config: RunConfig, kinds: Sequence[str] | None, values: str
) -> list[Dimension]:
    """The thresholds of the kinds that are searched, or of the one in the chain."""
    given = _parse_values(CLIP_THRESHOLD, values, float) if values else None
    parent = CLIP_KIND if kinds else ""
    if kinds is None:
        kinds = (find_threshold(config.training.clip)[1],)
    return [
        Dimension(CLIP_THRESHOLD, given or THRESHOLDS[kind], kind=kind, parent=parent)
        for kind in kinds
        if kind != "none"
    ]


def _lambda(name: str, kinds: Sequence[str] | None, values: str) -> Dimension:
    kind = name.removesuffix(LAMBDA)
    known = LAMBDAS if kinds is None else [k for k in kinds if k != "none"]
    if kind not in known:
        raise SpecError(
            f"a KIND{LAMBDA} must be of {', '.join(known)}. Received: {name}"
        )
    given = _parse_values(name, values, float) if values else lambda_range(kind)
    return Dimension(name, given, kind=kind, parent=REGULARIZE_KIND if kinds else "")


def _field(config: RunConfig, name: str, values: str) -> Dimension:
    default, found = find_field(config, name), option_ranges(config).get(name)
    if isinstance(default, tuple):
        default, found = to_text(default), found and tuple(map(to_text, found))
    if values:
        found = _parse_values(name, values, type(default))
    if found is None:
        raise SpecError(
            f"{name} has no range of its own: write --tune {name}=LOW:HIGH or "
            f"--tune {name}=VALUE,VALUE"
        )
    is_range = isinstance(found, Range)
    for value in (found.low, found.high) if is_range else found:
        configure(config, {name: value})  # Raises where it is out of range.
    if is_range:
        return Dimension(name, found, min(max(default, found.low), found.high))
    return Dimension(name, found, default if default in found else None)


def _parse_values(name: str, text: str, kind: type) -> Values:
    """Reads `low:high` or `value,value`."""
    try:
        if ":" in text and kind in (int, float):
            low, high = (_parse_value(word, kind) for word in text.split(":"))
            if low < high:
                return Range(low, high, kind is int)
        else:
            values = tuple(_parse_value(word, kind) for word in text.split(","))
            if len(set(values)) == len(values):
                return values
    except ValueError:
        pass
    raise SpecError(
        f"--tune {name} takes LOW:HIGH for numbers, or different values with commas "
        f"between them. Received: {text!r}"
    )


def _parse_value(word: str, kind: type) -> Value:
    """Reads one value.

    Raises:
        ValueError: It is not of that type.
    """
    word = word.strip()
    if kind is bool:
        return ("false", "true").index(word) == 1
    value = kind(word)
    if not word or (kind is float and not is_number(value)):
        raise ValueError(word)
    return value
