"""Pronounced texts: the phonemes whose times an alignment finds, and their units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tfspeech.errors import TextError
from tfspeech.text.articulation import PHONES, base
from tfspeech.text.normalize import normalize
from tfspeech.text.phonemes import PAUSE, PHONEMES, WORD, text_to_phonemes

# Stress changes how long and how loud a phoneme is, not what it sounds like.
UNITS = (PAUSE, *PHONES)
"""Names of what has a hidden Markov model: the pause and phonemes without stress."""
_UNIT = {name: number for number, name in enumerate(UNITS)}
PAUSE_UNIT = _UNIT[PAUSE]


class PronouncedText(NamedTuple):
    """The phonemes of a text, with a pause before, between and after its words.

    Attributes:
        names: Phonemes and `PAUSE`.
        words: The word that each is of; -1 for a pause.
        labels: The words. Where eSpeak says a pair as one, the first has both.
    """

    names: list[str]
    words: list[int]
    labels: list[str]

    @property
    def units(self) -> np.ndarray:
        """Their numbers in `UNITS`, int32 [units]."""
        return unit_numbers(self.names)


def unit_numbers(names: Iterable[str]) -> np.ndarray:
    """Returns the numbers in `UNITS` of phonemes and `PAUSE`, int32 [units]."""
    return np.array([_UNIT[base(name)] for name in names], np.int32)


def pronounce(text: str) -> PronouncedText:
    """Pronounces a text by eSpeak NG.

    Raises:
        TextError: There is nothing to say, or no American English.
    """
    normal = normalize(text)
    names, owners, labels, waiting = [PAUSE], [-1], [], ""
    spoken = zip(WORD.finditer(normal), text_to_phonemes(normal), strict=True)
    for word, phonemes in spoken:
        unknown = [each for each in phonemes if each not in PHONEMES]
        if unknown:
            raise TextError(
                f"eSpeak NG says {word[0]!r} with the phoneme {unknown[0]!r}, which is "
                f"not American English; spell it in another way. Received: {text!r}"
            )
        if phonemes:
            names += [*phonemes, PAUSE]
            owners += [len(labels)] * len(phonemes) + [-1]
            labels.append(waiting + word[0])
            waiting = ""
        elif labels:
            labels[-1] += " " + word[0]
        else:
            waiting += word[0] + " "
    if not labels:
        raise TextError(f"there is nothing to say in the text. Received: {text!r}")
    return PronouncedText(names, owners, labels)
