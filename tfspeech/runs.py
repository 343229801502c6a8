"""Run directories: all of a training run in one folder."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from models import CATALOGUE
from tfspeech.audio.augment import AugmentConfig
from tfspeech.audio.features import FeatureConfig
from tfspeech.data.config import DataConfig
from tfspeech.errors import RunError, SpecError
from tfspeech.tasks.recognition import Recognition, RecognitionConfig
from tfspeech.training.checkpoints import restore_best
from tfspeech.training.config import TrainingConfig

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"
RESULTS_FILE = "results.json"
REPORT_FILE = "data_report.json"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
PLOTS = "plots"


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that decides the outcome of a training run.

    Attributes:
        model: A name in `models.CATALOGUE`.
        architecture: That model's own configuration.
        data: The corpus.
        features: Of the audio.
        augment: Of the training set.
        task: What the model is trained for.
        training: The loop.
        labels: The words the model tells apart; empty until the data were read.
    """

    model: str
    architecture: Any
    data: DataConfig
    features: FeatureConfig
    augment: AugmentConfig
    task: RecognitionConfig
    training: TrainingConfig
    labels: tuple[str, ...] = ()

    def sections(self) -> dict[str, Any]:
        """The configurations that this one is made of, by the name of the field."""
        return {
            field.name: value
            for field in dataclasses.fields(self)
            if dataclasses.is_dataclass(value := getattr(self, field.name))
        }

    def to_json(self) -> str:
        """Everything as JSON, a section per configuration."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def default_config(model: str) -> RunConfig:
    """The recipe of a model of the zoo.

    Raises:
        SpecError: There is no such model.
    """
    if model not in CATALOGUE:
        raise SpecError(
            f"unknown model {model!r}; the known ones are {', '.join(CATALOGUE)}"
        )
    return RunConfig(
        model=model,
        architecture=CATALOGUE[model][1](),
        data=DataConfig(),
        features=FeatureConfig(),
        augment=AugmentConfig(),
        task=RecognitionConfig(),
        training=TrainingConfig(),
    )


def has_run(run_dir: Path) -> bool:
    """Whether a directory holds a run."""
    return (run_dir / CONFIG_FILE).is_file()


def load_config(run_dir: Path) -> RunConfig:
    """Reads the configuration of a run.

    Raises:
        RunError: There is none, or it is damaged.
    """
    path = run_dir / CONFIG_FILE
    if not path.is_file():
        raise RunError(
            f"{run_dir} holds no run ({CONFIG_FILE} is missing); train one with "
            f"python -m tfspeech.train --run-dir {run_dir}"
        )
    try:
        return parse_config(path.read_text())
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged or of another version: {error}") from error


def parse_config(text: str) -> RunConfig:
    """Reads what `RunConfig.to_json` has written.

    Raises:
        ValueError: The text is no JSON, or a value is out of range.
        KeyError: Something is missing.
        TypeError: Something is of another type, or not known.
    """
    values = json.loads(text)
    base = default_config(values["model"])
    sections = {
        name: type(section)(
            **{
                key: tuple(value) if isinstance(value, list) else value
                for key, value in values[name].items()
            }
        )
        for name, section in base.sections().items()
    }
    return dataclasses.replace(base, **sections, labels=tuple(values["labels"]))


def save_config(run_dir: Path, config: RunConfig) -> None:
    """Writes the configuration of a run, whole or not at all."""
    run_dir.mkdir(parents=True, exist_ok=True)
    partial = run_dir / f"{CONFIG_FILE}.partial"
    partial.write_text(config.to_json())
    os.replace(partial, run_dir / CONFIG_FILE)


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
    # The same batches on more devices make the same model.
    training = dataclasses.replace(
        wanted.training, distribute=saved.training.distribute
    )
    others = dataclasses.replace(wanted, training=training).sections()
    differing = [
        f"--{field.name.replace('_', '-')} {getattr(section, field.name)}"
        for name, section in saved.sections().items()
        for field in dataclasses.fields(section)
        if getattr(section, field.name) != getattr(others[name], field.name)
    ]
    if differing:
        raise RunError(
            f"{run_dir} holds a run with {', '.join(differing)}; resume it with that, "
            "or choose another --run-dir"
        )


def build_recognition(config: RunConfig) -> Recognition:
    """Builds the untrained model of a resolved configuration, with its task."""
    model_class = CATALOGUE[config.model][0]
    model = model_class(
        config.architecture,
        config.features.feature_dim,
        len(config.labels),
        dtype=config.training.precision,
    )
    return Recognition(model, config.task, config.features, config.labels)


def load_recognition(run_dir: Path) -> tuple[RunConfig, Recognition]:
    """Loads the best model of a run.

    Raises:
        RunError: There is no run, or it has no checkpoint that can be read.
    """
    config = load_config(run_dir)
    recognition = build_recognition(config)
    restore_best(run_dir / CHECKPOINTS, recognition.model)
    return config, recognition
