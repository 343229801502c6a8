"""A training run: from a configuration to a directory with the best model."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfspeech.console import say
from tfspeech.data.cache import reading_arrays
from tfspeech.data.corpora import absolute_spec
from tfspeech.errors import RunError
from tfspeech.files import locked, write_text
from tfspeech.strategies import (
    Run,
)
from tfspeech.tasks.distillation import check_teacher
from tfspeech.tasks.groups import (
    Infos,
    build_seeded,
    build_step,
    count_parameters,
    describe_groups,
    describe_weights,
    frozen_weights,
)
from tfspeech.tasks.pinned import pin_run
from tfspeech.tasks.predicted_frames import (
    pin_synthesiser,
    with_predicted_frames,
)
from tfspeech.tasks.runs import (
    RunState,
    check_same,
    find_state,
    load_config,
    save_config,
)
from tfspeech.tasks.task import Data, RunConfig, Task
from tfspeech.tasks.unlabelled import pin_unlabelled, with_taught_examples
from tfspeech.training.callbacks import (
    JsonLines,
    KeepBest,
    Progress,
    SkipGuard,
    TensorBoard,
)
from tfspeech.training.checkpoints import (
    POINTER_FILE,
    LastCheckpoint,
    best_models,
    check_best,
    restore_best,
    save_best,
    take_best,
)
from tfspeech.training.config import TrainingConfig
from tfspeech.training.distribution import Distribution, create_distribution
from tfspeech.training.loop import EpochCallback, LoopState, run_loop
from tfspeech.training.paths import (
    CHECKPOINTS,
    METRICS_FILE,
    PLOTS,
    REPORT_FILE,
    RESULTS_FILE,
    TENSORBOARD,
)
from tfspeech.training.plots import log_images, plot_diagnostics
from tfspeech.training.step import TrainingStep

StopRule = Callable[[LoopState], bool]
"""Says after every epoch, and before a run goes on, whether it is to end there."""


def train(
    config: RunConfig,
    run_dir: Path,
    resume: bool = False,
    is_over: StopRule = lambda state: False,
) -> dict[str, Any]:
    """Trains a model, keeps everything in a run directory and scores the best model.

    Args:
        config: What to train on what, and how.
        run_dir: Must not hold a run yet, unless it is to be resumed.
        resume: Go on where the run in `run_dir` stopped, if it holds one.
        is_over: Ends the run before its last epoch. What a rule has ended goes on under
            another one as if it had never stopped.

    Returns:
        The scores on the test split (on the validation split where there is none), with
        `split`, `weights` (see `WeightFigures`) and `train_seconds`, the time this call
        spent in the training loop. Empty in a worker that is not the chief of its
        cluster: the chief keeps the run.

    Raises:
        CorpusError: The corpus cannot be read or used.
        RunError: `run_dir` holds another run, a damaged one or one that is being
            trained, or cannot be written; or the model does not fit into the memory.
        DivergenceError: Too many steps in a row were not finite, or no validation.
        KeyboardInterrupt: SIGINT or SIGTERM; the run can be resumed.
    """
    distribution = create_distribution(config.training.distribute)
    config = absolute(config)
    if not distribution.is_chief:
        resumed = (run_dir / CHECKPOINTS / POINTER_FILE).exists()
        with reading_arrays(), _enough_memory():
            return _train_and_score(config, run_dir, distribution, resumed, is_over)
    with locked(run_dir), reading_arrays(), _enough_memory():
        found = find_state(run_dir)
        if found is not RunState.NONE:
            if not resume:
                raise RunError(
                    f"{run_dir} holds a run already: go on with it by --resume, or "
                    "choose another --run-dir"
                )
            check_same(run_dir, _extended(load_config(run_dir), config), config)
        resumed = found is RunState.SAVED
        return _train_and_score(config, run_dir, distribution, resumed, is_over)


@contextlib.contextmanager
def _enough_memory() -> Iterator[None]:
    """Raises a `RunError` where the block has no memory left."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise RunError(
            "there is not enough memory: lower --batch-size, or the sizes of the model "
            f"or of the features. ({reason})"
        ) from error


