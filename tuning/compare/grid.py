"""Candidates of a comparison, and their runs."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.config import is_number
from tfspeech.errors import SpecError
from tfspeech.flags import with_settings
from tfspeech.spec import parse_expression
from tfspeech.strategies import parse_clipping, parse_regularization
from tfspeech.strategies.strategy import Strategy
from tfspeech.tasks.task import RunConfig
from tuning.settings import (
    format_arguments,
    format_chain,
    format_chains,
    split_setting,
    with_training,
)
from tuning.trials import RUNS

SLUG_LENGTH = 60
_MAX_SEEDS = 1000
_COLON = "__colon__"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A candidate of a comparison: two chains of strategies, and other settings.

    Attributes:
        clip: Specs of the clipping chain.
        regularize: Specs of the regularization chain, empty for none.
        settings: Names of other fields of the configuration, with their values as on
            the command line.
    """

    clip: tuple[str, ...]
    regularize: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """Settings and specs as text."""
        settings = [f"{name}={value}" for name, value in self.settings]
        return ", ".join([*settings, format_chains(self.clip, self.regularize)])

    @property
    def slug(self) -> str:
        """The name of its folder, the same in every comparison."""
        readable = re.sub(r"[^A-Za-z0-9.=-]+", "_", self.label).strip("_.")
        digest = hashlib.sha256(self.label.encode()).hexdigest()
        return f"{readable[:SLUG_LENGTH]}-{digest[:6]}"

    @property
    def strategies(self) -> list[Strategy]:
        """The strategies of both chains, one chain after the other."""
        return [*parse_clipping(self.clip), *parse_regularization(self.regularize)]


@dataclasses.dataclass(frozen=True)
class Combination:
    """One run of a comparison.

    Attributes:
        candidate: The candidate.
        config: The configuration of the run.
        run_dir: Its directory.
    """

    candidate: Candidate
    config: RunConfig
    run_dir: Path


@dataclasses.dataclass(frozen=True)
class Family:
    """Candidates that differ in one number alone.

    Attributes:
        kind: The flag of the strategy that differs, `clip` or `regularize`.
        axis: That strategy with the argument that differs, as `global_norm(c)`.
        label: The candidates as text, with the argument's name for its value.
        members: The values of the argument with their candidates, sorted.
    """

    kind: str
    axis: str
    label: str
    members: tuple[tuple[float, Candidate], ...]


def split_chain(text: str) -> tuple[str, ...]:
    """The specs of a chain that is written as `first() + second(1.0)`.

    Text that does not parse is returned as it is; the parser of the specs rejects it.
    """
    # The colon of package.module:Name is no Python.
    python = re.sub(r"(?<=\w):(?=[A-Za-z_])", _COLON, text.strip())
    try:
        node = parse_expression(python)
        parts = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts.insert(0, node.right)
            node = node.left
        return tuple(ast.unparse(n).replace(_COLON, ":") for n in (node, *parts))
    except (ValueError, RecursionError):
        return (text,)


def build_candidates(
    clips: Sequence[str], regularizations: Sequence[str], varied: Sequence[str] = ()
) -> list[Candidate]:
    """Every clipping chain with every regularization chain and every setting.

    Args:
        clips: Chains, each written as `split_chain` reads it.
        regularizations: The same.
        varied: Settings, each written as `name=value,value`, or as several of these
            with plus signs between them, whose values go together.

    Raises:
        SpecError: A chain or a setting does not parse, or is there twice.
    """
    settings = [_split_settings(text) for text in varied]
    chains = [split_chain(text) for text in clips]
    penalties = [
        tuple(spec for spec in split_chain(text) if spec not in ("none", "none()"))
        for text in regularizations
    ]
    _check_distinct(chains, [parse_clipping(chain) for chain in chains], "--clip")
    _check_distinct(
        penalties, [parse_regularization(chain) for chain in penalties], "--regularize"
    )
    return [
        Candidate(clip, penalty, tuple(itertools.chain(*setting)))
        for setting in itertools.product(*settings)
        for clip in chains
        for penalty in penalties
    ]


