"""Synthetic speech of any engine: trimmed, with or without noise."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import ClassVar

import numpy as np

from tfspeech.errors import SpecError

NOISES = ("white", "pink")

_SILENCE = 10 ** (-50 / 20)  # Relative to the peak.
_MARGIN_MS = 20


@dataclasses.dataclass(frozen=True)
class SpokenAudio(abc.ABC):
    """An utterance that an engine speaks.

    The same fields give the same samples.

    Attributes:
        engine: The name of the engine.
        text: What is spoken.
        voice: The name of the voice.
        snr_db: The level of the speech over that of added noise; infinite: no noise.
        noise: The colour of the noise, `"white"` or `"pink"`.
        seed: The seed of the noise.

    Raises:
        SpecError: The noise is unknown.
    """

    engine: ClassVar[str]
    text: str
    voice: str
    snr_db: float = dataclasses.field(default=math.inf, kw_only=True)
    noise: str = dataclasses.field(default="white", kw_only=True)
    seed: int = dataclasses.field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if self.noise not in NOISES:
            raise SpecError(
                f"noise must be one of {', '.join(NOISES)}. Received: {self.noise!r}"
            )

    def __str__(self) -> str:
        return f"{self.text!r} by {self.speaker}"

    @property
    def speaker(self) -> str:
        """The name of the voice among those of all engines."""
        return self.voice

    @abc.abstractmethod
    def speak(self) -> tuple[np.ndarray, int]:
        """Returns the waveform [samples] in [-1, 1], untrimmed, and its rate in Hz.

        Raises:
            SpecError: The engine has no such voice.
        """

    def render(self) -> tuple[np.ndarray, int]:
        """Speaks the text.

        Returns:
            The waveform, float32 [samples] in [-1, 1], trimmed to 20 ms of silence at
            either end, and its rate in Hz.

        Raises:
            SpecError: The engine has no such voice, or the text is silent.
        """
        waveform, rate_hz = self.speak()
        start, end = self.bounds(waveform, rate_hz)
        return self.finished(waveform[start:end]), rate_hz

    def bounds(self, waveform: np.ndarray, rate_hz: int) -> tuple[int, int]:
        """Returns the first sample and the end of what is not silence, with a margin.

        Raises:
            SpecError: All is silence.
        """
        level = np.abs(waveform)
        loud = np.flatnonzero(level > _SILENCE * level.max(initial=0.0))
        if not loud.size:
            raise SpecError(
                f"{self.engine} finds nothing to say in {self}; if that is the label "
                "of a corpus, train it without synthetic voices (--synthetic-per-label "
                "0, for strings --synthetic-share 0)"
            )
        margin = rate_hz * _MARGIN_MS // 1000
        return max(loud[0] - margin, 0), min(loud[-1] + 1 + margin, len(waveform))

    def finished(self, waveform: np.ndarray) -> np.ndarray:
        """Returns a trimmed waveform in float32, with its noise if it has any."""
        if math.isfinite(self.snr_db):
            waveform = _add_noise(waveform, self.snr_db, self.noise, self.seed)
        return waveform.astype(np.float32)


def check_ranges(spoken: SpokenAudio, **ranges: tuple[float, float]) -> None:
    """Raises a `SpecError` where a field is out of its range (lowest, highest)."""
    for name, (low, high) in ranges.items():
        if not low <= getattr(spoken, name) <= high:
            raise SpecError(
                f"{name} must be between {low} and {high}. "
                f"Received: {name}={getattr(spoken, name)}"
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
