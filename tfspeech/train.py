"""`python -m tfspeech.train`: trains a model of the zoo and measures it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.data.corpora import absolute_spec
from tfspeech.errors import RunError, SpecError
from tfspeech.flags import DEFAULT_MODEL, model_parser, with_flags
from tfspeech.strategies import (
    Run,
    describe_variables,
    parse_clipping,
    parse_regularization,
)
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.runs import (
    check_same,
    has_run,
    load_config,
    read_config,
    save_config,
)
from tfspeech.tasks.task import Data, RunConfig, Task
from tfspeech.training.callbacks import (
    JsonLines,
    KeepBest,
    Progress,
    SkipGuard,
    TensorBoard,
)
from tfspeech.training.checkpoints import (
    LastCheckpoint,
    restore_best,
    save_best,
    take_best,
)
from tfspeech.training.config import TrainingConfig
from tfspeech.training.diagnostics import weight_figures
from tfspeech.training.distribution import Distribution, create_distribution
from tfspeech.training.loop import EpochAction, LoopState, run_loop
from tfspeech.training.optimizers import Schedule, build_optimizer
from tfspeech.training.paths import (
    CHECKPOINTS,
    METRICS_FILE,
    PLOTS,
    REPORT_FILE,
    RESULTS_FILE,
    TENSORBOARD,
)
from tfspeech.training.plots import plot_diagnostics
from tfspeech.training.step import TrainingStep

StopRule = Callable[[LoopState], bool]
"""Says after every epoch, and before a run goes on, whether it is to end there."""


def run(
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
        RunError: `run_dir` holds another run, or cannot be written.
        DivergenceError: Too many steps in a row were not finite.
        KeyboardInterrupt: SIGINT or SIGTERM; the run can be resumed.
    """
    distribution = create_distribution(config.training.distribute)
    config = _absolute(config)
    if has_run(run_dir) and distribution.is_chief:
        if not resume:
            raise RunError(
                f"{run_dir} holds a run already: go on with it by --resume, or choose "
                "another --run-dir"
            )
        check_same(run_dir, load_config(run_dir), config)
    data = _read_data(config, run_dir)
    resolved = config.resolved(data)
    keras.utils.set_random_seed(config.training.seed)
    with distribution.strategy.scope():
        task = resolved.build()
    resumed = tf.train.latest_checkpoint(str(run_dir / CHECKPOINTS))
    if config.training.init_from and not resumed:
        _take_weights(Path(config.training.init_from), task.model)
    seconds = _train(resolved, run_dir, task, data, distribution, is_over)
    if not distribution.is_chief:
        return {}
    model = task.model
    restore_best(run_dir / CHECKPOINTS, model)
    figures = weight_figures(model.trainable_variables, describe_variables(model))
    splits = {utterance.split for utterance in data.corpus.utterances}
    split = "test" if "test" in splits else "validation"
    results = task.evaluate_split(data, split)
    results |= {
        "split": split,
        "train_seconds": round(seconds, 1),
        "weights": dataclasses.asdict(figures),
        "parameters": model.count_params(),
    }
    (run_dir / RESULTS_FILE).write_text(json.dumps(results, indent=2) + "\n")
    plots = run_dir / PLOTS
    plots.mkdir(exist_ok=True)
    plot_diagnostics(run_dir / METRICS_FILE, plots / "diagnostics.png")
    config.write_plots(results, run_dir / METRICS_FILE, plots)
    return results


def _absolute(config: RunConfig) -> RunConfig:
    """Names corpus and other runs so that they are found from everywhere."""
    data = dataclasses.replace(config.data, data=absolute_spec(config.data.data))
    training = config.training
    if training.init_from:
        start = str(Path(training.init_from).resolve())
        training = dataclasses.replace(training, init_from=start)
    return dataclasses.replace(config, data=data, training=training)


def _take_weights(run_dir: Path, model: keras.Model) -> None:
    """Starts from another run's weights, and says which were not taken.

    Raises:
        RunError: There is no such run, or it has no weights yet.
    """
    load_config(run_dir)
    left = take_best(run_dir / CHECKPOINTS, model)
    say(
        f"{len(model.weights) - len(left)} of {len(model.weights)} weights taken from "
        f"{run_dir}"
    )
    for line in left:
        say(f"not taken: {line}")


def _read_data(config: RunConfig, run_dir: Path) -> Data:
    """Reads and checks the corpus; what is wrong with it is in the run directory."""
    data = config.read_data()
    run_dir.mkdir(parents=True, exist_ok=True)
    report = json.dumps(data.report.to_json(), indent=2) + "\n"
    (run_dir / REPORT_FILE).write_text(report)
    data.report.raise_if_fatal()
    if data.report.problems:
        say(
            f"{len(data.report.problems)} warnings about the corpus are in "
            f"{run_dir / REPORT_FILE}"
        )
    return data