def _train_and_score(
    config: RunConfig,
    run_dir: Path,
    distribution: Distribution,
    resumed: bool,
    is_over: StopRule,
) -> dict[str, Any]:
    """Does what `train` does, in a directory that nobody else writes to."""
    start = Path(config.training.init_from) if config.training.init_from else None
    if start is not None and not resumed:
        load_config(start)  # What is wrong there is said before a corpus is read.
    data = config.read_data()
    _report(data, run_dir if distribution.is_chief else None)
    resolved = config.resolved(data)
    check_teacher(resolved)
    task = build_seeded(resolved, distribution)
    # Before other weights are taken, which a resumed run does not take again.
    infos = describe_groups(task)
    if start is not None and not resumed:
        _take_weights(start, task)
    seen = with_predicted_frames(resolved, task, with_taught_examples(resolved, data))
    done, seconds = _train(
        resolved, run_dir, task, infos, seen, distribution, resumed, is_over
    )
    if not distribution.is_chief:
        return {}
    restore_best(run_dir / CHECKPOINTS, task.models)
    splits = {utterance.split for utterance in data.corpus.utterances}
    split = "test" if "test" in splits else "validation"
    results = task.evaluate_split(data, split)
    results |= {
        "split": split,
        "train_seconds": round(seconds, 1),
        "weights": describe_weights(task, infos),
        "parameters": count_parameters(task),
    }
    write_text(run_dir / RESULTS_FILE, json.dumps(results, indent=2) + "\n")
    plots = run_dir / PLOTS
    plots.mkdir(exist_ok=True)
    plot_diagnostics(run_dir / METRICS_FILE, plots)
    config.write_plots(results, run_dir / METRICS_FILE, plots)
    log_images(plots, run_dir / TENSORBOARD, done)
    return results


def absolute(config: RunConfig) -> RunConfig:
    """Names corpus and other runs so that they are found from everywhere.

    Raises:
        RunError: The teacher, the synthesiser of predicted frames or the unlabelled
            text is none, or not the one that the run began with.
        SpecError: There is an unlabelled text, but no teacher.
    """
    data = dataclasses.replace(config.data, data=absolute_spec(config.data.data))
    training = config.training
    if training.init_from:
        start = str(Path(training.init_from).resolve())
        training = dataclasses.replace(training, init_from=start)
    if training.teacher:
        pinned = pin_run(training.teacher, "teacher")
        training = dataclasses.replace(training, teacher=pinned)
    config = dataclasses.replace(config, data=data, training=training)
    return pin_unlabelled(pin_synthesiser(config))


def _extended(saved: RunConfig, wanted: RunConfig) -> RunConfig:
    """A saved configuration with the epochs that are wanted, where these are more."""
    epochs = max(saved.training.epochs, wanted.training.epochs)
    training = dataclasses.replace(saved.training, epochs=epochs)
    return dataclasses.replace(saved, training=training)


def _take_weights(run_dir: Path, task: Task) -> None:
    """Starts from another run's weights, and says which were not taken.

    Raises:
        RunError: There is no such run, or it has no weights yet.
    """
    there = best_models(run_dir / CHECKPOINTS)
    models = {name: model for name, model in task.models.items() if name in there}
    left = take_best(run_dir / CHECKPOINTS, models)
    count = sum(len(model.weights) for model in models.values())
    say(f"{count - len(left)} of {count} weights taken from {run_dir}")
    missing = [name for name in task.models if name not in there]
    left += [f"{name}: no such model there" for name in missing]
    for line in left:
        say(f"not taken: {line}")


def _report(data: Data, run_dir: Path | None) -> None:
    """Shows what is in a corpus, and keeps it with what is wrong in a run directory.

    Raises:
        CorpusError: It cannot be trained on.
    """
    say("\n".join(data.report.table()))
    if run_dir is None:
        data.report.raise_if_fatal()
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    report = json.dumps(data.report.to_json(), indent=2) + "\n"
    write_text(run_dir / REPORT_FILE, report)
    data.report.raise_if_fatal()
    if data.report.problems:
        say(
            f"{len(data.report.problems)} warnings about the corpus are in "
            f"{run_dir / REPORT_FILE}"
        )


