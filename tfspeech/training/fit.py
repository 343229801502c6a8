"""The diagnostics of the training loop for any model that Keras's `fit` trains."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfspeech.strategies import (
    Clipped,
    Gradients,
    VariableInfo,
    describe_variables,
)
from tfspeech.training.callbacks import JsonLines, TensorBoard
from tfspeech.training.diagnostics import StepDiagnostics, weight_figures
from tfspeech.training.group import METRICS
from tfspeech.training.loop import LoopState
from tfspeech.training.paths import METRICS_FILE, PLOTS, TENSORBOARD
from tfspeech.training.plots import plot_diagnostics

GROUP = "model"
"""The only group of variables that `fit` moves."""


class _Recorder:
    """Keeps the metrics of the last steps in variables, until they are read."""

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        infos: Sequence[VariableInfo],
        capacity: int,
    ) -> None:
        self._diagnostics = StepDiagnostics(variables, infos)
        self._rows = tf.Variable(tf.zeros([capacity, len(METRICS)]), trainable=False)
        self._ratios = tf.Variable(tf.zeros([len(infos)]), trainable=False)
        self._steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._read = 0

    def made(
        self, raw: Gradients, clipped: Gradients, learning_rate: tf.Tensor
    ) -> None:
        """Measures a step that was made."""
        figures = self._diagnostics.gradient(raw)
        found, ratios = self._diagnostics.made(raw, clipped, self._steps)
        self._write(figures | found, ratios, learning_rate, skipped=0.0)

    def skipped(self, raw: Gradients, learning_rate: tf.Tensor) -> None:
        """Measures a step that was not made."""
        figures = self._diagnostics.gradient(raw)
        found, ratios = self._diagnostics.skipped()
        self._write(figures | found, ratios, learning_rate, skipped=1.0)

    def _write(
        self,
        figures: dict[str, tf.Tensor],
        ratios: tf.Tensor,
        learning_rate: tf.Tensor,
        skipped: float,
    ) -> None:
        figures |= {"learning_rate": learning_rate, "skipped": tf.constant(skipped)}
        # An optimizer is told neither the loss nor its scale.
        unknown = tf.constant(float("nan"))
        row = tf.stack([figures.get(name, unknown) for name in METRICS])
        place = tf.cast(self._steps, tf.int32) % self._rows.shape[0]
        rows = tf.convert_to_tensor(self._rows)
        self._rows.assign(tf.tensor_scatter_nd_update(rows, [[place]], [row]))
        self._ratios.assign(ratios)
        self._steps.assign_add(1)

    @property
    def unread(self) -> int:
        """Steps that were measured and not read."""
        return int(self._steps.numpy()) - self._read

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """The metrics of the steps that are unread, and the ratios of the last one."""
        steps, capacity = int(self._steps.numpy()), self._rows.shape[0]
        # Of more steps in one call than there is room for, the last are left.
        places = np.arange(max(self._read, steps - capacity), steps) % capacity
        columns = self._rows.numpy()[places].T
        self._read = steps
        ratios = self._diagnostics.named_ratios(self._ratios.numpy().tolist())
        return dict(zip(METRICS, columns, strict=True)), ratios


@dataclasses.dataclass
class _Place(LoopState):
    """Where `fit` is; it counts its epochs itself."""

    epoch: int = 0


class Diagnostics(keras.callbacks.Callback):
    """A Keras callback that writes what the loop of tfspeech writes of its steps.

    How often and how much is clipped, what is lost by it, whether updates oscillate,
    and whether they are of a sane size: for any model that is compiled with `Clipped`;
    with `Clipped(optimizer, "none()")` nothing is clipped, and all is measured. The
    folder gets `metrics.jsonl`, a line per step and one per epoch, a `tensorboard`
    folder, and at the end of training `plots/diagnostics.png`. A run that goes on, such
    as by `BackupAndRestore`, appends to its files.

    Args of the constructor:
        folder: Created when it is missing.
        every: Steps whose means are one point in TensorBoard.

    Raises:
        ValueError: When training begins, and the optimizer is not `Clipped`.
    """

    def __init__(self, folder: str | os.PathLike[str], every: int = 10) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._every = every
        self._recorder: _Recorder | None = None
        self._lines: JsonLines | None = None
        self._place = _Place(steps_per_epoch=0, epochs=0)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Has the optimizer measure its steps."""
        self._recorder = None
        _clipped(self.model).observe(self._create_recorder)
        # What is compiled already measures nothing.
        self.model.make_train_function(force=True)

    def _create_recorder(
        self, variables: Sequence[keras.Variable], infos: Sequence[VariableInfo]
    ) -> _Recorder:
        per_call = self.model.steps_per_execution
        calls = -(-self._every // per_call)
        self._recorder = _Recorder(variables, infos, calls * per_call)
        return self._recorder

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Opens the files, when all callbacks have restored what they restore."""
        self._place.epoch = epoch + 1
        if self._lines is None:
            optimizer = _clipped(self.model)
            self._place.step = int(optimizer.iterations.numpy())
            if optimizer.built:
                self._place.step += int(optimizer.skipped.numpy())
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lines = JsonLines(self._folder / METRICS_FILE, self._place.step)
            self._board = TensorBoard(self._folder / TENSORBOARD)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, float] | None = None
    ) -> None:
        """Writes the steps since the last time, when they are enough."""
        if self._recorder and self._recorder.unread >= self._every:
            self._write_steps()

    def _write_steps(self) -> None:
        self._place.step += self._recorder.unread
        metrics, ratios = self._recorder.read()
        for writer in (self._lines, self._board):
            writer.on_steps(self._place, {GROUP: metrics}, {GROUP: ratios})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the figures of the epoch, and of the weights as they are."""
        if self._recorder.unread:
            self._write_steps()
        infos = describe_variables(self.model)
        figures = weight_figures(self.model.trainable_variables, infos)
        scores = {
            name.removeprefix("val_"): float(value)
            for name, value in (logs or {}).items()
            if name.startswith("val_")
        }
        weights = {GROUP: dataclasses.asdict(figures)}
        for writer in (self._lines, self._board):
            writer.on_epoch(self._place, {"weights": weights, "validation": scores})

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Closes the files and plots them."""
        _clipped(self.model).observe(None)
        self._lines.close()
        self._board.close()
        self._lines = None
        plots = self._folder / PLOTS
        plots.mkdir(exist_ok=True)
        plot_diagnostics(self._folder / METRICS_FILE, plots)


def _clipped(model: keras.Model) -> Clipped:
    """The `Clipped` that a model is compiled with, inside of a loss scale or not."""
    optimizer = model.optimizer
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    if not isinstance(optimizer, Clipped):
        raise ValueError(
            "Diagnostics measures the steps of a Clipped optimizer: compile with "
            f"Clipped(optimizer, 'none()'). Received: {type(optimizer).__name__}"
        )
    return optimizer
