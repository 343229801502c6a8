"""Training runs in processes of their own, each with a record of its outcome.

A process per run costs the seconds that TensorFlow takes to start. It gives back all of
a run's memory, of which TensorFlow keeps some 60 MB per run however small the model,
makes the times per step of one run independent of those before it, and lets the others
continue when one is killed for lack of memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import typing
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from tfspeech.config import record_from_json
from tfspeech.console import USER_ERROR
from tfspeech.errors import RunError
from tfspeech.files import read_json, write_text
from tfspeech.tasks.task import RunConfig
from tuning.limits import NO_LIMITS, Limits

RUNS = "runs"
"""The folder of all runs, below the directory of a search or comparison."""
OUTCOME_FILE = "outcome.json"
LOG_FILE = "log.txt"
Status = typing.Literal["finished", "stopped", "diverged", "crashed"]
STATUSES = typing.get_args(Status)
"""All of them, from the best to the worst."""
FINISHED, STOPPED, DIVERGED, CRASHED = STATUSES


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        status: `FINISHED`, `DIVERGED`, `CRASHED`, or `STOPPED` by its limits.
        reason: Why it did not finish, in one line.
    """

    status: Status
    reason: str = ""


def count_statuses(statuses: Iterable[str]) -> str:
    """How many runs or trials have each status as text, as `2 finished, 1 crashed`."""
    counts = Counter(statuses)
    return ", ".join(f"{counts[each]} {each}" for each in STATUSES if counts[each])


def load_outcome(run_dir: Path) -> Outcome | None:
    """The outcome of a run that finished, diverged or was stopped; None for any other.

    Raises:
        RunError: The record is damaged.
    """
    path = run_dir / OUTCOME_FILE
    if not path.is_file():
        return None
    return read_json(path, functools.partial(record_from_json, Outcome))


def run_trial(config: RunConfig, run_dir: Path, limits: Limits = NO_LIMITS) -> Outcome:
    """Trains a model in a new process, from where its run stopped.

    A run that finished or diverged is not trained again; one that its limits have
    stopped continues as far as they allow now. Its output is in `log.txt` in its
    directory.

    Raises:
        RunError: The run could not be started; the others cannot either.
        KeyboardInterrupt: SIGINT; the run has saved its state.
    """
    outcome = load_outcome(run_dir)
    if outcome is not None and outcome.status != STOPPED:
        return outcome
    run_dir.mkdir(parents=True, exist_ok=True)
    log = run_dir / LOG_FILE
    with log.open("a") as stream:
        code, output = _train_in_process(config, run_dir, limits, stream)
    if code:
        last = (log.read_text(errors="replace").splitlines() or [""])[-1]
        if code == USER_ERROR:
            raise RunError(last.removeprefix("error: "))
        return Outcome(CRASHED, f"{_describe_exit(code)}, see {log}: {last}")
    outcome = Outcome(**json.loads(output.splitlines()[-1]))
    write_json(run_dir / OUTCOME_FILE, dataclasses.asdict(outcome))
    return outcome


def write_json(path: Path, values: Any) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(values, indent=1) + "\n")


def _train_in_process(
    config: RunConfig, run_dir: Path, limits: Limits, log: IO[str]
) -> tuple[int, bytes]:
    """Exit code and standard output of a worker."""
    line = " ".join(config.to_json().splitlines()) + "\n"
    with subprocess.Popen(  # noqa: S603 - our own module
        # It finds what this process does, not what lies in the working directory.
        [sys.executable, "-P", "-m", "tuning.worker", str(run_dir), limits.to_json()],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        # Ctrl-C reaches the worker once, through us.
        start_new_session=True,
    ) as process:
        try:
            # The pipe stays open: its end is the end of this process.
            with contextlib.suppress(BrokenPipeError):  # It died; its exit says how.
                process.stdin.write(line.encode())
            output = process.stdout.read()
            return process.wait(), output
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    cause = ", possibly out of memory" if code == -signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name}{cause}"
