"""The loop around the training step: it counts, evaluates and calls its callbacks."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from tfspeech.training.step import Metrics, TrainingStep, UpdateRatios


@dataclasses.dataclass
class LoopState:
    """Where a run is.

    Attributes:
        steps_per_epoch: Steps in one pass over the training set.
        epochs: Passes of the whole run.
        step: Steps done.
        stop: Set by a callback or a signal to end the run after the current call.
        interrupted: Whether a signal has asked for the end.
    """

    steps_per_epoch: int
    epochs: int
    step: int = 0
    stop: bool = False
    interrupted: bool = False

    @property
    def epoch(self) -> int:
        """Epochs begun, counted from 1 while the first one runs."""
        return -(-self.step // self.steps_per_epoch)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step done was the last of its epoch."""
        return self.step > 0 and self.step % self.steps_per_epoch == 0


StepCallback = Callable[[LoopState, Metrics, UpdateRatios], None]
"""Called after every call of the step: the metrics of its steps, and how far its last
one moved every variable."""

EpochCallback = Callable[[LoopState, dict[str, Any]], None]
"""Called after every epoch, with its record: `validation`, what the evaluation found;
`weights`, how sparse they are, by group; and `step_ms`, the mean time of a step."""


def run_loop(
    step: TrainingStep,
    state: LoopState,
    batches: tf.data.Dataset,
    evaluate: Callable[[], dict[str, Any]],
    save: Callable[[LoopState], None],
    *,
    steps_per_call: int,
    checkpoint_steps: int,
    on_steps: Sequence[StepCallback] = (),
    on_epoch: Sequence[EpochCallback] = (),
) -> None:
    """Trains from where `state` is until its end, a callback's stop or a signal.

    SIGINT and SIGTERM end the run after the current call, and after the callbacks of an
    epoch if that was complete; a second one ends it at once.

    Args:
        step: The step; `state.step` counts its steps.
        state: Where to start; updated in place.
        batches: From the first batch not yet seen on; must not run out.
        evaluate: Measures the model at the end of every epoch.
        save: Saves the state of the run: after every epoch, every `checkpoint_steps`
            and at the end.
        steps_per_call: Steps between two calls of the callbacks.
        checkpoint_steps: The most steps between two checkpoints.
        on_steps: Callbacks in their order.
        on_epoch: Callbacks in their order; the model carries the weights that were
            evaluated.
    """
    saved = state.step
    seconds, timed = 0.0, 0
    iterator = iter(batches)
    with _signals(state):
        while state.step < state.total_steps and not state.stop:
            to_epoch_end = state.steps_per_epoch - state.step % state.steps_per_epoch
            count = min(steps_per_call, to_epoch_end)
            started = time.perf_counter()
            metrics, update_ratios = step.run(iterator, count)
            seconds, timed = seconds + time.perf_counter() - started, timed + count
            state.step += count
            for callback in on_steps:
                callback(state, metrics, update_ratios)
            if state.at_epoch_end:
                with step.evaluation_weights():
                    record = {
                        "step_ms": round(1000 * seconds / timed, 3),
                        "weights": _weight_figures(step),
                        "validation": evaluate(),
                    }
                    for callback in on_epoch:
                        callback(state, record)
                seconds, timed = 0.0, 0
            state.stop = step.distribution.any(state.stop)
            if (
                state.at_epoch_end
                or state.stop
                or state.step - saved >= checkpoint_steps
            ):
                save(state)
                saved = state.step


def _weight_figures(step: TrainingStep) -> dict[str, dict[str, float]]:
    """How sparse the weights are, by group."""
    return {
        name: dataclasses.asdict(group.weight_figures())
        for name, group in step.groups.items()
    }


@contextlib.contextmanager
def _signals(state: LoopState) -> Iterator[None]:
    """Turns SIGINT and SIGTERM into a request to stop, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def request_stop(number: int, frame: object) -> None:
        state.stop = state.interrupted = True
        signal.signal(number, signal.default_int_handler)

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, request_stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
