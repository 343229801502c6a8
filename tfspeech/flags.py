"""Configurations of runs from the command line."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from tfspeech.config import add_flags, take_flags
from tfspeech.console import Parser
from tfspeech.spec import is_outside
from tfspeech.tasks.registry import MODELS, default_config, find_model
from tfspeech.tasks.task import RunConfig

DEFAULT_MODEL = "rnn_recognizer"


def model_parser(
    command: str,
    description: str,
    arguments: Sequence[str],
    add_own: Callable[[Parser], None],
    skip: Collection[str] = (),
    default: str = DEFAULT_MODEL,
) -> Parser:
    """Returns a parser that knows MODEL and a flag per field of its configuration.

    Args:
        command: Its name after `tfspeech`.
        description: Of the command.
        arguments: The command line, which names the model whose flags are to be known.
        add_own: Adds the flags that the command has besides.
        skip: Names of fields that get no flag.
        default: The model where the command line names none.

    Raises:
        SpecError: There is no such model.
    """

    def build(models: Collection[str], **options: object) -> Parser:
        parser = Parser(command, description, **options)
        parser.add_argument(
            "model",
            nargs="?",
            metavar="MODEL",
            help=f"one of {', '.join(MODELS)}, or package.module:Class for a model "
            "outside the package; each has flags of its own: "
            f"tfspeech {command} MODEL --help (default: {DEFAULT_MODEL})",
        )
        for model in models:
            for section in default_config(model).sections().values():
                add_flags(parser, section, skip)
        add_own(parser)
        return parser

    # With the flags of all models it is known which words are values of flags.
    every = build(MODELS, conflict_handler="resolve", add_help=False)
    model = getattr(every.parse_known_args(arguments)[0], "model", default)
    if model not in MODELS and not is_outside(model):
        every.parse_args(arguments)  # Where a flag is wrong, that is the first to know.
        find_model(model)
    return build([model])


def add_vocoder(parser: Parser) -> None:
    """Adds the flag by which a synthesiser gets another vocoder; see `load_task`."""
    parser.add_argument(
        "--vocoder",
        metavar="RUN_DIR",
        help="of a synthesiser: the run of the vocoder that makes the waveforms, or "
        "the spec of one without a network, such as griffin_lim(60) (default: that of "
        "the run)",
    )


def add_language_model(parser: Parser) -> None:
    """Adds the flag by which a recogniser gets a language model; see `load_task`."""
    parser.add_argument(
        "--language-model",
        type=Path,
        metavar="DIR",
        help="of a recogniser of connected speech: what tfspeech language_model has "
        "written (default: none)",
    )


def add_stream(parser: Parser, by: str) -> None:
    """Adds the flag by which speech is transcribed while it is spoken.

    Args:
        parser: It gets the flag.
        by: The recognisers that can.
    """
    parser.add_argument(
        "--stream",
        action="store_true",
        help=f"print what is said while it is said, by {by}: FILE, or - for standard "
        "input, has raw samples, 16-bit little-endian mono at the rate of the model",
    )


def add_ssml(parser: Parser, what: str) -> None:
    """Adds the flag by which texts are documents of SSML.

    Args:
        parser: It gets the flag.
        what: The texts.
    """
    parser.add_argument(
        "--ssml",
        action="store_true",
        help=f"{what} is a document of SSML with prosody, emphasis and break, for "
        "synthesisers with durations",
    )


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
    parser = Parser("train", "")
    for section in config.sections().values():
        add_flags(parser, section)
    return with_flags(config, parser.parse_args(words))


def with_flags(config: RunConfig, given: argparse.Namespace) -> RunConfig:
    """Returns a configuration with the fields that were given on the command line.

    Raises:
        SpecError: A value is out of range.
    """
    sections = {
        name: take_flags(section, given) for name, section in config.sections().items()
    }
    return dataclasses.replace(config, **sections)
