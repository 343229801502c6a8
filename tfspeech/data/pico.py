"""Synthetic speech by SVOX Pico."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfspeech.data.spoken import SpokenAudio, check_ranges
from tfspeech.text.pico import NATIVE_RATE_HZ, speak


@dataclasses.dataclass(frozen=True)
class PicoText(SpokenAudio):
    """An utterance that SVOX Pico speaks; the same fields give the same samples.

    Attributes:
        text: Words, in the spelling that the voice reads.
        voice: A voice of Pico, such as `"en-GB"`.
        speed: 0.5 to 2, relative to the voice's own; 1 leaves it alone.
        pitch: 0.5 to 2, relative to the voice's own; 1 leaves it alone.
        formants: 0.7 to 1.3, by which all frequencies are multiplied, formants and
            pitch alike: below 1 the vocal tract is longer than the speaker's own.

    Raises:
        SpecError: A value is out of its range.
    """

    voice: str = "en-US"
    speed: float = 1.0
    pitch: float = 1.0
    formants: float = 1.0

    engine = "SVOX Pico"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, speed=(0.5, 2.0), pitch=(0.5, 2.0), formants=(0.7, 1.3))

    @property
    def speaker(self) -> str:
        """The name of the voice among those of all engines, such as `pico-en-GB`."""
        return f"pico-{self.voice}"

    def speak(self) -> tuple[np.ndarray, int]:
        """Speaks the text, untrimmed, at 16,000 Hz times `formants`."""
        waveform = speak(self.text, self.voice, self.speed, self.pitch)
        return waveform, round(NATIVE_RATE_HZ * self.formants)
