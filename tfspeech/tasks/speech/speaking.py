"""Speaking texts with a trained model, and how long that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfspeech.tasks.speech.task import SpeechTask


class Spoken(NamedTuple):
    """A text that was spoken.

    Attributes:
        text: The text.
        waveform: float32 [samples].
        sample_rate_hz: Its rate.
        stopped: Whether the model itself found the end.
        seconds: What it took, from text to waveform.
        model_seconds: What that took without the vocoder.
    """

    text: str
    waveform: np.ndarray
    sample_rate_hz: int
    stopped: bool
    seconds: float
    model_seconds: float

    @property
    def length_s(self) -> float:
        """How long the waveform is, in seconds."""
        return len(self.waveform) / self.sample_rate_hz

    @property
    def real_time_factor(self) -> float:
        """What it took, as a share of that."""
        return self._share(self.seconds)

    @property
    def model_real_time_factor(self) -> float:
        """What it took without the vocoder, as a share of that."""
        return self._share(self.model_seconds)

    def _share(self, seconds: float) -> float:
        # One frame alone is between no samples.
        return seconds / max(self.length_s, 1 / self.sample_rate_hz)


def speak_texts(
    task: SpeechTask, texts: Sequence[str], **conditions: float
) -> Iterator[Spoken]:
    """Speaks texts, one after the other.

    Args:
        task: With a trained model.
        texts: English.
        **conditions: Some of the task's `conditions`, by name.

    Raises:
        SpecError: The model lacks a condition, or a value is out of range.
        TextError: A text has a symbol that is unknown, or none at all.
    """
    for text in texts:
        task.front_end.encode(text)  # Before anything is spoken.
    for text in texts[:1]:  # The first call compiles, which is not to count.
        task.waveform(task.speak([text], **conditions)[0].frames)
    for text in texts:
        started = time.perf_counter()
        (speech,) = task.speak([text], **conditions)
        model_seconds = time.perf_counter() - started
        waveform = task.waveform(speech.frames)
        seconds = time.perf_counter() - started
        rate_hz = task.features.sample_rate_hz
        yield Spoken(text, waveform, rate_hz, speech.stopped, seconds, model_seconds)
