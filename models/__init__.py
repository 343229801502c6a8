"""The model zoo: Keras models that know tensors, and nothing of files or losses."""

from __future__ import annotations

from typing import NamedTuple

import keras

from models.attention_tts import AttentionTts, AttentionTtsConfig
from models.dense_synthesis import DenseNet, DenseSynthesis, DenseSynthesisConfig
from models.rnn_recognizer import RnnRecognizer, RnnRecognizerConfig


class Entry(NamedTuple):
    """A model of the zoo.

    Attributes:
        kind: What it is for: `recognition`, `synthesis` or `parametric_synthesis`.
        model: Its class.
        config: Its configuration, a dataclass with defaults.
    """

    kind: str
    model: type[keras.Model]
    config: type


CATALOGUE = {
    "attention_tts": Entry("synthesis", AttentionTts, AttentionTtsConfig),
    "dense_synthesis": Entry(
        "parametric_synthesis", DenseSynthesis, DenseSynthesisConfig
    ),
    "rnn_recognizer": Entry("recognition", RnnRecognizer, RnnRecognizerConfig),
}
"""Name -> model."""

__all__ = [
    "CATALOGUE",
    "AttentionTts",
    "AttentionTtsConfig",
    "DenseNet",
    "DenseSynthesis",
    "DenseSynthesisConfig",
    "Entry",
    "RnnRecognizer",
    "RnnRecognizerConfig",
]
