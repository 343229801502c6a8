"""Runs in their directories: configurations read, compared and written; best models."""

from __future__ import annotations

import dataclasses
import enum
import os
import shlex
from pathlib import Path
from typing import Any

from tfspeech.config import differing, to_flag
from tfspeech.console import say
from tfspeech.errors import RunError, SpecError
from tfspeech.files import read_file, read_json, write_text
from tfspeech.tasks.registry import MODELS, build_task, parse_config
from tfspeech.tasks.task import RunConfig, Task
from tfspeech.training.callbacks import read_metrics
from tfspeech.training.checkpoints import (
    BEST_FILE,
    POINTER_FILE,
    find_last,
    restore_best,
    saved_steps,
)
from tfspeech.training.paths import (
    ADAPTATION_FILE,
    CHECKPOINTS,
    CONFIG_FILE,
    METRICS_FILE,
    PLOTS,
    REPORT_FILE,
    RESULTS_FILE,
    SAMPLES,
    TENSORBOARD,
)


class RunState(enum.Enum):
    """State of a run in a directory."""

    NONE = "nothing"
    BEGUN = "its configuration, but no state"
    SAVED = "all it needs to go on"


def has_run(run_dir: Path) -> bool:
    """Whether a directory holds a run."""
    return (run_dir / CONFIG_FILE).is_file()


def is_adapted(run_dir: Path) -> bool:
    """Whether a directory holds a run that was adapted, and not trained there."""
    return (run_dir / ADAPTATION_FILE).is_file()


def find_state(run_dir: Path) -> RunState:
    """Says what a directory holds of a run.

    Training writes its configuration, then its first state, and only then anything
    else; from then on both are always there. So what is missing was lost.

    Raises:
        RunError: What is there is damaged, or only a part of a run.
    """
    for name in (CHECKPOINTS, TENSORBOARD, PLOTS, SAMPLES):
        if (run_dir / name).exists() and not (run_dir / name).is_dir():
            raise RunError(f"{run_dir / name} must be a folder: move the file away")
    for name in (CONFIG_FILE, METRICS_FILE, RESULTS_FILE, REPORT_FILE):
        if (run_dir / name).is_dir():
            raise RunError(f"{run_dir / name} must be a file: move the folder away")
    checkpoints = run_dir / CHECKPOINTS
    written = (
        *(run_dir / METRICS_FILE, run_dir / RESULTS_FILE),
        checkpoints / BEST_FILE,
    )
    if is_adapted(run_dir):
        raise RunError(
            f"{run_dir} holds a run that was adapted to a speaker, and cannot be "
            "trained on: choose another --run-dir"
        )
    # The first state is that of step 0, and may be incomplete.
    trained = any(saved_steps(checkpoints)) or any(path.exists() for path in written)
    if not has_run(run_dir):
        if not trained:
            return RunState.NONE
        raise RunError(
            f"{run_dir} holds a run whose {CONFIG_FILE} is missing: put it back from a "
            "copy, or choose another --run-dir"
        )
    if not trained and not (checkpoints / POINTER_FILE).exists():
        return RunState.BEGUN
    find_last(checkpoints)
    read_metrics(run_dir / METRICS_FILE)
    return RunState.SAVED


def read_results(run_dir: Path) -> dict[str, Any]:
    """Reads the scores of a run that ended, empty for one that did not.

    Raises:
        RunError: They are damaged.
    """
    path = run_dir / RESULTS_FILE
    return read_json(path, _as_scores) if path.is_file() else {}


