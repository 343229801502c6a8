"""What watches a run: logs, progress, checkpoints and the reasons to stop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfspeech.console import progress, say
from tfspeech.errors import DivergenceError
from tfspeech.training.loop import LoopState

SECONDS_BETWEEN_LINES = 30.0


class JsonLines:
    """Writes `metrics.jsonl`: a line per step, and one per epoch with the evaluation.

    Lines beyond the step at which a run resumes are dropped: they are written again.
    """

    def __init__(self, path: Path, resume_step: int = 0) -> None:
        kept = [r for r in read_metrics(path) if r["step"] <= resume_step]
        path.write_text("".join(json.dumps(r) + "\n" for r in kept))
        self._file = path.open("a", buffering=1)

    def on_steps(
        self,
        state: LoopState,
        metrics: dict[str, np.ndarray],
        update_ratios: dict[str, float],
    ) -> None:
        """Writes a line per step, the last one with the update ratios."""
        first = state.step - len(metrics["loss"]) + 1
        for index in range(len(metrics["loss"])):
            record: dict[str, Any] = {"step": first + index}
            for name, values in metrics.items():
                record[name] = _number(values[index])
            if first + index == state.step:
                ratios = {path: _number(ratio) for path, ratio in update_ratios.items()}
                record["update_ratio"] = ratios
            self._file.write(json.dumps(record) + "\n")

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Writes the record of an epoch."""
        place = {"step": state.step, "epoch": state.epoch}
        self._file.write(json.dumps(place | record) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _number(value: float) -> float | None:
    """A figure as JSON knows it: neither NaN nor infinite, six digits."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Reads `metrics.jsonl`; a last line cut off by a crash is left out."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records


class TensorBoard:
    """Writes the means over each call's steps, and epochs, for TensorBoard."""

    def __init__(self, folder: Path) -> None:
        self._writer = tf.summary.create_file_writer(str(folder))

    def on_steps(
        self,
        state: LoopState,
        metrics: dict[str, np.ndarray],
        update_ratios: dict[str, float],
    ) -> None:
        """Writes the means over the steps of one call, and the update ratios."""
        with self._writer.as_default(state.step):
            for name, values in metrics.items():
                measured = values[np.isfinite(values)]
                if measured.size:
                    tf.summary.scalar(f"train/{name}", np.mean(measured))
            for path, ratio in update_ratios.items():
                if math.isfinite(ratio):
                    tf.summary.scalar(f"update_ratio/{path}", ratio)

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Writes the figures of an epoch and makes all visible."""
        with self._writer.as_default(state.step):
            for group in ("validation", "weights"):
                for name, value in record[group].items():
                    if isinstance(value, (int, float)):
                        tf.summary.scalar(f"{group}/{name}", value)
        self._writer.flush()

    def close(self) -> None:
        """Closes the events file."""
        self._writer.close()


class Progress:
    """A progress bar on a terminal; elsewhere a line every 30 seconds or epoch."""

    def __init__(self, state: LoopState) -> None:
        self._bar = progress(state.total_steps, "training", "step", state.step)
        self._recent: list[dict[str, np.ndarray]] = []
        self._spoken = time.monotonic()

    def on_steps(
        self,
        state: LoopState,
        metrics: dict[str, np.ndarray],
        update_ratios: dict[str, float],
    ) -> None:
        """Moves the bar."""
        self._recent.append(metrics)
        self._bar.set_postfix_str(_figures([metrics]), refresh=False)
        self._bar.update(len(metrics["loss"]))
        waited = time.monotonic() - self._spoken
        if self._bar.disable and waited > SECONDS_BETWEEN_LINES:
            self._say(f"step {state.step}/{state.total_steps}: {_figures([metrics])}")

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Prints a line with the figures of the epoch."""
        figures = ", ".join(
            f"{name} {value:.4g}"
            for name, value in record["validation"].items()
            if isinstance(value, float)
        )
        self._say(
            f"epoch {state.epoch}/{state.epochs}: {_figures(self._recent)}, "
            f"{record['step_ms']:.0f} ms/step; validation {figures}"
        )
        self._recent = []

    def _say(self, line: str) -> None:
        self._spoken = time.monotonic()
        say(line)

    def close(self) -> None:
        """Removes the bar."""
        self._bar.close()


def _figures(calls: list[dict[str, np.ndarray]]) -> str:
    """The figures of a run of steps that matter, for people."""
    means = {
        name: float(np.mean(np.concatenate([metrics[name] for metrics in calls])))
        for name in ("loss", "gradient_norm", "clipped", "skipped")
    }
    line = (
        f"loss {means['loss']:.4f}, gradient norm {means['gradient_norm']:.3g}, "
        f"{means['clipped']:.0%} clipped"
    )
    return line + (f", {means['skipped']:.0%} skipped" if means["skipped"] else "")


class SkipGuard:
    """Stops a run of which many steps in a row were not finite."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_a_row = 0

    def on_steps(
        self,
        state: LoopState,
        metrics: dict[str, np.ndarray],
        update_ratios: dict[str, float],
    ) -> None:
        """Counts.

        Raises:
            DivergenceError: `limit` steps in a row were skipped.
        """
        for skipped in metrics["skipped"]:
            self._in_a_row = self._in_a_row + 1 if skipped else 0
            if self._in_a_row >= self._limit:
                raise DivergenceError(
                    f"the loss or its gradient was not finite for {self._limit} steps "
                    f"in a row, up to step {state.step}: lower --learning-rate, clip "
                    "(--clip), or train in float32 (--precision)"
                )


class Monitor(NamedTuple):
    """The validation score by which the best model of a run is chosen.

    Attributes:
        name: As in the records of epochs.
        higher_is_better: Whether more of it is better.
    """

    name: str
    higher_is_better: bool

    @property
    def sign(self) -> float:
        """The factor with which more of the score is better: 1 or -1."""
        return 1.0 if self.higher_is_better else -1.0


class KeepBest:
    """Saves the model when a validation metric is best, and stops when it stays worse.

    A later model that is as good replaces an earlier one: it has seen more.

    Args of the constructor:
        save: Saves a model.
        model: What to save.
        monitor: The metric.
        patience: Epochs without a better value before the run stops, 0 for never.
        first_step: Models of fewer steps do not count: they are not yet what the
            regularization is to make of them.
    """

    def __init__(
        self,
        save: Callable[[keras.Model], None],
        model: keras.Model,
        monitor: Monitor,
        patience: int,
        first_step: int = 0,
    ) -> None:
        self._first_step = first_step
        self._save = save
        self._model = model
        self._monitor = monitor
        self._patience = patience
        self._best = tf.Variable(-np.inf, dtype=tf.float64, trainable=False)
        self._epochs_since = tf.Variable(0, trainable=False)
        self.variables = {"best/value": self._best, "best/since": self._epochs_since}

    @property
    def exhausted(self) -> bool:
        """Whether the metric has not become better for `patience` epochs."""
        return 0 < self._patience <= int(self._epochs_since)

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Compares the metric with the best so far."""
        if state.step < self._first_step:
            return
        value = self._monitor.sign * record["validation"][self._monitor.name]
        best = float(self._best)
        if value >= best:
            self._save(self._model)
            self._best.assign(value)
        self._epochs_since.assign(0 if value > best else self._epochs_since + 1)
        if self.exhausted:
            say(
                f"stopped: no better {self._monitor.name} than "
                f"{self._monitor.sign * float(self._best):.4g} "
                f"for {self._patience} epochs"
            )
            state.stop = True
