"""Strings of 1 to 7 words, joined from another corpus, of isolated words."""

from __future__ import annotations

import collections
import random
from collections.abc import Sequence

from tfspeech.data.joined import JoinedAudio
from tfspeech.data.manifest import SPLITS, Corpus, Utterance

_MOST = {"train": 4000, "validation": 400, "test": 500}
_PER_RECORDING = 4
_MAX_WORDS = 7
_GAPS_MS = (-40, 300)
_GAINS_DB = (-6.0, 6.0)


def load(corpus: Corpus, seed: int = 0) -> Corpus:
    """Joins recordings of one speaker and one split to strings.

    A string has 1 to 7 recordings, with gaps of -40 to 300 ms and one gain; its text is
    that of the recordings. There are four times as many strings as recordings in a
    split, but at most 4,000 for training, 400 for validation and 500 for the test;
    speakers have shares like those of their recordings, and each of their recordings
    its turn before any comes again. Recordings without a speaker are those of one.

    Args:
        corpus: Of isolated words.
        seed: The same seed gives the same strings.
    """
    strings = []
    for split in SPLITS:
        by_speaker = collections.defaultdict(list)
        for each in corpus.split(split):
            by_speaker[each.speaker].append(each)
        recordings = sum(map(len, by_speaker.values()))
        total = min(_MOST[split], _PER_RECORDING * recordings)
        for speaker, own in by_speaker.items():
            rng = random.Random(f"{split} {speaker} {seed}")  # noqa: S311 -- Is stable.
            count = max(1, round(total * len(own) / recordings))
            strings += _strings(own, count, rng)
    return Corpus(f"strings:{corpus.name}", tuple(strings), corpus.noises)


def _strings(
    recordings: Sequence[Utterance], count: int, rng: random.Random
) -> list[Utterance]:
    """Joins recordings of one speaker and split."""
    queue: list[Utterance] = []
    strings = []
    for _ in range(count):
        words = rng.randint(1, _MAX_WORDS)
        while len(queue) < words:
            queue = rng.sample(list(recordings), len(recordings)) + queue
        chosen = [queue.pop() for _ in range(words)]
        audio = JoinedAudio(
            tuple(each.audio for each in chosen),
            tuple(rng.randint(*_GAPS_MS) for _ in chosen[1:]),
            round(rng.uniform(*_GAINS_DB), 1),
        )
        text = " ".join(each.text for each in chosen)
        strings.append(Utterance(audio, text, chosen[0].speaker, chosen[0].split))
    return strings
