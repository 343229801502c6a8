"""Phrases that are spoken each in its own way, and their encoding for a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfspeech.text.context import END_ID, SPACE_ID
from tfspeech.text.front_end import AFTER_NO_SPACE, PUNCTUATION, TextFrontEnd

MARKS = "".join(PUNCTUATION)
"""The symbols that are no sounds."""

Prosody = Mapping[str, float]
"""Name of a condition -> its value."""


class Phrase(NamedTuple):
    """Words that are spoken in one way.

    Attributes:
        text: English.
        prosody: A value for every condition of the model.
    """

    text: str
    prosody: Prosody


class Utterance(NamedTuple):
    """Speech without a break.

    Attributes:
        phrases: One after the other.
        before_s: The silence before them.
        after_s: The silence after them.
    """

    phrases: tuple[Phrase, ...]
    before_s: float
    after_s: float

    def with_silences(self, waveform: np.ndarray, rate_hz: int) -> np.ndarray:
        """Puts both silences around the waveform [samples] of the phrases."""
        around = [round(silence * rate_hz) for silence in (self.before_s, self.after_s)]
        return np.pad(waveform, around)


def encode_phrases(
    front_end: TextFrontEnd, phrases: Sequence[Phrase]
) -> tuple[np.ndarray, np.ndarray]:
    """Encodes phrases as the segments of one utterance; see `encode_segments`.

    Args:
        front_end: One whose symbols are phonemes.
        phrases: At least one of them has words.

    Returns:
        Segments, int32 [segments], and which phrase each belongs to, int32 [segments].

    Raises:
        TextError: A phrase has an unknown symbol.
    """
    symbols, places = [SPACE_ID], [0]
    for place, phrase in enumerate(phrases):
        own = _encode_phrase(front_end, phrase.text)
        if place and front_end.symbols[own[0]] not in AFTER_NO_SPACE:
            own = [SPACE_ID, *own]
        symbols += own
        places += [place] * len(own)
    return np.int32([*symbols, END_ID]), np.int32([*places, places[-1]])


def spread_prosody(
    phrases: Sequence[Phrase], places: np.ndarray
) -> dict[str, np.ndarray]:
    """Brings the prosody of phrases to their segments.

    Args:
        phrases: With values for the same conditions.
        places: The phrase of each segment; see `encode_phrases`.

    Returns:
        Name of a condition -> float32 [segments].
    """
    return {
        name: np.float32([phrase.prosody[name] for phrase in phrases])[places]
        for name in phrases[0].prosody
    }


def _encode_phrase(front_end: TextFrontEnd, text: str) -> list[int]:
    """The symbols of a phrase without the end; marks may stand first, or alone."""
    words = text.lstrip(MARKS)
    marks = text.removesuffix(words)
    symbols = [front_end.symbols.index(mark) for mark in marks]
    return symbols + front_end.encode(words)[:-1].tolist() if words else symbols
