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

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from tfspeech import train
from tfspeech.config import differing
from tfspeech.console import print_json, run_command
from tfspeech.errors import DivergenceError
from tfspeech.tasks.registry import default_config, parse_config
from tfspeech.tasks.task import RunConfig
from tfspeech.training.callbacks import writing_events
from tfspeech.training.paths import TENSORBOARD
from tuning.limits import LimitRule, Limits
from tuning.settings import format_chain
from tuning.trials import DIVERGED, FINISHED, STOPPED, Outcome


def main(arguments: Sequence[str]) -> None:
    """Trains in a directory from where its run stopped, within its limits."""
    run_dir = Path(arguments[0])
    config = parse_config(sys.stdin.readline())
    rule = LimitRule(config, run_dir, Limits.from_json(arguments[1]))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log_hyperparameters(config, run_dir / TENSORBOARD)
    try:
        train.run(config, run_dir, resume=True, is_over=rule)
        outcome = Outcome(STOPPED if rule.reason else FINISHED, rule.reason)
    except DivergenceError as error:
        outcome = Outcome(DIVERGED, str(error))
    print_json(dataclasses.asdict(outcome))


def log_hyperparameters(config: RunConfig, folder: Path) -> None:
    """Writes what differs from the model's recipe for TensorBoard's HParams page.

    Both chains are always among it, so that runs can be told apart by them.
    """
    recipe = default_config(config.model).sections()
    values = {
        name: value if isinstance(value, (bool, int, float)) else str(value)
        for key, section in config.sections().items()
        for name, value in differing(section, recipe[key]).items()
    }
    training = config.training
    values |= {"clip": format_chain(training.clip), "seed": training.seed}
    values |= {"regularize": format_chain(training.regularize)}
    writer = tf.summary.create_file_writer(str(folder))
    with writing_events(folder), writer.as_default(0):
        hparams.hparams(values)


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone.

    Two processes must not train in one directory once the command is started anew.
    """
    os.read(sys.stdin.fileno(), 1)  # Returns when the pipe closes.
    os._exit(1)


if __name__ == "__main__":
    run_command(main)
