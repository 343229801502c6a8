"""The recipe of every model of the zoo: what it is trained for, and how by default."""

from __future__ import annotations

import json
from typing import Any

from models import CATALOGUE
from tfspeech.errors import SpecError
from tfspeech.tasks.attention_tts.run import SynthesisRun
from tfspeech.tasks.parallel_tts.run import ParametricRun
from tfspeech.tasks.task import RunConfig
from tfspeech.tasks.word_recognition.run import RecognitionRun
from tfspeech.training.config import TrainingConfig

KINDS: dict[str, type[RunConfig]] = {
    "parametric_synthesis": ParametricRun,
    "recognition": RecognitionRun,
    "synthesis": SynthesisRun,
}
"""What models are for -> how they are run."""

TRAINING: dict[str, dict[str, Any]] = {
    "attention_tts": {
        "epochs": 30,
        "batch_size": 32,
        "optimizer": "adam(beta_2=0.99)",
        "learning_rate": 2e-3,
        "clip": ("global_norm(1.0)",),
        "ema_momentum": 0.0,
    },
    "dense_synthesis": {
        "epochs": 25,
        "batch_size": 4,
        "optimizer": "adam()",
        "learning_rate": 4e-3,
        "clip": ("value(0.01)",),
        "ema_momentum": 0.0,
    },
}
"""How the training of a model differs from the defaults of `TrainingConfig`."""


def default_config(model: str) -> RunConfig:
    """The recipe of a model of the zoo.

    Raises:
        SpecError: There is no such model.
    """
    if model not in CATALOGUE:
        raise SpecError(
            f"unknown model {model!r}; the known ones are {', '.join(CATALOGUE)}"
        )
    entry = CATALOGUE[model]
    return KINDS[entry.kind](
        model=model,
        architecture=entry.config(),
        training=TrainingConfig(**TRAINING.get(model, {})),
    )


def parse_config(text: str) -> RunConfig:
    """Reads what `RunConfig.to_json` has written.

    Raises:
        ValueError: The text is no JSON, or a value is out of range.
        KeyError: Something is missing.
        TypeError: Something is of another type, or not known.
    """
    return default_config(json.loads(text)["model"]).with_json(text)
