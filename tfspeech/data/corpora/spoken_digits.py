"""The built-in corpus: the ten digits in synthetic voices."""

from __future__ import annotations

from tfspeech.data.manifest import Corpus
from tfspeech.data.spoken_words import (
    DIGITS,
    PICO_VOICES,
    by_pico,
    english_voices,
    spoken_words,
)

_ESPEAK_PER_LABEL = {"train": 300, "validation": 30, "test": 45}
_PICO_PER_LABEL = {"train": 100, "validation": 10, "test": 15}
_SNR_RANGE_DB = (10.0, 45.0)


def load(seed: int = 0) -> Corpus:
    """Returns 4,000 training, 400 validation and 600 test utterances.

    A quarter of them is by SVOX Pico, the others by eSpeak NG. The labels are `0` to
    `9`, as in the Free Spoken Digit Dataset. No voice (of eSpeak: an accent in a
    variant) of one split speaks in another, nor does its variant.

    Args:
        seed: The same seed gives the same samples.
    """
    labels = tuple(DIGITS)
    utterances = []
    for split, count in _ESPEAK_PER_LABEL.items():
        voices = english_voices(split)
        utterances += spoken_words(labels, voices, count, seed, split, _SNR_RANGE_DB)
        utterances += spoken_words(
            *(labels, PICO_VOICES[split], _PICO_PER_LABEL[split]),
            *(seed, split, _SNR_RANGE_DB, by_pico),
        )
    return Corpus("spoken_digits", tuple(utterances))
