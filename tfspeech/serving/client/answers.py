"""Answers of a model on a server."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Word(NamedTuple):
    """A word that was recognised.

    Attributes:
        label: The most probable word, or "unknown" where the model finds that too
            improbable; empty where there is an error.
        scores: Word -> probability.
        error: Why the model could not answer for this file; empty where it did.
    """

    label: str
    scores: dict[str, float]
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns `label`, `probability` and `scores`."""
        probability = max(self.scores.values())
        return {"label": self.label, "probability": probability, "scores": self.scores}


class Text(NamedTuple):
    """A text that was recognised.

    Attributes:
        text: What is said; empty where there is an error, too.
        confidence: The probability of exactly this text.
        error: Why the model could not answer for this file; empty where it did.
    """

    text: str
    confidence: float
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns `text` and `confidence`."""
        return {"text": self.text, "confidence": self.confidence}


class Speech(NamedTuple):
    """An utterance that was synthesised.

    Attributes:
        waveform: float32 [samples] in [-1, 1].
        sample_rate_hz: Its rate.
        stopped: Whether the model itself found the end; some always do.
        last: Whether it is the last piece of its text.
    """

    waveform: np.ndarray
    sample_rate_hz: int
    stopped: bool
    last: bool = True

    @property
    def length_s(self) -> float:
        """Length of the waveform in seconds."""
        return len(self.waveform) / self.sample_rate_hz