def _train(
    config: RunConfig,
    run_dir: Path,
    task: Task,
    data: Data,
    distribution: Distribution,
    is_over: StopRule,
) -> float:
    """Trains from the start or from the last checkpoint; returns the seconds taken."""
    settings = config.training
    training = config.read_training(task, data)
    state = LoopState(training.steps_per_epoch, settings.epochs)
    run = Run(state.total_steps, training.examples, settings.seed)
    step = build_step(task, settings, run, distribution)
    folder = run_dir / CHECKPOINTS
    best = KeepBest(
        lambda model: save_best(folder, model) if distribution.is_chief else None,
        task.model,
        task.monitor,
        settings.patience,
        step.regularization.settled_after,
    )
    last = LastCheckpoint(folder, step.variables | best.variables)
    if last.restore():
        state.step = int(step.steps)
        state.stop = best.exhausted or is_over(state)
    else:
        training.set_statistics()
    say(
        f"{config.model}: {task.model.count_params():,} parameters; "
        f"{state.step} of {state.total_steps} steps done"
    )
    # From here on it is a run; what is wrong before leaves the directory free.
    more: Sequence[EpochAction] = ()
    if distribution.is_chief:
        save_config(run_dir, config)
        more = config.watchers(task, training, run_dir)
    guard = SkipGuard(settings.max_skipped_steps)

    def end(state: LoopState, record: dict[str, Any]) -> None:
        state.stop = state.stop or is_over(state)

    started = time.monotonic()
    with _logs(run_dir, state, distribution) as logs:
        run_loop(
            step,
            state,
            training.batches(state.step),
            training.validate,
            lambda state: last.save(state.step) if distribution.is_chief else None,
            steps_per_call=settings.steps_per_call,
            checkpoint_steps=settings.checkpoint_steps,
            on_steps=[*(log.on_steps for log in logs), guard.on_steps],
            on_epoch=[*(log.on_epoch for log in logs), best.on_epoch, *more, end],
        )
    if state.interrupted and state.step < state.total_steps:
        raise KeyboardInterrupt(
            f"interrupted after step {state.step} of {state.total_steps}; go on with "
            f"python -m tfspeech.train --run-dir {run_dir} --resume"
        )
    return time.monotonic() - started


@contextlib.contextmanager
def _logs(
    run_dir: Path, state: LoopState, distribution: Distribution
) -> Iterator[Sequence[JsonLines | TensorBoard | Progress]]:
    """What the chief writes while a run goes on.

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


def build_step(
    task: Task,
    settings: TrainingConfig,
    run: Run,
    distribution: Distribution,
) -> TrainingStep:
    """Builds the step that a configuration describes, with its optimizer and chains.

    Raises:
        SpecError: A strategy is not for this model or run, or a batch is smaller than
            the number of replicas.
    """
    if settings.batch_size < distribution.replicas:
        raise SpecError(
            f"--batch-size {settings.batch_size} is less than one utterance for each "
            f"of {distribution.replicas} replicas"
        )
    schedule = Schedule(
        settings.schedule, settings.learning_rate, settings.warmup_steps, run.updates
    )
    with distribution.strategy.scope():
        optimizer = build_optimizer(settings.optimizer, schedule)
    return TrainingStep(
        task.model,
        task.loss,
        optimizer,
        parse_clipping(settings.clip),
        parse_regularization(settings.regularize),
        run,
        weight=task.weight,
        accumulate_steps=settings.accumulate_steps,
        ema_momentum=settings.ema_momentum,
        distribution=distribution,
    )


def parse(arguments: Sequence[str]) -> tuple[RunConfig, Path, bool, bool]:
    """Returns configuration, run directory, whether to resume and to print JSON.

    A run that is resumed keeps its configuration; flags and `--config` may repeat it.

    Raises:
        SpecError: A flag is unknown or its value is out of range.
        RunError: The run to be resumed is of another model, or the file cannot be read.
    """
    start = _start(arguments)
    parser = model_parser(
        "tfspeech.train",
        "Trains a model, measures it and keeps the best.",
        arguments,
        default=start.model,
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="start from the configuration in a file, such as a run's config.json or a "
        "search's best.json; flags change it",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="DIR",
        help="where everything about the run is kept (default: runs/MODEL)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where the run in DIR stopped"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the scores as one JSON object"
    )
    given = parser.parse_args(arguments)
    model = getattr(given, "model", start.model)
    run_dir = getattr(given, "run_dir", Path("runs") / model)
    resume = getattr(given, "resume", False)
    config = start if model == start.model else default_config(model)
    if "config" in given:
        if model != start.model:
            raise SpecError(
                f"{given.config} is for {start.model}: leave out {model}, or --config"
            )
    elif resume and has_run(run_dir):
        config = load_config(run_dir)
        if "model" in given:
            check_same(run_dir, config, dataclasses.replace(config, model=model))
    return with_flags(config, given), run_dir, resume, getattr(given, "json", False)


def _start(arguments: Sequence[str]) -> RunConfig:
    """What the flags change: a file, the run to be resumed, or the default recipe.

    Raises:
        RunError: The file or the run is missing or damaged.
    """
    parser = Parser("tfspeech.train", "", add_help=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--run-dir", type=Path)
    parser.add_argument("--resume", action="store_true")
    given, _ = parser.parse_known_args(arguments)
    if "config" in given:
        return read_config(given.config)
    if "resume" in given and "run_dir" in given and has_run(given.run_dir):
        return load_config(given.run_dir)
    return default_config(DEFAULT_MODEL)


def main(arguments: Sequence[str]) -> None:
    """Trains, and prints the scores and what to do with the model."""
    config, run_dir, resume, as_json = parse(arguments)
    results = run(config, run_dir, resume)
    if results:
        say(config.summarize(results))
        say(f"export it for TF Serving: python -m tfspeech.export {run_dir}")
    if as_json:
        print_json(results)


if __name__ == "__main__":
    run_command(main)
