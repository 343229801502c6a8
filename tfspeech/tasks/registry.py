"""The models of the zoo, one row each: class, architecture, kind of run and recipe."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras

import tfspeech
from models import (
    AttentionTts,
    AttentionTtsConfig,
    CtcRecognizer,
    CtcRecognizerConfig,
    DenseSynthesis,
    DenseSynthesisConfig,
    FrameGan,
    FrameGanConfig,
    HmmRecognizer,
    HmmRecognizerConfig,
    HybridRecognizer,
    HybridRecognizerConfig,
    ParallelTts,
    ParallelTtsConfig,
    RnnRecognizer,
    RnnRecognizerConfig,
    SourceFilter,
    SourceFilterConfig,
    WaveNet,
    WaveNetConfig,
)
from tfspeech.console import say
from tfspeech.errors import SpecError
from tfspeech.files import parse_json
from tfspeech.spec import is_outside, load_outside, unknown
from tfspeech.tasks.attention_tts.run import AttentionTtsRun
from tfspeech.tasks.generation.run import GenerationRun
from tfspeech.tasks.parallel_tts.run import DenseSynthesisRun, ParallelTtsRun
from tfspeech.tasks.speech_recognition.run import (
    HmmRecognitionRun,
    HybridRecognitionRun,
    SpeechRecognitionRun,
)
from tfspeech.tasks.task import VERSIONS, RunConfig, Task
from tfspeech.tasks.vocoding.run import (
    AdversarialVocodingRun,
    VocodingRun,
    WaveNetRun,
)
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
    "ctc_recognizer": Entry(
        CtcRecognizer,
        CtcRecognizerConfig,
        SpeechRecognitionRun,
        {"epochs": 10},
    ),
    "dense_synthesis": Entry(
        DenseSynthesis,
        DenseSynthesisConfig,
        DenseSynthesisRun,
        {
            "epochs": 25,
            "batch_size": 4,
            "optimizer": "adam()",
            "learning_rate": 4e-3,
            "clip": ("value(0.01)",),
            "ema_momentum": 0.0,
        },
    ),
    "frame_gan": Entry(
        FrameGan,
        FrameGanConfig,
        GenerationRun,
        {
            "epochs": 60,
            "batch_size": 32,
            "optimizer": "adam(0.5, 0.9)",
            "learning_rate": 4e-4,
            "schedule": "constant()",
            "clip": ("global_norm(5.0)",),
            "ema_momentum": 0.995,
        },
    ),
    "gan_vocoder": Entry(
        SourceFilter,
        SourceFilterConfig,
        AdversarialVocodingRun,
        {
            "epochs": 8,
            "batch_size": 8,
            "optimizer": "adam(0.8, 0.99)",
            "learning_rate": 5e-4,
            "clip": ("global_norm(5.0)",),
        },
    ),
    "hmm_recognizer": Entry(
        HmmRecognizer,
        HmmRecognizerConfig,
        HmmRecognitionRun,
        {"epochs": 2, "optimizer": "adam()", "learning_rate": 5e-4},
    ),
    "hybrid_recognizer": Entry(
        HybridRecognizer,
        HybridRecognizerConfig,
        HybridRecognitionRun,
        {"epochs": 5},
    ),
    "parallel_tts": Entry(
        ParallelTts,
        ParallelTtsConfig,
        ParallelTtsRun,
        {
            "epochs": 24,
            "batch_size": 2,
            "optimizer": "adamw(0.01)",
            "learning_rate": 1e-3,
            "warmup_steps": 100,
            "clip": ("global_norm(1.0)",),
            "ema_momentum": 0.99,
        },
    ),
    "rnn_recognizer": Entry(RnnRecognizer, RnnRecognizerConfig, WordRecognitionRun, {}),
    "source_filter": Entry(
        SourceFilter,
        SourceFilterConfig,
        VocodingRun,
        {
            "epochs": 10,
            "batch_size": 8,
            "optimizer": "adam(beta_2=0.99)",
            "learning_rate": 1e-3,
            "clip": ("global_norm(5.0)",),
        },
    ),
    "wavenet": Entry(
        WaveNet,
        WaveNetConfig,
        WaveNetRun,
        {
            "epochs": 1,
            "batch_size": 8,
            "optimizer": "adam()",
            "learning_rate": 2e-3,
            "clip": ("global_norm(1.0)",),
        },
    ),
}
"""Name -> model."""


def find_model(name: str) -> Entry:
    """Returns the row of a model.

    Args:
        name: Of the zoo, or `package.module:Class`, a Keras model outside the package.
            That derives from a model of the zoo, or names in its attribute `trained_as`
            the one whose task and recipe it takes. The annotation of the constructor's
            `config` says what configures it, a dataclass as those in `models`; by
            default it is that of the model of the zoo.

    Raises:
        SpecError: There is no such model.
    """
    if name in MODELS:
        return MODELS[name]
    if not is_outside(name) or "(" in name:
        raise SpecError(unknown("model", name, MODELS))
    model = load_outside(name, "model", MODELS)
    if not isinstance(model, type) or not issubclass(model, keras.Model):
        raise SpecError(f"{name!r} is no model: it must derive from keras.Model")
    bases = [row for row in MODELS.values() if issubclass(model, row.model)]
    kin = getattr(model, "trained_as", "")
    row = MODELS[kin] if kin in MODELS else next(iter(bases), None)
    if row is None or (kin and kin not in MODELS):
        raise SpecError(
            f"{name!r} needs an attribute trained_as, the model of the zoo whose task "
            f"and recipe it takes, one of {', '.join(MODELS)}. Received: {kin!r}"
        )
    config = typing.get_type_hints(model.__init__).get("config", row.architecture)
    if not dataclasses.is_dataclass(config):
        raise SpecError(f"{name!r}: the type of its config must be a dataclass")
    return row._replace(model=model, architecture=config)


def default_config(model: str) -> RunConfig:
    """Returns the recipe of a model, whose name `find_model` knows.

    Raises:
        SpecError: There is no such model.
    """
    entry = find_model(model)
    return entry.run(
        model=model,
        architecture=entry.architecture(),
        training=TrainingConfig(**entry.recipe),
    )


def parse_config(text: str) -> RunConfig:
    """Reads what `RunConfig.to_json` has written.

    Raises:
        ValueError: The text is no such JSON, or a value is of another type, not known
            or out of range.
    """
    values = parse_json(text)
    if not isinstance(values, dict) or not isinstance(values.get("model"), str):
        raise ValueError("it is no configuration of a run, which names its model")
    versions = values.get(VERSIONS)
    newer = is_newer(versions) and (
        f"made by tfspeech {versions['tfspeech']}, which is newer than this, "
        f"{tfspeech.__version__}"
    )
    try:
        config = default_config(values["model"]).with_json(values)
    except ValueError as error:
        if not newer:
            raise
        raise SpecError(f"{error}. It was {newer}: install that version") from error
    if newer:
        say(f"the configuration was {newer}; all that it says is known here")
    return config


def build_task(config: RunConfig) -> Task:
    """Builds the untrained model of a resolved configuration, with its task."""
    return config.build(find_model(config.model).model)