def _train(
    config: RunConfig,
    run_dir: Path,
    task: Task,
    infos: Infos,
    data: Data,
    distribution: Distribution,
    resumed: bool,
    is_over: StopRule,
) -> tuple[int, float]:
    """Trains from the start or from the last checkpoint.

    Returns:
        The number of steps done, and the seconds taken.
    """
    settings = config.training
    training = config.read_training(task, data)
    state = LoopState(training.steps_per_epoch, settings.epochs)
    run = Run(state.total_steps, training.examples, settings.seed)
    step = build_step(task, settings, run, distribution, infos)
    folder = run_dir / CHECKPOINTS
    chief = distribution.is_chief
    best = KeepBest(
        lambda: save_best(folder, task.models) if chief else None,
        task.monitor,
        settings.patience,
        step.settled_after,
    )
    kept = step.variables | frozen_weights(task) | best.variables
    last = LastCheckpoint(folder, kept)
    if resumed:
        last.restore()
        if best.found and chief:
            check_best(folder)
        state.step = int(step.steps)
        state.stop = best.exhausted or is_over(state)
        _report_more_epochs(run_dir, settings, step)
    else:
        say("measuring the features of the training set, for their normalization")
        training.set_statistics()
    _report_start(config.model, task, state)
    # From here on it is a run; what is wrong before leaves the directory free.
    more: Sequence[EpochCallback] = ()
    if chief:
        save_config(run_dir, config)
        if not resumed:
            last.save(0)  # Whatever else is written has a state beside it.
        more = config.callbacks(task, training, run_dir)
    guard = SkipGuard(settings.max_skipped_steps)

    def end(state: LoopState, record: dict[str, Any]) -> None:
        state.stop = state.stop or is_over(state)

    started = time.monotonic()
    with _logs(run_dir, state, distribution) as logs:
        run_loop(
            step,
            state,
            training.batches(state.step, distribution.shard),
            training.validate,
            lambda state: last.save(state.step) if chief else None,
            steps_per_call=settings.steps_per_call,
            checkpoint_steps=settings.checkpoint_steps,
            on_steps=[*(log.on_steps for log in logs), guard.on_steps],
            # Whether it is the last epoch is to be known to those of the kind.
            on_epoch=[*(log.on_epoch for log in logs), best.on_epoch, end, *more],
        )
    if state.interrupted and state.step < state.total_steps:
        raise KeyboardInterrupt(
            f"interrupted after step {state.step} of {state.total_steps}; go on with "
            f"tfspeech train --run-dir {run_dir} --resume"
        )
    best.check()
    return state.step, time.monotonic() - started


def _report_start(model: str, task: Task, state: LoopState) -> None:
    """Says what is trained, and from which step on."""
    say(
        f"{model}: {count_parameters(task):,} parameters; "
        f"{state.step} of {state.total_steps} steps done"
    )
    if state.step < state.total_steps and not state.stop:
        say("tracing the training step and reading the first batches")


def _report_more_epochs(
    run_dir: Path, settings: TrainingConfig, step: TrainingStep
) -> None:
    """Says what becomes of schedules where a run is to be longer than it was."""
    trained = load_config(run_dir).training.epochs
    if trained < settings.epochs:
        rates = [float(g.optimizer.learning_rate) for g in step.groups.values()]
        say(
            f"{settings.epochs} epochs instead of {trained}: schedules are those "
            f"of {settings.epochs} from here on, the learning rate goes on at "
            + ", ".join(f"{rate:.3g}" for rate in rates)
        )


@contextlib.contextmanager
def _logs(
    run_dir: Path, state: LoopState, distribution: Distribution
) -> Iterator[Sequence[JsonLines | TensorBoard | Progress]]:
    """Opens the logs that the chief writes while a run goes on.

    Raises:
        RunError: Another worker is gone.
    """
    logs: list[JsonLines | TensorBoard | Progress] = []
    if distribution.is_chief:
        logs = [
            JsonLines(run_dir / METRICS_FILE, state.step),
            TensorBoard(run_dir / TENSORBOARD),
            Progress(state),
        ]
    try:
        yield logs
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        raise RunError(
            "another worker is gone: start all of them again with --resume. "
            f"({str(error).splitlines()[0]})"
        ) from error
    finally:
        for log in logs:
            log.close()
