"""Callbacks of the training loop: logs, progress, the best model, reasons to stop."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfspeech.console import progress, say
from tfspeech.errors import DivergenceError, RunError
from tfspeech.files import parse_json, read_file, write_text
from tfspeech.training.loop import LoopState
from tfspeech.training.step import Metrics, UpdateRatios

SECONDS_BETWEEN_LINES = 30.0


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
        """The factor that makes more better."""
        return 1.0 if self.higher_is_better else -1.0


class JsonLines:
    """Writes `metrics.jsonl`: a line per step and group, and one per epoch.

    Lines beyond the step at which a run resumes are dropped: they are written again.

    Raises:
        RunError: The file that is there is damaged; it stays as it is.
    """

    def __init__(self, path: Path, resume_step: int = 0) -> None:
        kept = [r for r in read_metrics(path) if r["step"] <= resume_step]
        last = kept[-1]["step"] if kept else 0
        if last < resume_step:
            say(f"{path} lacks steps {last + 1} to {resume_step}, which are done")
        write_text(path, "".join(json.dumps(r) + "\n" for r in kept))
        self._file = path.open("a", buffering=1)

    def on_steps(
        self, state: LoopState, metrics: Metrics, update_ratios: UpdateRatios
    ) -> None:
        """Writes a line per step and group, the last ones with the update ratios."""
        count = _steps(metrics)
        for index in range(count):
            step = state.step - count + 1 + index
            for group, figures in metrics.items():
                record: dict[str, Any] = {"step": step, "group": group}
                for name, values in figures.items():
                    record[name] = _number(values[index])
                if step == state.step:
                    ratios = update_ratios[group].items()
                    record["update_ratio"] = {p: _number(r) for p, r in ratios}
                self._file.write(json.dumps(record) + "\n")

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Writes the record of an epoch."""
        place = {"step": state.step, "epoch": state.epoch}
        self._file.write(json.dumps(place | record) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _steps(metrics: Metrics) -> int:
    """How many steps there are metrics of."""
    return max(len(figures["loss"]) for figures in metrics.values())


def _number(value: float) -> float | None:
    """A figure as JSON knows it: neither NaN nor infinite, six digits."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


_FIGURE = (int, float, NoneType)
_KINDS = {"group": str, "update_ratio": dict, "validation": dict, "weights": dict}
"""The types of what a record has besides figures."""


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Reads `metrics.jsonl`; a last line cut off by a crash is left out.

    Raises:
        RunError: Another line is damaged.
    """
    *lines, rest = read_file(path).split(b"\n") if path.exists() else [b""]
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(_parse_record(line))
        except ValueError as error:
            raise RunError(
                f"line {number} of {path} is damaged: mend it, or delete it to go on "
                f"without its figures. ({error})"
            ) from error
    if rest:
        with contextlib.suppress(ValueError):
            records.append(_parse_record(rest))
    return records


def _parse_record(line: bytes) -> dict[str, Any]:
    record = parse_json(line)
    if not isinstance(record, dict) or type(record.get("step")) is not int:
        raise ValueError("it is no record of a step")
    for name, value in record.items():
        if not isinstance(value, _KINDS.get(name, _FIGURE)):
            raise ValueError(f"it has {value!r:.60} for {name}")
    return record


@contextlib.contextmanager
def writing_events(folder: Path) -> Iterator[None]:
    """Raises a `RunError` where the block cannot write events for TensorBoard.

    Args:
        folder: Of the events.
    """
    try:
        yield
    except tf.errors.OpError as error:
        raise RunError(
            f"cannot write to {folder}: make room or mend its permissions, then go on "
            f"with --resume. ({str(error).splitlines()[0]})"
        ) from error


class TensorBoard:
    """Writes the means over each call's steps, and epochs, for TensorBoard.

    Its methods raise a `RunError` where the disk is full or cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = tf.summary.create_file_writer(str(folder))

    def on_steps(
        self, state: LoopState, metrics: Metrics, update_ratios: UpdateRatios
    ) -> None:
        """Writes the means over the steps of one call, and the update ratios."""
        with writing_events(self._folder), self._writer.as_default(state.step):
            for group, figures in metrics.items():
                for name, values in figures.items():
                    measured = values[np.isfinite(values)]
                    if measured.size:
                        tf.summary.scalar(f"{group}/{name}", np.mean(measured))
                for path, ratio in update_ratios[group].items():
                    if math.isfinite(ratio):
                        tf.summary.scalar(f"update_ratio/{path}", ratio)

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Writes the figures of an epoch and makes all visible."""
        with writing_events(self._folder), self._writer.as_default(state.step):
            tables = {"validation": record["validation"]}
            tables |= {f"weights/{g}": w for g, w in record["weights"].items()}
            for table, figures in tables.items():
                for name, value in figures.items():
                    if isinstance(value, (int, float)):
                        tf.summary.scalar(f"{table}/{name}", value)
            self._writer.flush()

    def close(self) -> None:
        """Closes the events file."""
        with writing_events(self._folder):
            self._writer.close()


class Progress:
    """A progress bar on a terminal; elsewhere a line every 30 seconds or epoch."""

    def __init__(self, state: LoopState) -> None:
        self._bar = progress(state.total_steps, "training", "step", state.step)
        self._recent: list[Metrics] = []
        self._spoken = time.monotonic()

    def on_steps(
        self, state: LoopState, metrics: Metrics, update_ratios: UpdateRatios
    ) -> None:
        """Moves the bar."""
        self._recent.append(metrics)
        self._bar.set_postfix_str(_figures([metrics]), refresh=False)
        self._bar.update(_steps(metrics))
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


def _figures(calls: list[Metrics]) -> str:
    """The figures of a run of steps that matter, for people."""
    lines = []
    for group in calls[0]:
        means = {
            name: float(np.mean(np.concatenate([call[group][name] for call in calls])))
            for name in ("loss", "gradient_norm", "clipped", "skipped")
        }
        line = (
            f"loss {means['loss']:.4f}, gradient norm {means['gradient_norm']:.3g}, "
            f"{means['clipped']:.0%} clipped"
        )
        line += f", {means['skipped']:.0%} skipped" if means["skipped"] else ""
        lines.append(line if len(calls[0]) == 1 else f"{group}: {line}")
    return "; ".join(lines)


class SkipGuard:
    """Stops a run in which a group has skipped many steps in a row."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_a_row: dict[str, int] = {}

    def on_steps(
        self, state: LoopState, metrics: Metrics, update_ratios: UpdateRatios
    ) -> None:
        """Counts.

        Raises:
            DivergenceError: `limit` steps in a row were skipped.
        """
        for group, figures in metrics.items():
            for skipped in figures["skipped"]:
                row = self._in_a_row.get(group, 0) + 1 if skipped else 0
                self._in_a_row[group] = row
                if row >= self._limit:
                    raise DivergenceError(
                        f"the loss or its gradient was not finite for {self._limit} "
                        f"steps in a row, up to step {state.step}: lower "
                        "--learning-rate, clip (--clip), or train in float32 "
                        "(--precision)"
                    )


class KeepBest:
    """Saves the models when a validation metric is best; stops when it stays worse.

    Later models that are as good replace earlier ones: they have seen more. A metric
    that is not a number is never best.

    Args of the constructor:
        save: Saves the models as they are now.
        monitor: The metric.
        patience: Epochs without a better value before the run stops, 0 for never.
        first_step: Models of fewer steps do not count: they are not yet what the
            regularization is to make of them.
    """

    def __init__(
        self,
        save: Callable[[], None],
        monitor: Monitor,
        patience: int,
        first_step: int = 0,
    ) -> None:
        self._first_step = first_step
        self._save = save
        self._monitor = monitor
        self._patience = patience
        self._best = tf.Variable(-np.inf, dtype=tf.float64, trainable=False)
        self._epochs_since = tf.Variable(0, trainable=False)
        self.variables = {"best/value": self._best, "best/since": self._epochs_since}

    @property
    def found(self) -> bool:
        """Whether any model has been kept."""
        return not np.isneginf(float(self._best))

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
            self._save()
            self._best.assign(value)
        self._epochs_since.assign(0 if value > best else self._epochs_since + 1)
        if self.exhausted:
            say(
                f"stopped: no better {self._monitor.name} than "
                f"{self._monitor.sign * best:.4g} for {self._patience} epochs"
            )
            state.stop = True

    def check(self) -> None:
        """Raises a DivergenceError where the metric of a finished run never was one."""
        if not self.found:
            raise DivergenceError(
                f"the validation {self._monitor.name} was not a number after any "
                "epoch, so that no model could be kept: lower --learning-rate, or clip "
                "(--clip), and train in a new run directory"
            )
