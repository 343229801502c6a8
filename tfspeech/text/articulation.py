"""How the phonemes of American English are articulated, as numbers.

Places, manners and voicing are those of the chart of the International Phonetic
Association (2020); the height and backness of vowels follow P. Ladefoged and K.
Johnson, "A Course in Phonetics", 2011, for American English.
"""

# ruff: noqa: RUF001 -- IPA has letters that look like others.

from __future__ import annotations

from tfspeech.text.phonemes import CONSONANTS, STRESSES, VOWELS

PHONES = CONSONANTS + VOWELS  # Phonemes without stress.

# What a boundary between phonemes is described by; see `at_start` and `at_end`.
PROPERTIES = {
    "pause": "silence or a mark",
    "vowel": "vowel or syllabic consonant",
    "voiced": "voiced",
    "stop": "stop or affricate",
    "fricative": "fricative or affricate",
    "sibilant": "sibilant",
    "nasal": "nasal",
    "lateral": "lateral",
    "rhotic": "rhotic",
    "labial": "labial",
    "dental": "dental",
    "alveolar": "alveolar",
    "postalveolar": "postalveolar or palatal",
    "velar": "velar",
    "glottal": "glottal",
    "height": "height of the tongue in a vowel: 1 close, -1 open",
    "backness": "backness of the tongue in a vowel: 1 back, -1 front",
    "rounding": "rounded lips",
    "reduced": "reduced vowel",
}

_CONSONANTS = {
    "b": "voiced stop labial",
    "d": "voiced stop alveolar",
    "f": "fricative labial dental",
    "h": "fricative glottal",
    "j": "voiced postalveolar",
    "k": "stop velar",
    "l": "voiced lateral alveolar",
    "m": "voiced nasal labial",
    "n": "voiced nasal alveolar",
    "p": "stop labial",
    "s": "fricative sibilant alveolar",
    "t": "stop alveolar",
    "v": "voiced fricative labial dental",
    "w": "voiced labial velar rounding",
    "z": "voiced fricative sibilant alveolar",
    "ð": "voiced fricative dental",
    "ŋ": "voiced nasal velar",
    "ʃ": "fricative sibilant postalveolar",
    "θ": "fricative dental",
    "ʒ": "voiced fricative sibilant postalveolar",
    "dʒ": "voiced stop fricative sibilant postalveolar",
    "tʃ": "stop fricative sibilant postalveolar",
    "ɡ": "voiced stop velar",
    "ɹ": "voiced rhotic alveolar",
    "ɾ": "voiced alveolar",
    "ʔ": "stop glottal",
}
# Height, backness, and what else there is.
_QUALITIES: dict[str, tuple[float, float, str]] = {
    "i": (1.0, -1.0, ""),
    "ɪ": (0.6, -0.7, ""),
    "ᵻ": (0.6, -0.3, "reduced"),
    "e": (0.3, -0.9, ""),
    "ɛ": (-0.2, -0.8, ""),
    "æ": (-0.7, -0.7, ""),
    "a": (-0.9, -0.2, ""),
    "ɐ": (-0.5, 0.0, "reduced"),
    "ə": (0.0, 0.0, "reduced"),
    "ʌ": (-0.3, 0.2, ""),
    "ɑ": (-1.0, 0.6, ""),
    "ɔ": (-0.5, 0.9, "rounding"),
    "o": (0.2, 0.8, "rounding"),
    "ʊ": (0.6, 0.6, "rounding"),
    "u": (1.0, 0.9, "rounding"),
    "ɚ": (0.1, 0.1, "reduced rhotic"),
    "ɜ": (0.1, 0.1, "rhotic"),
    "ɹ": (0.1, 0.1, "rhotic"),
    "l": (0.0, 0.5, "lateral alveolar"),
    "n̩": (0.0, 0.0, "nasal alveolar"),
}


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
        names = _CONSONANTS[phone]
    else:
        height, backness, names = _QUALITIES[_qualities(phone)[side]]
        values |= {"height": height, "backness": backness}
        names += " vowel voiced"
    return tuple((values | dict.fromkeys(names.split(), 1.0)).values())


def _qualities(vowel: str) -> list[str]:
    """Returns the qualities that a vowel goes through."""
    return [vowel] if vowel == "n̩" else list(vowel.replace("ː", ""))
