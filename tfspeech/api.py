"""Training models from Python programs and notebooks.

What the commands do, as functions: they take the names of the flags, return values
instead of printing, and raise the exceptions of `tfspeech.errors`.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tfspeech import train
from tfspeech.console import silence
from tfspeech.errors import SpecError
from tfspeech.tasks.runs import has_run
from tfspeech.tasks.task import RunConfig
from tfspeech.training_run import TrainingRun, Utterances, corpus_spec


def load_run(directory: str | os.PathLike[str]) -> TrainingRun:
    """Returns the run that a directory holds, whichever way it was trained.

    Raises:
        RunError: There is none.
    """
    return TrainingRun(directory)


def train_model(
    model: str | None = None,
    *,
    data: str | os.PathLike[str] | Utterances | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | None = None,
    **settings: Any,
) -> TrainingRun:
    """Trains a model, keeps everything in a directory, and scores the best model.

    It does what `python -m tfspeech.train` does, with the same defaults.

    Args:
        model: One of the zoo, by default `rnn_recognizer`.
        data: A corpus, such as `"fsdd:PATH"`; or a list of utterances, mappings with
            `audio` (a path, or samples and their rate), `text`, and optionally
            `speaker` and `split`, which are then kept in the run directory.
        run_dir: Where the run is kept, by default `runs/MODEL`.
        config: Start from the configuration in a file, such as a run's `config.json`.
        resume: Go on where the run in `run_dir` stopped, if it holds one.
        progress: Whether lines on standard error tell how far it is, by default where
            that is a terminal.
        **settings: Every other flag of the command, by its name with underscores. Its
            value is a Python value or the text of the flag, in a list where the flag
            can be repeated; None leaves the default.

    Returns:
        The run that ended.

    Raises:
        SpecError: A setting is unknown, or its value is out of range.
        CorpusError: The corpus cannot be read or used.
        RunError: `run_dir` holds another run, or one that is not to be resumed.
        DivergenceError: Too many steps in a row were not finite, or no validation.
        KeyboardInterrupt: The run was interrupted; it can be resumed.

    Example:
        >>> run = train_model(data="fsdd:recordings", clip="global_norm(5)")
    """
    if progress is None:
        progress = sys.stderr.isatty()
    with silence(not progress):
        own = [] if model is None else [model]
        for name, value in (("run_dir", run_dir), ("config", config)):
            own += [] if value is None else _words(name, os.fspath(value))
        own += ["--resume"] if resume else []
        start, folder, *_ = train.parse(own)
        if data is not None:
            # The corpus of a run is there; one that is refused is to leave no trace.
            settings["data"] = corpus_spec(data, folder, write=not has_run(folder))
        given = {name: value for name, value in settings.items() if value is not None}
        _check_settings(start, given)
        words = [word for item in given.items() for word in _words(*item)]
        wanted, folder, resume, *_ = train.parse([*own, *words])
        train.run(_with_empty(wanted, given), folder, resume)
    return TrainingRun(folder)


def _check_settings(config: RunConfig, settings: Mapping[str, Any]) -> None:
    """Raises a `SpecError` for a name that no flag has, or for too many values."""
    known = {
        field.name: getattr(section, field.name)
        for section in config.sections().values()
        for field in dataclasses.fields(section)
    }
    for name, value in settings.items():
        if name not in known:
            near = difflib.get_close_matches(name, known)
            raise SpecError(
                f"{config.model} has no setting {name!r}"
                + (f"; the nearest are {', '.join(near)}" if near else "")
                + f" (python -m tfspeech.train {config.model} --help lists all)"
            )
        if _is_several(value) and not isinstance(known[name], tuple):
            raise SpecError(f"{name} has one value. Received: {name}={value!r}")


def _words(name: str, value: Any) -> Sequence[str]:
    """A setting as on the command line."""
    flag = "--" + name.replace("_", "-")
    if value in ("true", "false"):
        value = value == "true"
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    return [f"{flag}={each}" for each in (value if _is_several(value) else [value])]


def _with_empty(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """Empties what is given as an empty list: a flag can be repeated, but not never."""
    empty = {n: v for n, v in settings.items() if _is_several(v) and not v}
    sections = {
        key: dataclasses.replace(
            section, **{n: () for n in empty if hasattr(section, n)}
        )
        for key, section in config.sections().items()
    }
    return dataclasses.replace(config, **sections)


def _is_several(value: Any) -> bool:
    return isinstance(value, (list, tuple))
