"""Isolated words in many synthetic voices."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence

from tfspeech.data.espeak import SpokenText
from tfspeech.data.manifest import Utterance
from tfspeech.data.pico import PicoText
from tfspeech.data.spoken import NOISES, SpokenAudio
from tfspeech.files import read_toml
from tfspeech.text.number_words import cardinal
from tfspeech.text.pico import VOICES
from tfspeech.text.respelling import LANGUAGES, is_respellable, respell

_VOICES = read_toml(__package__, "voices.toml")
ACCENTS: list[str] = _VOICES["accents"]
VARIANTS: dict[str, list[str]] = _VOICES["variants"]
"""The variants by the split of `spoken_digits` in which they speak."""
PICO_SHARE = 0.125
"""The share of Pico in `company`."""

DIGITS = {str(digit): cardinal(str(digit)) for digit in range(10)}

_RATES_WPM = (110, 240)
_PITCHES = (20, 85)
_PITCH_RANGES = (15, 85)
_PICO_SPEEDS = (70, 150)  # In percent of the voice's own.
_PICO_PITCHES = (60, 140)
_PICO_FORMANTS = (27, 34)  # In steps of 1 / 32: whole multiples of 500 Hz.

_Speak = Callable[[str, str, random.Random], SpokenAudio]
"""Words, a voice and random numbers to an utterance."""


def english_voices(*splits: str) -> tuple[str, ...]:
    """Returns every accent of every variant in `splits` (default: all splits)."""
    return tuple(
        f"{accent}+{variant}"
        for split in splits or VARIANTS
        for variant in VARIANTS[split]
        for accent in ACCENTS
    )


def by_espeak(words: str, voice: str, rng: random.Random) -> SpokenText:
    """Has a voice of eSpeak NG speak at a random rate and pitch."""
    return SpokenText(
        text=words,
        voice=voice,
        rate_wpm=rng.randint(*_RATES_WPM),
        pitch=rng.randint(*_PITCHES),
        pitch_range=rng.randint(*_PITCH_RANGES),
    )


def by_pico(words: str, voice: str, rng: random.Random) -> PicoText:
    """Has a voice of Pico speak at a random rate, pitch and length of vocal tract.

    A voice of another language reads the words as this would spell them.

    Args:
        words: For which `is_respellable` is true.
        voice: One of `tfspeech.text.pico.VOICES`.
        rng: Of what is random.
    """
    return PicoText(
        text=respell(words, voice, rng) if voice in LANGUAGES else words,
        voice=voice,
        speed=rng.randint(*_PICO_SPEEDS) / 100,
        pitch=rng.randint(*_PICO_PITCHES) / 100,
        formants=rng.randint(*_PICO_FORMANTS) / 32,
    )


def spoken_words(
    labels: Sequence[str],
    voices: Sequence[str],
    count_per_label: int,
    seed: int,
    split: str,
    snr_range_db: tuple[float, float] | None = None,
    speak: _Speak = by_espeak,
) -> tuple[Utterance, ...]:
    """Has many voices speak every label at random rates and pitches.

    The labels `0` to `9` are spoken as their English words.

    Args:
        labels: What is spoken.
        voices: Of the engine, each of which gets its turn before any speaks again.
        count_per_label: How often each label is spoken.
        seed: The same seed gives the same utterances, different ones for each split.
        split: The split of the utterances.
        snr_range_db: Where given, every utterance has white or pink noise added, at a
            signal-to-noise ratio drawn from this range, in dB.
        speak: The engine, `by_espeak` or `by_pico`.

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
            spoken = speak(DIGITS.get(label, label), queue.pop(), rng)
            if snr_range_db:
                spoken = _with_noise(spoken, snr_range_db, rng)
            utterances.append(Utterance(spoken, label, spoken.speaker, split))
    return tuple(utterances)


def company(
    labels: Sequence[str], count_per_label: int, seed: int
) -> tuple[Utterance, ...]:
    """Has all voices of both engines speak every label, to join recordings in training.

    Pico's share is `PICO_SHARE`, but of labels that are no English words 0.

    Args:
        labels: What is spoken.
        count_per_label: How often each label is spoken.
        seed: The same seed gives the same utterances.
    """
    words = [x for x in labels if is_respellable(DIGITS.get(x, x))]
    others = [label for label in labels if label not in words]
    pico = round(PICO_SHARE * count_per_label)
    espeak_voices = english_voices()
    return (
        *spoken_words(words, espeak_voices, count_per_label - pico, seed, "train"),
        *spoken_words(words, VOICES, pico, seed, "train", speak=by_pico),
        *spoken_words(others, espeak_voices, count_per_label, seed, "train"),
    )


def _with_noise(
    spoken: SpokenAudio, snr_range_db: tuple[float, float], rng: random.Random
) -> SpokenAudio:
    return dataclasses.replace(
        spoken,
        snr_db=round(rng.uniform(*snr_range_db), 1),
        noise=rng.choice(NOISES),
        seed=rng.getrandbits(32),
    )
