"""`python -m tuning.worker`: one training run in a process of its own.

It is started by `tuning.trials` and by nobody else. The configuration is the first line
of standard input; the outcome of the run is the last line of standard output. The
arguments are the run directory and the limits of the run.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tfspeech import train
from tfspeech.console import print_json, run_command
from tfspeech.errors import DivergenceError
from tfspeech.tasks.registry import parse_config
from tuning.limits import LimitRule, Limits
from tuning.trials import DIVERGED, FINISHED, STOPPED, Outcome


def main(arguments: Sequence[str]) -> None:
    """Trains in a directory from where its run stopped, within its limits."""
    run_dir = Path(arguments[0])
    config = parse_config(sys.stdin.readline())
    rule = LimitRule(config, run_dir, Limits.from_json(arguments[1]))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        train.run(config, run_dir, resume=True, is_over=rule)
        outcome = Outcome(STOPPED if rule.reason else FINISHED, rule.reason)
    except DivergenceError as error:
        outcome = Outcome(DIVERGED, str(error))
    print_json(dataclasses.asdict(outcome))


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone.

    Two processes must not train in one directory once the command is started anew.
    """
    os.read(sys.stdin.fileno(), 1)  # Returns when the pipe closes.
    os._exit(1)


if __name__ == "__main__":
    run_command(main)
