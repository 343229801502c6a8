"""The models of the zoo, one row each: class, architecture, kind of run and recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras

import tfspeech
from models import (
    AttentionTts,
    AttentionTtsConfig,
    DenseSynthesis,
    DenseSynthesisConfig,
    RnnRecognizer,
    RnnRecognizerConfig,
)
from tfspeech.console import say
from tfspeech.errors import SpecError
from tfspeech.files import parse_json
from tfspeech.tasks.attention_tts.run import AttentionTtsRun
from tfspeech.tasks.parallel_tts.run import ParallelTtsRun
from tfspeech.tasks.task import VERSIONS, RunConfig, Task
from tfspeech.tasks.word_recognition.run import WordRecognitionRun
from tfspeech.training.config import TrainingConfig
from tfspeech.versions import is_newer


class Entry(NamedTuple):
    """A model of the zoo.

    Attributes:
        model: Its class.
        architecture: Its configuration, a dataclass with defaults.
        run: The configuration of its runs, which says what it is trained for.
        recipe: How its training differs from the defaults of `TrainingConfig`.
    """

    model: type[keras.Model]
    architecture: type
    run: type[RunConfig]
    recipe: Mapping[str, Any]


MODELS = {
    "attention_tts": Entry(
        AttentionTts,
        AttentionTtsConfig,
        AttentionTtsRun,
        {
            "epochs": 30,
            "batch_size": 32,
            "optimizer": "adam(beta_2=0.99)",
            "learning_rate": 2e-3,
            "clip": ("global_norm(1.0)",),
            "ema_momentum": 0.0,
        },
    ),
    "dense_synthesis": Entry(
        DenseSynthesis,
        DenseSynthesisConfig,
        ParallelTtsRun,
        {
            "epochs": 25,
            "batch_size": 4,
            "optimizer": "adam()",
            "learning_rate": 4e-3,
            "clip": ("value(0.01)",),
            "ema_momentum": 0.0,
        },
    ),
    "rnn_recognizer": Entry(RnnRecognizer, RnnRecognizerConfig, WordRecognitionRun, {}),
}
"""Name -> model."""


def default_config(model: str) -> RunConfig:
    """Returns the recipe of a model of the zoo.

    Raises:
        SpecError: There is no such model.
    """
    if model not in MODELS:
        raise SpecError(
            f"unknown model {model!r}; the known ones are {', '.join(MODELS)}"
        )
    entry = MODELS[model]
    return entry.run(
        model=model,
        architecture=entry.architecture(),
        training=TrainingConfig(**entry.recipe),
    )


def parse_config(text: str | bytes) -> RunConfig:
    """Reads what `RunConfig.to_json` has written.

    Raises:
        ValueError: The text is no such JSON, or a value is of another type, not known
            or out of range.
    """
    values = parse_json(text)
    if not isinstance(values, dict) or not isinstance(values.get("model"), str):
        raise SpecError("it is no configuration of a run, which names its model")
    versions = values.get(VERSIONS)
    newer = is_newer(versions) and (
        f"made by tfspeech {versions['tfspeech']}, which is newer than this, "
        f"{tfspeech.__version__}"
    )
    try:
        config = default_config(values["model"]).with_json(values)
    except SpecError as error:
        if not newer:
            raise
        raise SpecError(f"{error}. It was {newer}: install that version") from error
    if newer:
        say(f"the configuration was {newer}; all that it says is known here")
    return config


def build_task(config: RunConfig) -> Task:
    """Builds the untrained model of a resolved configuration, with its task."""
    return config.build(MODELS[config.model].model)
