"""Parts that the commands of this package have in common."""

from __future__ import annotations

import argparse
import signal
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

from tfspeech.console import run_command


def run_interruptible(main: Callable[[Sequence[str]], None]) -> typing.NoReturn:
    """Runs a command that SIGINT and SIGTERM interrupt in order.

    Both raise a `KeyboardInterrupt`, even where the shell has set SIGINT to be ignored,
    as it does for background processes.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    run_command(main)


def add_report_flags(add: Callable[..., argparse.Action], run_dir: str) -> None:
    """Adds the flags `--run-dir` and `--json`.

    Args:
        add: The `add_argument` of the group to extend.
        run_dir: The default directory, with MODEL for the model's name.
    """
    add(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help=f"directory of the report and all runs (default: {run_dir})",
    )
    add("--json", action="store_true", help="print the report as one JSON object")
