"""Settings of a configuration: from the command line, back to it, and replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from tfspeech.config import differing, to_flag
from tfspeech.data.corpora import absolute_spec
from tfspeech.strategies.strategy import Strategy
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.task import RunConfig


def split_setting(text: str) -> tuple[str, str]:
    """Name and value of `name=value`; a name may be written with dashes.

    Where there is no equals sign the value is empty.
    """
    name, _, value = text.partition("=")
    return name.strip().replace("-", "_"), value.strip()


def with_training(config: RunConfig, **values: Any) -> RunConfig:
    """Returns a configuration with other values in some fields of its training.

    Raises:
        ValueError: A value is out of range.
    """
    training = dataclasses.replace(config.training, **values)
    return dataclasses.replace(config, training=training)


def with_absolute_data(config: RunConfig) -> RunConfig:
    """Returns a configuration that finds its corpus from every working directory."""
    data = dataclasses.replace(config.data, data=absolute_spec(config.data.data))
    return dataclasses.replace(config, data=data)


def format_chain(specs: Sequence[str]) -> str:
    """A chain of strategies as text, such as `centralize() + norm(1.0)`."""
    return " + ".join(specs) or "none()"


def format_chains(clip: Sequence[str], regularize: Sequence[str]) -> str:
    """Both chains of a run as text."""
    penalties = f" with {format_chain(regularize)}" if regularize else ""
    return format_chain(clip) + penalties


def format_arguments(strategy: Strategy, name: str, text: str) -> str:
    """The arguments of a strategy as in its spec, without those at their defaults.

    Args:
        strategy: The strategy.
        name: The argument that is written first.
        text: What is written for it.
    """
    others = [
        f"{field.name}={value!r}"
        for field in dataclasses.fields(strategy)
        if field.name != name
        and (value := getattr(strategy, field.name)) != field.default
    ]
    return ", ".join([text, *others])


def command_words(
    command: str, config: RunConfig, skip: Collection[str] = ()
) -> list[str]:
    """The words of a command line that makes a configuration from its model's recipe.

    Args:
        command: The module that is run.
        config: The configuration.
        skip: Names of fields to be left out.
    """
    recipe = default_config(config.model).sections()
    words = ["python", "-m", command, config.model]
    for name, section in config.sections().items():
        for field, value in differing(section, recipe[name], skip).items():
            words += to_flag(field, value)
    return words
