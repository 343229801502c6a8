"""Configurations from flags: those of a model, by name, and from a file."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection, Sequence

from models import CATALOGUE
from tfspeech.console import Parser, add_config, pick_config
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.task import RunConfig

DEFAULT_MODEL = "rnn_recognizer"


def model_parser(
    command: str,
    description: str,
    arguments: Sequence[str],
    skip: Collection[str] = (),
    default: str = DEFAULT_MODEL,
) -> Parser:
    """Returns a parser that knows MODEL and a flag per field of its configuration.

    Args:
        command: The name of the module that is run.
        description: Of the command.
        arguments: The command line, which names the model whose flags are to be known.
        skip: Names of fields that get no flag.
        default: The model where the command line names none.
    """
    names = [a for a in arguments if a in CATALOGUE]
    parser = Parser(command, description)
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help=f"one of {', '.join(CATALOGUE)} (default: {DEFAULT_MODEL})",
    )
    recipe = default_config(names[0] if names else default)
    for section in recipe.sections().values():
        add_config(parser, section, skip)
    return parser


def with_settings(config: RunConfig, settings: Sequence[tuple[str, str]]) -> RunConfig:
    """Returns a configuration with other values in some fields.

    Args:
        config: The configuration.
        settings: Names of fields with their values as on the command line, `true` or
            `false` for what is either.

    Raises:
        SpecError: There is no such field, or its value is out of range.
    """
    words = []
    for name, value in settings:
        flag = name.replace("_", "-")
        if value in ("true", "false"):
            words.append(f"--{flag}" if value == "true" else f"--no-{flag}")
        else:
            words.append(f"--{flag}={value}")
    parser = Parser("tfspeech.train", "")
    for section in config.sections().values():
        add_config(parser, section)
    return with_flags(config, parser.parse_args(words))


def with_flags(config: RunConfig, given: argparse.Namespace) -> RunConfig:
    """Returns a configuration with the fields that were given on the command line.

    Raises:
        SpecError: A value is out of range.
    """
    sections = {
        name: pick_config(given, section) for name, section in config.sections().items()
    }
    return dataclasses.replace(config, **sections)
