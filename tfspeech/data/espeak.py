"""Synthetic speech by eSpeak NG."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from tfspeech.data.spoken import SpokenAudio, check_ranges
from tfspeech.text.espeak import NATIVE_RATE_HZ, Speech, speak
from tfspeech.text.phonemes import PAUSE, timed_phonemes


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
class SpokenText(SpokenAudio):
    """An utterance that eSpeak NG speaks; the same fields give the same samples.

    Attributes:
        text: What is spoken.
        voice: An eSpeak voice, with a variant after a plus: `"en-us+f3"`.
        rate_wpm: Words per minute, 80 to 450.
        pitch: 0 to 99, relative to the voice's own pitch; 50 leaves it alone.
        pitch_range: 0 (monotonous) to 99; 50 leaves the voice alone.

    Raises:
        SpecError: A value is out of its range.
    """

    voice: str = "en-us"
    rate_wpm: int = 175
    pitch: int = 50
    pitch_range: int = 50

    engine = "eSpeak NG"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, rate_wpm=(80, 450), pitch=(0, 99), pitch_range=(0, 99))

    def render_with_phonemes(self) -> tuple[np.ndarray, int, tuple[PhonemeTime, ...]]:
        """Speaks the text, and says when each phoneme starts and ends.

        Returns:
            What `render` returns, and the phonemes and pauses, which follow each other
            without a gap from the start of the waveform to its end.

        Raises:
            SpecError: eSpeak NG has no such voice or variant, or the text is silent.
        """
        speech = self._speak()
        start, end = self.bounds(speech.waveform, NATIVE_RATE_HZ)
        waveform = self.finished(speech.waveform[start:end])
        times = _phoneme_times(timed_phonemes(speech.phonemes), start, end)
        return waveform, NATIVE_RATE_HZ, times

    def speak(self) -> tuple[np.ndarray, int]:
        """Speaks the text, untrimmed, at 22,050 Hz."""
        return self._speak().waveform, NATIVE_RATE_HZ

    def _speak(self) -> Speech:
        return speak(self.text, self.voice, self.rate_wpm, self.pitch, self.pitch_range)


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
