"""Speaking texts with a trained model, and how long that takes."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfspeech.errors import SpecError, TextError
from tfspeech.tasks.conditions import complete_conditions
from tfspeech.tasks.speech.ssml import parse_documents
from tfspeech.tasks.speech.task import Speech, SpeechTask
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
    for piece, last in divide_texts(task, texts):
        yield _spoken(
            task, lambda text=piece: task.speak([text], **conditions)[0], last
        )


def _spoken(
    task: SpeechTask,
    speak: Callable[[], Speech],
    last: bool,
) -> Spoken:
    """Makes a piece of speech, and measures the time."""
    started = time.perf_counter()
    speech = speak()
    model_seconds = time.perf_counter() - started
    rate_hz = task.features.sample_rate_hz
    waveform = task.waveform(speech.frames)
    seconds = time.perf_counter() - started
    return Spoken(last, waveform, rate_hz, speech.stopped, seconds, model_seconds)


def speak_ssml(
    task: SpeechTask, documents: Sequence[str], **conditions: float
) -> Iterator[Spoken]:
    """Speaks documents of SSML, one after the other; see `parse_documents`.

    What is between two breaks is one piece, with the silence after it.

    Args:
        task: With a trained model.
        documents: The documents.
        **conditions: Some of the task's `conditions`, by name, which those of the
            documents change.

    Raises:
        SpecError: The model lacks a condition, or a value is out of range.
        TextError: A document is no such SSML; or see `speak_texts`.
    """
    if not task.speaks_phrases:
        raise SpecError(
            f"{task.model.name} speaks no SSML: it has no prosody that could be "
            "changed by the word"
        )
    usual = complete_conditions(task.model.name, task.conditions, conditions)
    for condition in task.conditions:
        condition.check(usual[condition.name])
    for utterance, last in parse_documents(documents, usual):
        speak = functools.partial(task.speak_phrases, utterance.phrases)
        spoken = _spoken(task, speak, last)
        waveform = utterance.with_silences(spoken.waveform, spoken.sample_rate_hz)
        yield spoken._replace(waveform=waveform)


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
