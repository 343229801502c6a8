"""English words in the spelling of other languages, for voices that read these.

A reader of German who says "siks" and "tri" has the accent of one who speaks English.
"""

# ruff: noqa: RUF001 -- IPA has letters that look like others.

from __future__ import annotations

import functools
import random
import re

from tfspeech.files import read_toml
from tfspeech.text.articulation import base
from tfspeech.text.phonemes import VOWELS, text_to_phonemes

_TABLES = read_toml(__package__, "respelling.toml")
LANGUAGES = tuple(_TABLES)
"""Languages that words can be respelt for, such as `de-DE`."""

_FRONT = ("i", "e", "ɪ", "ɛ", "ᵻ", "æ", "ɚ", "ɜ", "ə")
_WORDS = re.compile(r"[a-z]+(?:[' -]+[a-z]+)*")


def is_respellable(text: str) -> bool:
    """Whether a text is English words in lower case, without numbers or signs."""
    return _WORDS.fullmatch(text) is not None


def respell(text: str, language: str, rng: random.Random) -> str:
    """Spells how English words sound.

    Args:
        text: For which `is_respellable` is true.
        language: One of `LANGUAGES`.
        rng: Chooses where speakers of the language differ: "three" begins with s, f or
            t.

    Returns:
        The words, in the letters of the language.
    """
    table = _TABLES[language]
    words = []
    for phonemes in _phonemes(text):
        names = [base(phoneme) for phoneme in phonemes]
        spelt = ""
        for name, following in zip(names, [*names[1:], ""], strict=True):
            letters = table["letters"] | table.get(_place(following), {})
            ways = letters.get(name, "")
            spelt += ways if isinstance(ways, str) else rng.choice(ways)
        words.append(spelt)
    return " ".join(filter(None, words))


@functools.lru_cache(maxsize=1024)
def _phonemes(text: str) -> list[list[str]]:
    return text_to_phonemes(text)


def _place(following: str) -> str:
    """The table of letters before a phoneme, or before nothing."""
    if not following:
        return "final"
    if following.startswith(_FRONT):
        return "next_front"
    return "next_consonant" if following not in VOWELS else ""
