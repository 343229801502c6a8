"""Isolated words in many synthetic voices."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from tfspeech.data.espeak import NOISES, SpokenText
from tfspeech.data.manifest import Utterance
from tfspeech.files import read_toml
from tfspeech.text.number_words import cardinal

_VOICES = read_toml(__package__, "voices.toml")
ACCENTS: list[str] = _VOICES["accents"]
VARIANTS: dict[str, list[str]] = _VOICES["variants"]
"""The variants by the split of `spoken_digits` in which they speak."""

DIGITS = {str(digit): cardinal(str(digit)) for digit in range(10)}

_RATES_WPM = (110, 240)
_PITCHES = (20, 85)
_PITCH_RANGES = (15, 85)


def english_voices(*splits: str) -> tuple[str, ...]:
    """Returns every accent of every variant in `splits` (default: all splits)."""
    return tuple(
        f"{accent}+{variant}"
        for split in splits or VARIANTS
        for variant in VARIANTS[split]
        for accent in ACCENTS
    )


def spoken_words(
    labels: Sequence[str],
    voices: Sequence[str],
    count_per_label: int,
    seed: int,
    split: str,
    snr_range_db: tuple[float, float] | None = None,
) -> tuple[Utterance, ...]:
    """Has many voices speak every label at random rates and pitches.

    The labels `0` to `9` are spoken as their English words.

    Args:
        labels: What is spoken.
        voices: eSpeak voices, each of which gets its turn before any speaks again.
        count_per_label: How often each label is spoken.
        seed: The same seed gives the same utterances, different ones for each split.
        split: The split of the utterances.
        snr_range_db: Where given, every utterance has white or pink noise added, at a
            signal-to-noise ratio drawn from this range, in dB.

    Returns:
        `len(labels) * count_per_label` utterances; the speaker of each is its voice.
    """
    rng = random.Random(f"{split} {seed}")  # noqa: S311 -- Its stream is stable.
    queue: list[str] = []
    utterances = []
    for label in labels:
        for _ in range(count_per_label):
            if not queue:
                queue = rng.sample(list(voices), len(voices))
            spoken = SpokenText(
                text=DIGITS.get(label, label),
                voice=queue.pop(),
                rate_wpm=rng.randint(*_RATES_WPM),
                pitch=rng.randint(*_PITCHES),
                pitch_range=rng.randint(*_PITCH_RANGES),
            )
            if snr_range_db:
                spoken = _with_noise(spoken, snr_range_db, rng)
            utterances.append(Utterance(spoken, label, spoken.voice, split))
    return tuple(utterances)


def _with_noise(
    spoken: SpokenText, snr_range_db: tuple[float, float], rng: random.Random
) -> SpokenText:
    return dataclasses.replace(
        spoken,
        snr_db=round(rng.uniform(*snr_range_db), 1),
        noise=rng.choice(NOISES),
        seed=rng.getrandbits(32),
    )
