"""How the phonemes of American English are articulated, as numbers.

Places, manners and voicing are those of the chart of the International Phonetic
Association (2020); the height and backness of vowels follow P. Ladefoged and K.
Johnson, "A Course in Phonetics", 2011, for American English.
"""

# ruff: noqa: RUF001 -- IPA has letters that look like others.

from __future__ import annotations

from tfspeech.files import read_toml
from tfspeech.text.phonemes import CONSONANTS, STRESSES, VOWELS

PHONES = CONSONANTS + VOWELS  # Phonemes without stress.

_TABLES = read_toml(__package__, "articulation.toml")
# What a boundary between phonemes is described by; see `at_start` and `at_end`.
PROPERTIES: dict[str, str] = _TABLES["properties"]


def base(phoneme: str) -> str:
    """Returns a phoneme without its stress mark."""
    return phoneme.lstrip("".join(STRESSES.values()))


def at_start(phone: str) -> tuple[float, ...]:
    """Returns the values of `PROPERTIES` in which a phone of `PHONES` starts."""
    return _described(phone, 0)


def at_end(phone: str) -> tuple[float, ...]:
    """Returns the values of `PROPERTIES` in which a phone of `PHONES` ends."""
    return _described(phone, -1)


def _described(phone: str, side: int) -> tuple[float, ...]:
    values = dict.fromkeys(PROPERTIES, 0.0)
    if phone in CONSONANTS:
        names = _TABLES["consonants"][phone]
    else:
        height, backness, names = _TABLES["vowels"][_qualities(phone)[side]]
        values |= {"height": height, "backness": backness}
        names += " vowel voiced"
    return tuple((values | dict.fromkeys(names.split(), 1.0)).values())


def _qualities(vowel: str) -> list[str]:
    """Returns the qualities that a vowel goes through."""
    return [vowel] if vowel == "n̩" else list(vowel.replace("ː", ""))
