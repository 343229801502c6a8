"""Figures of one run, from the records in its directory."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tfspeech.strategies import parse_regularization
from tfspeech.tasks.runs import read_results
from tfspeech.tasks.task import RunConfig
from tfspeech.training.callbacks import Monitor
from tfspeech.training.group import METRICS
from tfspeech.training.paths import METRICS_FILE
from tfspeech.training.plots import read_records, series
from tuning.reports import COLUMNS

SMOOTHING_STEPS = 25

STEP_MEDIANS = ("gradient_norm", "threshold")
"""Metrics of steps whose median is taken; of the others it is the mean."""
SCORE = "score/"
"""Begins the names of the scores that a run ended with."""
WEIGHT_SHARES = ("zeros", "zero_units", "effective_parameters")


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """The records of a run.

    Attributes:
        steps: A record per step, of the first group that moves.
        epochs: A record per evaluation of a model that could have become the best.
        results: The scores of the best model, empty where the run did not finish.
    """

    steps: list[dict[str, Any]]
    epochs: list[dict[str, Any]]
    results: dict[str, Any]


def read_run(config: RunConfig, run_dir: Path) -> RunRecord:
    """Reads the records that a run has written so far.

    Raises:
        RunError: They are damaged.
    """
    groups, epochs = read_records(run_dir / METRICS_FILE)
    chain = parse_regularization(config.training.regularize)
    settled = max((strategy.settled_after for strategy in chain), default=0)
    return RunRecord(
        next(iter(groups.values()), []),
        [epoch for epoch in epochs if epoch["step"] >= settled],
        read_results(run_dir),
    )


def smoothed_loss(run: RunRecord) -> np.ndarray:
    """The mean training loss of the last 25 steps, without penalties, at every step.

    It is NaN for the first 24 steps, and for a run shorter than that but at its end.
    Steps that were not finite do not count.
    """
    losses = series(run.steps, "loss")
    means = np.full(len(losses), np.nan)
    window = min(SMOOTHING_STEPS, len(losses))
    if window:
        windows = np.ma.masked_invalid(sliding_window_view(losses, window))
        means[window - 1 :] = windows.mean(axis=1).filled(np.nan)
    return means


def run_figures(
    run: RunRecord, monitor: Monitor, target_loss: float | None
) -> dict[str, float | None]:
    """The figures of a finished run; None for what it did not measure or reach.

    Args:
        run: Its records.
        monitor: The score by which its best model was chosen.
        target_loss: The training loss for which the steps to it are counted, in the
            loss's own unit; None for none.
    """
    figures: dict[str, float | None] = {}
    if run.epochs:
        # The last of equals, as in the training run.
        scores = [record["validation"][monitor.name] for record in run.epochs]
        score, index = max((monitor.sign * s, i) for i, s in enumerate(scores))
        figures["metric"] = monitor.sign * score
        figures["best_epoch"] = run.epochs[index]["epoch"]
    if run.results.get("split") == "test":
        figures["test_metric"] = run.results.get(monitor.name)
    losses = smoothed_loss(run)
    figures["final_loss"] = _finite(losses[-1]) if len(losses) else None
    if target_loss is not None:
        reached = np.flatnonzero(losses <= target_loss)
        figures["steps_to_target"] = (
            run.steps[reached[0]]["step"] if len(reached) else None
        )
    # The first epoch holds the time that tracing takes.
    times = [r["step_ms"] for r in run.epochs if r.get("step_ms") is not None]
    figures["step_ms"] = _finite(np.median(times[1:] or times)) if times else None
    for name in filter(COLUMNS.get, METRICS):
        values = series(run.steps, name)
        values = values[np.isfinite(values)]
        reduce = np.median if name in STEP_MEDIANS else np.mean
        figures[name] = float(reduce(values)) if len(values) else None
    for name, value in run.results.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            figures[f"{SCORE}{name}"] = _finite(value)
    weights = run.results.get("weights", {})
    return figures | {name: weights.get(name) for name in WEIGHT_SHARES}


def diverged_step(run: RunRecord) -> int | None:
    """The step at which a run diverged; None for one that did not.

    That is the first of the skipped steps with which it ended; or, where its training
    loss ended above that of its first step, the one at which it was least.
    """
    first = None
    for record in reversed(run.steps):
        if not record["skipped"]:
            break
        first = record["step"]
    if first is not None or not run.steps:
        return first
    losses = smoothed_loss(run)
    begun = run.steps[0]["loss"]
    if begun is None or not losses[-1] > begun:
        return None
    return run.steps[int(np.nanargmin(losses))]["step"]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
