"""Speaking texts with a trained model, and how long that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfspeech.errors import TextError
from tfspeech.tasks.speech.task import SpeechTask
from tfspeech.text.pieces import split_text


class Spoken(NamedTuple):
    """A text that was spoken, or a piece of a long one.

    Attributes:
        last: Whether it is the last piece of its text.
        waveform: float32 [samples].
        sample_rate_hz: Its rate.
        stopped: Whether the model itself found the end.
        seconds: What it took, from text to waveform.
        model_seconds: What that took without the vocoder.
    """

    last: bool
    waveform: np.ndarray
    sample_rate_hz: int
    stopped: bool
    seconds: float
    model_seconds: float


def speak_texts(
    task: SpeechTask, texts: Sequence[str], **conditions: float
) -> Iterator[Spoken]:
    """Speaks texts, one after the other, long ones in pieces; see `split_text`.

    Args:
        task: With a trained model.
        texts: English.
        **conditions: Some of the task's `conditions`, by name.

    Raises:
        SpecError: The model lacks a condition, or a value is out of range.
        TextError: A text has a symbol that is unknown, or none at all, or a piece of it
            is beyond a limit of the model.
    """
    pieces = divide_texts(task, texts)
    for piece, _ in pieces[:1]:  # The first call compiles, which is not to count.
        task.waveform(task.speak([piece], **conditions)[0].frames)
    for piece, last in pieces:
        started = time.perf_counter()
        (speech,) = task.speak([piece], **conditions)
        model_seconds = time.perf_counter() - started
        waveform = task.waveform(speech.frames)
        seconds = time.perf_counter() - started
        rate_hz = task.features.sample_rate_hz
        yield Spoken(last, waveform, rate_hz, speech.stopped, seconds, model_seconds)


def divide_texts(task: SpeechTask, texts: Sequence[str]) -> list[tuple[str, bool]]:
    """Divides texts into pieces that the limits of a model allow; see `split_text`.

    Returns:
        The pieces in their order, and whether each is the last one of its text.

    Raises:
        TextError: See `speak_texts`.
    """
    pieces = []
    for text in texts:
        *more, last = split_text(text, task.limits.max_text_bytes)
        pieces += [*((piece, False) for piece in more), (last, True)]
    for piece, _ in pieces:
        symbols = task.front_end.encode(piece)
        task.limits.check("max_symbols", len(symbols), TextError)
    return pieces
