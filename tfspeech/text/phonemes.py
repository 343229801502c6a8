"""The phonemes of American English, as eSpeak NG pronounces a text.

They are written in IPA. A vowel may follow a stress mark: `ˈ` primary, `ˌ` secondary.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence

from tfspeech.files import read_toml
from tfspeech.text.espeak import SpokenPhoneme, speak

VOICE = "en-us"
PAUSE = "pau"
STRESSES = {"'": "ˈ", ",": "ˌ"}  # noqa: RUF001 -- IPA.

# What words are in a normalised text; a compound with hyphens is one.
WORD = re.compile(r"[a-z]+(?:['-]+[a-z]+)*'?")

# eSpeak's mnemonics, and IPA.
_TABLES = read_toml(__package__, "phonemes.toml")
_SILENT = (";",)  # A mark that asks for a glide to the next vowel.
_IPA = _TABLES["consonants"] | _TABLES["vowels"]

CONSONANTS = tuple(dict.fromkeys(_TABLES["consonants"].values()))
VOWELS = tuple(dict.fromkeys(_TABLES["vowels"].values()))
PHONEMES = CONSONANTS + tuple(
    stress + vowel for vowel in VOWELS for stress in ("", *STRESSES.values())
)


def timed_phonemes(spoken: Sequence[SpokenPhoneme]) -> list[tuple[str, int]]:
    """Returns phonemes and pauses, and the sample each starts at.

    Pauses that follow each other are one. What is no phoneme of the American voice
    keeps eSpeak's mnemonic.
    """
    timed: list[tuple[str, int]] = []
    for each in spoken:
        name = _ipa(each.mnemonic)
        if name and not (timed and name == PAUSE == timed[-1][0]):
            timed.append((name, each.sample))
    return timed


def text_to_phonemes(text: str, voice: str = VOICE) -> list[list[str]]:
    """Pronounces a normalised text, with the stress that it has in its sentence.

    Args:
        text: Words in lower case and punctuation (see `normalize`).
        voice: The eSpeak voice that pronounces it.

    Returns:
        The phonemes of each word (each match of `WORD`). eSpeak says some pairs of
        function words as one, such as "in the"; the first then has the phonemes of
        both, and the second has none.

    Raises:
        SpecError: eSpeak NG has no such voice.
    """
    starts = [word.start() for word in WORD.finditer(text)]
    phonemes: list[list[str]] = [[] for _ in starts]
    # eSpeak hears the end of a sentence in the capital letter of the next.
    cased = re.sub(r"\bi\b|(?<=[.?!] )[a-z]", lambda letter: letter[0].upper(), text)
    for each in speak(cased, voice).phonemes:
        name = _ipa(each.mnemonic)
        word = bisect.bisect_right(starts, each.position) - 1
        if name and name != PAUSE and word >= 0:
            phonemes[word].append(name)
    return phonemes


def _ipa(mnemonic: str) -> str:
    """Returns IPA with a stress mark, `PAUSE`, or nothing for a mark without sound."""
    if mnemonic.startswith("_"):
        return PAUSE
    stress = STRESSES.get(mnemonic[:1], "")
    name = mnemonic[len(stress) :]
    return "" if name in _SILENT else stress + _IPA.get(name, name)
