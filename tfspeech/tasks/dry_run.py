"""A dry run: what a training run would take, measured in a few of its steps."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

from tfspeech.console import say
from tfspeech.strategies import Run
from tfspeech.tasks.distillation import check_teacher
from tfspeech.tasks.groups import (
    build_seeded,
    build_step,
    count_parameters,
    describe_groups,
)
from tfspeech.tasks.predicted_frames import with_predicted_frames
from tfspeech.tasks.task import RunConfig
from tfspeech.tasks.training import absolute
from tfspeech.tasks.unlabelled import with_taught_examples
from tfspeech.training.distribution import create_distribution
from tfspeech.training.loop import LoopState

MEASURED_STEPS = 10


def dry_run(config: RunConfig) -> dict[str, Any]:
    """Checks the data, builds the models, and measures some steps.

    Nothing is written but what is decoded, to the cache.

    Args:
        config: Of the run that is planned.

    Returns:
        `splits`, what is in the corpus; `parameters`; `steps` of the whole run;
        `trace_seconds`, until the first step was done; `step_ms`, the mean of the
        others; `training_seconds`, of all steps together, without validations; and
        `memory_mb`, the most that this process has had, in 10^6 bytes.

    Raises:
        CorpusError: The corpus cannot be read or used.
        SpecError: A strategy is not for these models or this run.
    """
    distribution = create_distribution(config.training.distribute)
    config = absolute(config)
    data = config.read_data()
    say("\n".join(data.report.table()))
    data.report.raise_if_fatal()
    config = config.resolved(data)
    check_teacher(config)
    task = build_seeded(config, distribution)
    data = with_predicted_frames(config, task, with_taught_examples(config, data))
    training = config.read_training(task, data)
    state = LoopState(training.steps_per_epoch, config.training.epochs)
    run = Run(state.total_steps, training.examples, config.training.seed)
    step = build_step(task, config.training, run, distribution, describe_groups(task))
    training.set_statistics()
    say("tracing the training step and measuring it")
    batches = iter(training.batches(0, distribution.shard))
    started = time.perf_counter()
    step.run(batches, 1)
    traced = time.perf_counter()
    step.run(batches, MEASURED_STEPS)
    step_seconds = (time.perf_counter() - traced) / MEASURED_STEPS
    return {
        "splits": data.report.splits,
        "parameters": count_parameters(task),
        "steps": state.total_steps,
        "trace_seconds": round(traced - started, 1),
        "step_ms": round(1000 * step_seconds, 3),
        "training_seconds": round(step_seconds * state.total_steps, 1),
        "memory_mb": round(_peak_bytes() / 1e6),
    }


def describe(found: dict[str, Any], config: RunConfig) -> str:
    """Describes the results of `dry_run` as text."""
    minutes = found["training_seconds"] / 60
    return (
        f"{config.model}: {found['parameters']:,} parameters, {found['steps']:,} steps "
        f"in {config.training.epochs} epochs\n"
        f"time: {found['step_ms']:.0f} ms per step, so about {minutes:.1f} minutes of "
        "training; validations come on top\n"
        f"memory: {found['memory_mb']:,} MB so far\n"
        "nothing was written but the cache"
    )


def _peak_bytes() -> int:
    """The most memory that this process has had."""
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
