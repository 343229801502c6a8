"""A corpus: utterances with a text, a speaker and a split."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfspeech.data.joined import JoinedAudio
from tfspeech.data.spoken import SpokenAudio
from tfspeech.errors import CorpusError

SPLITS = ("train", "validation", "test")
WITHOUT_TEXT = "unlabelled"

MIN_SPEAKERS_TO_HOLD_OUT = 10


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One recording, one text to be spoken by an engine, or several joined.

    Attributes:
        audio: The path of an audio file, what is to be spoken, or what is joined.
        text: What is said; the label of an isolated word.
        speaker: Who says it; empty where that is unknown.
        split: One of `SPLITS`, or `WITHOUT_TEXT` where nobody has written a text.

    Raises:
        CorpusError: No file can have that path, or a text is none in Unicode.
    """

    audio: Path | SpokenAudio | JoinedAudio
    text: str
    speaker: str
    split: str

    def __post_init__(self) -> None:
        try:
            if isinstance(self.audio, Path) and b"\0" in os.fsencode(self.audio):
                raise ValueError("a NUL")
            (self.text + self.speaker).encode()
        except ValueError as error:
            raise CorpusError(
                f"path, text and speaker must be text that UTF-8 can encode, without "
                f"NUL in the path ({error}). Received: {self.audio!r}, {self.text!r}, "
                f"{self.speaker!r}"
            ) from error


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A named list of utterances.

    Attributes:
        name: The spec it was loaded from.
        utterances: All of them, whatever their split.
        noises: Recordings of background noise, for augmentation.
    """

    name: str
    utterances: tuple[Utterance, ...]
    noises: tuple[Path, ...] = ()

    def split(self, name: str) -> tuple[Utterance, ...]:
        """Returns the utterances of one split."""
        return tuple(each for each in self.utterances if each.split == name)

    def indices(self, split: str) -> np.ndarray:
        """Returns the places of one split in `utterances`, int [utterances].

        Raises:
            CorpusError: The split is empty.
        """
        utterances = enumerate(self.utterances)
        found = [i for i, utterance in utterances if utterance.split == split]
        if not found:
            raise CorpusError(f"{self.name} has no {split} split to work on")
        return np.array(found)

    def speakers(self) -> list[str]:
        """Returns the known speakers, sorted."""
        return sorted({each.speaker for each in self.utterances if each.speaker})


def hold_out(
    utterances: Sequence[Utterance], split: str, share: float
) -> tuple[Utterance, ...]:
    """Moves a share of the training utterances to another split.

    The choice is pseudo-random (the order of SHA-256 hashes), but the same on every
    machine. Where at least 10 speakers are known, whole speakers are moved; otherwise
    utterances, so that each text that occurs often loses about the same share.

    Args:
        utterances: Utterances of any split.
        split: Where the chosen ones go, one of `SPLITS`.
        share: Of the training utterances (or their speakers), at least one is moved.

    Returns:
        All utterances, in their order.
    """
    train = [each for each in utterances if each.split == "train"]
    speakers = {each.speaker for each in utterances if each.speaker}
    if len(speakers) >= MIN_SPEAKERS_TO_HOLD_OUT:
        candidates = sorted({each.speaker for each in train if each.speaker}, key=_hash)
        chosen = set(candidates[: max(1, round(share * len(candidates)))])
        moved = {each for each in train if each.speaker in chosen}
    else:
        turns = collections.Counter[str]()
        order = []
        for each in sorted(train, key=lambda each: _hash(_short_name(each))):
            order.append((turns[each.text], len(order), each))
            turns[each.text] += 1
        order.sort(key=lambda turn: turn[:2])
        moved = {each for *_, each in order[: max(1, round(share * len(order)))]}
    return tuple(
        dataclasses.replace(each, split=split) if each in moved else each
        for each in utterances
    )


def _short_name(utterance: Utterance) -> str:
    """A name that does not depend on where the corpus lies."""
    audio = utterance.audio
    return "/".join(audio.parts[-2:]) if isinstance(audio, Path) else repr(audio)


def _hash(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()
