"""Words that were read from a recording, with their times."""

from __future__ import annotations

from typing import NamedTuple


class TimedWord(NamedTuple):
    """A word with the time in which a model wrote it.

    Attributes:
        word: As it was written.
        start_s: Where its first symbol begins, in seconds.
        end_s: Where its last symbol ends.
    """

    word: str
    start_s: float
    end_s: float


class Segment(NamedTuple):
    """Text of a stretch of audio.

    Attributes:
        start_s: Where it begins, in seconds.
        end_s: Where it ends.
        text: Its words, separated by spaces.
        confidence: The probability of exactly this text, in [0, 1].
        words: Each with its time.
    """

    start_s: float
    end_s: float
    text: str
    confidence: float
    words: tuple[TimedWord, ...]


class Text(NamedTuple):
    """Text of a recording.

    Attributes:
        text: Its words, separated by spaces.
        confidence: The probability of exactly this text, in [0, 1].
        segments: The stretches in which something was said.
    """

    text: str
    confidence: float
    segments: tuple[Segment, ...]
