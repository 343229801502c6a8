"""The console of all commands: arguments, progress and one-line errors."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import json
import logging
import os
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

from tfspeech.errors import SpecError, TfspeechError

USER_ERROR = 2

_LONGEST_LINE = 2000

_silent: ContextVar[bool] = ContextVar("silent", default=False)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are exceptions, and that knows `-v`.

    Flags that are not given leave no trace in the namespace, so that the defaults
    stay where they are declared.

    Args of the constructor:
        command: Its name after `tfspeech`.
        description: What it does.
        **kwargs: As of `argparse.ArgumentParser`.
    """

    def __init__(self, command: str, description: str, **kwargs: Any) -> None:
        super().__init__(
            prog=f"tfspeech {command}",
            description=description,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            **kwargs,
        )
        self.add_argument(
            "-v", "--verbose", action="store_true", help="show TensorFlow's own log"
        )

    def add_json(self) -> None:
        """Adds `--json`."""
        self.add_argument(
            "--json",
            action="store_true",
            help="print the results as one JSON object, in the last line of standard "
            "output",
        )

    def parse_known_args(
        self, *arguments: Any, **kwargs: Any
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses arguments; `-v` leaves no trace, for it has acted before."""
        given, others = super().parse_known_args(*arguments, **kwargs)
        vars(given).pop("verbose", None)
        return given, others

    def error(self, message: str) -> typing.NoReturn:
        """Raises a `SpecError` where argparse would print its usage."""
        raise SpecError(f"{message} (see {self.prog} --help)")


@contextlib.contextmanager
def silence(silent: bool = True) -> Iterator[None]:
    """Keeps bars and lines of progress from being shown while the block runs."""
    token = _silent.set(silent)
    try:
        yield
    finally:
        _silent.reset(token)


def progress(total: int, description: str, unit: str = "it", initial: int = 0) -> tqdm:
    """A progress bar on a terminal, silent elsewhere; a context manager."""
    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        initial=initial,
        dynamic_ncols=True,
        leave=False,
        disable=_silent.get() or not sys.stderr.isatty(),
    )


def say(text: str) -> None:
    """Prints a line of progress on standard error, above any progress bar."""
    if not _silent.get():
        tqdm.write(text, file=sys.stderr)


@contextlib.contextmanager
def no_native_reports() -> Iterator[None]:
    """Keeps what C++ libraries write on standard error off the console."""
    sys.stderr.flush()
    console = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(console, 2)
        os.close(console)


def import_tensorflow() -> None:
    """Imports TensorFlow without the notices that its libraries print.

    It reads `TF_CPP_MIN_LOG_LEVEL` once; 2.21 reports some things before.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with no_native_reports():
        importlib.import_module("tensorflow")


def print_json(results: Any) -> None:
    """Prints one JSON object as the last line of standard output."""
    sys.stdout.flush()
    print(json.dumps(results), flush=True)


def run_command(
    main: Callable[[Sequence[str]], None], arguments: Sequence[str] | None = None
) -> typing.NoReturn:
    """Runs a command and exits: 0, or 2 with one line that names error and cure."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # Names of files need not be text.
        stream.reconfigure(errors="backslashreplace")
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
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return f"{error.filename} needs a folder where there is a file: choose another"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return str(error)
    where = f" for {error.filename}" if error.filename else ""
    return (
        f"no space left on the disk{where}: make room and start again, a training run "
        "with --resume"
    )


def one_line(text: str) -> str:
    """Returns a text as one line that has no control characters and is not too long."""
    words = " ".join(text.split())
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    half = _LONGEST_LINE // 2
    return line if len(line) <= _LONGEST_LINE else f"{line[:half]} ... {line[-half:]}"


def _fail(message: str) -> typing.NoReturn:
    print(f"error: {one_line(message)}", file=sys.stderr)
    raise SystemExit(USER_ERROR)
