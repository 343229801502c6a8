"""What all commands share: flags from dataclasses, progress and one-line errors."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import json
import logging
import sys
import typing
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from tqdm import tqdm

from tfspeech.errors import SpecError, TfspeechError

Config = TypeVar("Config")

USER_ERROR = 2


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are exceptions, and that knows `-v`.

    Flags that are not given leave no trace in the namespace, so that the defaults
    stay where they are declared.
    """

    def __init__(self, command: str, description: str, **kwargs: Any) -> None:
        super().__init__(
            prog=f"python -m {command}",
            description=description,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            **kwargs,
        )
        self.add_argument(
            "-v", "--verbose", action="store_true", help="show TensorFlow's own log"
        )

    def error(self, message: str) -> typing.NoReturn:
        """Raises a `SpecError` where argparse would print its usage."""
        raise SpecError(f"{message} (see {self.prog} --help)")


def add_config(
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
    hints = typing.get_type_hints(type(config))
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


def pick_config(arguments: argparse.Namespace, base: Config) -> Config:
    """Returns `base` with the fields that were given on the command line.

    Raises:
        SpecError: A value is none of the field's choices or out of its range.
    """
    given = {
        field.name: tuple(value) if isinstance(value, list) else value
        for field in dataclasses.fields(base)
        if (value := getattr(arguments, field.name, None)) is not None
    }
    try:
        return dataclasses.replace(base, **given)
    except ValueError as error:
        raise SpecError(str(error)) from error


def progress(total: int, description: str, unit: str = "it", initial: int = 0) -> tqdm:
    """A progress bar on a terminal, silent elsewhere; a context manager."""
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        initial=initial,
        dynamic_ncols=True,
        leave=False,
        disable=not sys.stderr.isatty(),
    )


def say(text: str) -> None:
    """Prints a line of progress on standard error, above any progress bar."""
    tqdm.write(text, file=sys.stderr)


def print_json(results: Any) -> None:
    """Prints one JSON object as the last line of standard output."""
    sys.stdout.flush()
    print(json.dumps(results), flush=True)


def run_command(
    main: Callable[[Sequence[str]], None], arguments: Sequence[str] | None = None
) -> typing.NoReturn:
    """Runs a command and exits: 0, or 2 with one line that names error and cure."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not {"-v", "--verbose"} & set(arguments):
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        main(arguments)
    except OSError as error:
        _fail(_describe(error))
    except TfspeechError as error:
        _fail(str(error))
    except KeyboardInterrupt as error:
        _fail(str(error) or "interrupted")
    raise SystemExit(0)


def _describe(error: OSError) -> str:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return str(error)
    where = f" for {error.filename}" if error.filename else ""
    return (
        f"no space left on the disk{where}: make room and start again, a training run "
        "with --resume"
    )


def _fail(message: str) -> typing.NoReturn:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    raise SystemExit(USER_ERROR)
