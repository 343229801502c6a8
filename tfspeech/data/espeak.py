"""Synthetic speech: eSpeak NG, trimmed, with or without noise."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from tfspeech.errors import SpecError
from tfspeech.text.espeak import NATIVE_RATE_HZ, speak
from tfspeech.text.phonemes import PAUSE, timed_phonemes

NOISES = ("white", "pink")

_SILENCE = 10 ** (-50 / 20)  # Relative to the peak.
_MARGIN_MS = 20


class PhonemeTime(NamedTuple):
    """When a phoneme is spoken.

    Attributes:
        phoneme: In IPA, after its stress mark, or `tfspeech.text.phonemes.PAUSE`.
        start_s: Its start in the waveform, in seconds.
        end_s: Its end, where the next one starts.
    """

    phoneme: str
    start_s: float
    end_s: float


@dataclasses.dataclass(frozen=True)
class SpokenText:
    """An utterance that eSpeak NG speaks; the same fields give the same samples.

    Attributes:
        text: What is spoken.
        voice: An eSpeak voice, with a variant after a plus: `"en-us+f3"`.
        rate_wpm: Words per minute, 80 to 450.
        pitch: 0 to 99, relative to the voice's own pitch; 50 leaves it alone.
        pitch_range: 0 (monotonous) to 99; 50 leaves the voice alone.
        snr_db: The level of the speech over that of added noise; infinite: no noise.
        noise: The colour of the noise, `"white"` or `"pink"`.
        seed: The seed of the noise.

    Raises:
        SpecError: A value is out of its range.
    """

    text: str
    voice: str = "en-us"
    rate_wpm: int = 175
    pitch: int = 50
    pitch_range: int = 50
    snr_db: float = math.inf
    noise: str = "white"
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {"rate_wpm": (80, 450), "pitch": (0, 99), "pitch_range": (0, 99)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise SpecError(
                    f"{name} must be between {low} and {high}. "
                    f"Received: {name}={getattr(self, name)}"
                )
        if self.noise not in NOISES:
            raise SpecError(
                f"noise must be one of {', '.join(NOISES)}. Received: {self.noise!r}"
            )

    def __str__(self) -> str:
        return f"{self.text!r} by {self.voice}"

    def render(self) -> tuple[np.ndarray, int]:
        """Speaks the text.

        Returns:
            The waveform, float32 [samples] in [-1, 1], trimmed to 20 ms of silence at
            either end, and its rate of 22,050 Hz.

        Raises:
            SpecError: eSpeak NG has no such voice or variant, or the text is silent.
        """
        return self.render_with_phonemes()[:2]

    def render_with_phonemes(self) -> tuple[np.ndarray, int, tuple[PhonemeTime, ...]]:
        """Speaks the text, and says when each phoneme starts and ends.

        Returns:
            What `render` returns, and the phonemes and pauses, which follow each other
            without a gap from the start of the waveform to its end.

        Raises:
            SpecError: eSpeak NG has no such voice or variant, or the text is silent.
        """
        speech = speak(
            self.text, self.voice, self.rate_wpm, self.pitch, self.pitch_range
        )
        start, end = _sound(speech.waveform)
        if start == end:
            raise SpecError(
                f"eSpeak NG finds nothing to say in {self}; if that is the label of a "
                "corpus, train it without synthetic voices (--synthetic-per-label 0, "
                "for strings --synthetic-share 0)"
            )
        waveform = speech.waveform[start:end]
        if math.isfinite(self.snr_db):
            waveform = _add_noise(waveform, self.snr_db, self.noise, self.seed)
        times = _phoneme_times(timed_phonemes(speech.phonemes), start, end)
        return waveform.astype(np.float32), NATIVE_RATE_HZ, times


def _sound(waveform: np.ndarray) -> tuple[int, int]:
    """Returns the first sample and the end of what is not silence, with a margin."""
    level = np.abs(waveform)
    loud = np.flatnonzero(level > _SILENCE * level.max(initial=0.0))
    if not loud.size:
        return 0, 0
    margin = NATIVE_RATE_HZ * _MARGIN_MS // 1000
    return max(loud[0] - margin, 0), min(loud[-1] + 1 + margin, len(waveform))


def _phoneme_times(
    phonemes: list[tuple[str, int]], start: int, end: int
) -> tuple[PhonemeTime, ...]:
    """Cuts phonemes and the samples they start at to `start` and `end`, in seconds."""
    bounds = [start, *(min(max(at, start), end) for _, at in phonemes[1:]), end]
    for index in range(1, len(phonemes)):
        # eSpeak makes some vowels with an l as one sound; each then gets half of it.
        if bounds[index] == bounds[index + 1] and phonemes[index][0] != PAUSE:
            bounds[index] = (bounds[index - 1] + bounds[index]) // 2
    seconds = [(bound - start) / NATIVE_RATE_HZ for bound in bounds]
    return tuple(
        PhonemeTime(name, start_s, end_s)
        for (name, _), start_s, end_s in zip(
            phonemes, seconds[:-1], seconds[1:], strict=True
        )
        if start_s < end_s
    )


def _add_noise(
    waveform: np.ndarray, snr_db: float, colour: str, seed: int
) -> np.ndarray:
    """Adds Gaussian noise, white or with a power that falls as 1 / frequency."""
    noise = np.random.default_rng(seed).standard_normal(len(waveform))
    if colour == "pink":
        spectrum = np.fft.rfft(noise)
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
        noise = np.fft.irfft(spectrum, len(waveform))
    power_ratio = np.mean(waveform**2) / np.mean(noise**2) / 10 ** (snr_db / 10)
    return np.clip(waveform + math.sqrt(power_ratio) * noise, -1.0, 1.0)