def _split_settings(text: str) -> list[tuple[tuple[str, str], ...]]:
    """Settings that go together, of `name=value,value + name=value,value`."""
    columns = []
    for part in re.split(r"\s\+\s", text):
        name, values = split_setting(part)
        columns.append([(name, v.strip()) for v in values.split(",") if v.strip()])
    rows = list(zip(*columns, strict=False))
    named = all(name for row in rows for name, _ in row)
    if not rows or not named or len(set(rows)) < max(map(len, columns)):
        raise SpecError(
            "--vary is written as name=value,value with different values, such as "
            "'units=64,128', or as some of these that have as many values and go "
            f"together, 'units=64,128 + layers=2,1'. Received: {text!r}"
        )
    return rows


def _check_distinct(
    chains: Sequence[tuple[str, ...]], built: Sequence[list[Any]], flag: str
) -> None:
    for index, chain in enumerate(built):
        if chain in built[:index]:
            first = format_chain(chains[built.index(chain)])
            again = format_chain(chains[index])
            raise SpecError(
                f"{flag} {again!r} and {first!r} are the same candidate: leave one out"
            )


def build_combinations(
    config: RunConfig, candidates: Sequence[Candidate], seeds: int, directory: Path
) -> list[Combination]:
    """The runs of a comparison, first all candidates with the first seed.

    Args:
        config: The configuration that all runs share; its seed is the first one.
        candidates: The candidates.
        seeds: Runs per candidate.
        directory: Of the comparison.

    Raises:
        SpecError: There are no seeds, or a candidate does not fit the configuration.
    """
    if seeds < 1:
        raise SpecError(f"--seeds must be at least 1. Received: {seeds}")
    if seeds > _MAX_SEEDS:
        raise SpecError(f"--seeds must be at most {_MAX_SEEDS}. Received: {seeds}")
    first = config.training.seed
    return [
        Combination(
            candidate,
            _configure(config, candidate, seed),
            directory / RUNS / candidate.slug / f"seed_{seed}",
        )
        for seed in range(first, first + seeds)
        for candidate in candidates
    ]


def _configure(config: RunConfig, candidate: Candidate, seed: int) -> RunConfig:
    """The configuration of one run."""
    config = with_settings(config, candidate.settings)
    clip, regularize = candidate.clip, candidate.regularize
    return with_training(config, clip=clip, regularize=regularize, seed=seed)


def find_families(candidates: Sequence[Candidate]) -> list[Family]:
    """The groups of candidates of the same strategies that differ in one number."""
    groups: dict[Any, dict[float, Candidate]] = {}
    for candidate in candidates:
        shared = (len(candidate.clip), candidate.settings)
        strategies = candidate.strategies
        values = [{"": type(s)} | vars(s) for s in strategies]
        for index, strategy in enumerate(strategies):
            for name, value in vars(strategy).items():
                if is_number(value):
                    others = [*values[:index], values[index] | {name: ...}]
                    others += values[index + 1 :]
                    key = (index, name, shared, *(tuple(o.items()) for o in others))
                    groups.setdefault(key, {})[float(value)] = candidate
    return [
        _build_family(index, name, tuple(sorted(group.items())))
        for (index, name, *_), group in groups.items()
        if len(group) > 1
    ]


def _build_family(
    index: int, name: str, members: tuple[tuple[float, Candidate], ...]
) -> Family:
    """The family of an argument of the strategy at a position in both chains."""
    candidate = members[0][1]
    specs, count = [*candidate.clip, *candidate.regularize], len(candidate.clip)
    strategy, _, _ = specs[index].partition("(")
    arguments = format_arguments(candidate.strategies[index], name, name)
    specs[index] = f"{strategy}({arguments})"
    label = Candidate(tuple(specs[:count]), tuple(specs[count:]), candidate.settings)
    kind = "clip" if index < count else "regularize"
    return Family(kind, f"{strategy}({name})", label.label, members)