def _as_scores(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or not isinstance(values.get("weights"), dict):
        raise ValueError("it holds no scores of a run")
    return values


def load_config(run_dir: Path) -> RunConfig:
    """Reads the configuration of a run.

    Raises:
        RunError: There is none, or it is damaged.
    """
    path = run_dir / CONFIG_FILE
    if not path.is_file():
        raise RunError(
            f"{run_dir} holds no run ({CONFIG_FILE} is missing); train one with "
            f"tfspeech train --run-dir {run_dir}"
        )
    return read_config(path)


def read_config(path: Path) -> RunConfig:
    """Reads a file that `RunConfig.to_json` has written.

    Raises:
        RunError: It is damaged, no configuration, or names what cannot be found.
        OSError: It cannot be read.
    """
    contents = read_file(path)
    try:
        return parse_config(contents.decode())
    except SpecError as error:
        raise RunError(f"{path}: {error}") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged or of another version: {error}") from error


def save_config(run_dir: Path, config: RunConfig) -> None:
    """Writes the configuration of a run, whole or not at all."""
    run_dir.mkdir(parents=True, exist_ok=True)
    write_text(run_dir / CONFIG_FILE, config.to_json())


def check_same(run_dir: Path, saved: RunConfig, wanted: RunConfig) -> None:
    """Raises a `RunError` where a run was configured otherwise than is wanted now.

    A sample rate of 0, which leaves it to the corpus, is no other wish.
    """
    if saved.model != wanted.model:
        raise RunError(
            f"{run_dir} holds a run of {saved.model}; choose another --run-dir for "
            f"{wanted.model}"
        )
    if not wanted.features.sample_rate_hz:
        features = dataclasses.replace(
            wanted.features, sample_rate_hz=saved.features.sample_rate_hz
        )
        wanted = dataclasses.replace(wanted, features=features)
    others = wanted.sections()
    flags = [
        shlex.join(to_flag(name, value)) or f"no --{name.replace('_', '-')}"
        for kind, section in saved.sections().items()
        # The same batches on more devices make the same model.
        for name, value in differing(section, others[kind], ("distribute",)).items()
    ]
    if flags:
        raise RunError(
            f"{run_dir} holds a run with {' '.join(flags)}; resume it with that, or "
            "choose another --run-dir"
        )


def load_task(
    run_dir: Path,
    vocoder: str | None = None,
    language_model: Path | None = None,
    drop_dead_units: bool = False,
) -> tuple[RunConfig, Task]:
    """Loads the best models of a run, with their task.

    Args:
        run_dir: The run.
        vocoder: For a synthesiser, another vocoder than its own: the directory of a
            vocoder's run, or the spec of one without a network, `griffin_lim(60)`.
        language_model: For a recogniser of connected speech, the folder that the
            command `language_model` has written.
        drop_dead_units: Leave out hidden units that say nothing of the input; see
            `SpeechModel.without_dead_units`.

    Raises:
        RunError: There is no run, or it has no checkpoint that can be read; or the
            vocoder is none, or not for this run; or it takes no language model.
        TextError: The language model is damaged, or not for this run.
        SpecError: The spec is unknown, or the model takes none; or the vocoder is not
            for its frames.
    """
    config = load_config(run_dir)
    is_run = vocoder is not None and (os.sep in vocoder or Path(vocoder).exists())
    if vocoder is not None and not is_run:
        config = _with_vocoder(config, vocoder)
    task = build_task(config)
    if is_run and not (task.speaks or task.generates):
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which needs no vocoder: leave "
            "it out"
        )
    restore_best(run_dir / CHECKPOINTS, task.models)
    if drop_dead_units and config.model in MODELS:
        config, task = _without_dead_units(config, task)
    if is_run:
        _take_vocoder(task, Path(vocoder))
    if language_model is not None:
        check_takes_language_model(run_dir, config, task)
        task.use_language_model(language_model)
    return config, task


def check_takes_language_model(run_dir: Path, config: RunConfig, task: Task) -> None:
    """Raises a `RunError` where a task takes no language model."""
    if not task.takes_language_model:
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which takes no language model"
        )


def _without_dead_units(config: RunConfig, task: Task) -> tuple[RunConfig, Task]:
    """Returns configuration and task of a smaller model, if units can be left out."""
    models = dict(task.models)
    whole = models["model"]
    models["model"] = whole.without_dead_units()
    if models["model"] is whole:
        return config, task
    say(
        f"{whole.count_params():,} parameters, {models['model'].count_params():,} "
        "without units that say nothing of the input"
    )
    config = dataclasses.replace(config, architecture=models["model"].config)
    task = build_task(config)
    for name, model in task.models.items():
        model.set_weights(models[name].get_weights())
    return config, task


def _with_vocoder(config: RunConfig, spec: str) -> RunConfig:
    """Returns the configuration with another vocoder.

    Raises:
        SpecError: The model has none that could be chosen, or the spec is unknown.
    """
    if not hasattr(getattr(config, "task", None), "vocoder"):
        raise SpecError(
            f"{config.model} has no vocoder that could be chosen; leave out vocoder, "
            "or give the directory of a vocoder's run"
        )
    task = dataclasses.replace(config.task, vocoder=spec)
    return dataclasses.replace(config, task=task)


def _take_vocoder(task: Task, run_dir: Path) -> None:
    """Has the model of another run make the waveforms of a synthesiser.

    Raises:
        RunError: There is none, or it is no vocoder.
        SpecError: It is not for the frames of the synthesiser.
    """
    config, of_vocoder = load_task(run_dir)
    if not of_vocoder.vocodes:
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which is no vocoder: train one "
            "with tfspeech train source_filter"
        )
    try:
        vocoder = of_vocoder.vocoder_of(task.features, task.predicted)
    except SpecError as error:
        raise SpecError(f"{run_dir}: {error}") from error
    task.set_vocoder(vocoder, of_vocoder.model.variables)
