"""Recordings of single words, joined to strings of words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tfspeech.audio.decode import read_audio
from tfspeech.audio.resample import resample
from tfspeech.data.spoken import SpokenAudio

_FADE_MS = 5.0
"""How fast a part begins and ends where no other overlaps it: no click is heard."""
_MAX_OVERLAP = 0.5
"""Of the shorter of two neighbours."""


@dataclasses.dataclass(frozen=True)
class JoinedAudio:
    """Audio that is joined from others; the same fields give the same samples.

    Neighbours that overlap are cross-faded, the first falling and the next rising in
    straight lines, over half of the shorter one at most.

    Attributes:
        parts: What is joined, in order.
        gaps_ms: From the end of each part to the start of the next, one less than
            there are parts; negative where they overlap.
        gain_db: Of the whole, as far as full scale allows.
    """

    parts: tuple[Path | SpokenAudio, ...]
    gaps_ms: tuple[int, ...]
    gain_db: float = 0.0

    def __str__(self) -> str:
        paths = ("/".join(p.parts[-2:]) for p in self.parts if isinstance(p, Path))
        return " + ".join(paths) or " + ".join(map(str, self.parts))

    def render(
        self, read: Callable[[Path | SpokenAudio], tuple[np.ndarray, int]] | None = None
    ) -> tuple[np.ndarray, int]:
        """Joins the parts.

        Args:
            read: Returns samples and rate of a part; by default `read_part`.

        Returns:
            The waveform, float32 [samples], and its rate, that of the first part.

        Raises:
            AudioError: A file cannot be decoded.
            OSError: A file cannot be read.
            SpecError: An engine lacks a voice.
        """
        loaded = [(read or read_part)(part) for part in self.parts]
        rate_hz = loaded[0][1]
        waveforms = [
            samples if hz == rate_hz else resample(samples, hz, rate_hz).numpy()
            for samples, hz in loaded
        ]
        gaps = [round(gap * rate_hz / 1000) for gap in self.gaps_ms]
        joined = join(waveforms, gaps, round(_FADE_MS * rate_hz / 1000))
        peak = float(np.abs(joined).max(initial=0.0))
        gain = 10.0 ** (self.gain_db / 20)
        gain = min(gain, 1.0 / peak) if peak > 0 else gain
        return (gain * joined).astype(np.float32), rate_hz


def read_part(audio: Path | SpokenAudio) -> tuple[np.ndarray, int]:
    """Returns waveform and rate of a recording, or of what an engine speaks."""
    return read_audio(audio) if isinstance(audio, Path) else audio.render()


def files_of(audio: Path | SpokenAudio | JoinedAudio) -> tuple[Path, ...]:
    """Returns the files that an utterance is made of."""
    if isinstance(audio, JoinedAudio):
        return tuple(file for part in audio.parts for file in files_of(part))
    return (audio,) if isinstance(audio, Path) else ()


def join(waveforms: Sequence[np.ndarray], gaps: Sequence[int], fade: int) -> np.ndarray:
    """Puts waveforms one after the other.

    Args:
        waveforms: float32 [samples] each.
        gaps: Samples of silence between each and the next; negative to overlap.
        fade: Samples in which a waveform rises and falls where none overlaps it.

    Returns:
        float32 [samples].

    Example:
        >>> ones = np.ones(4, np.float32)
        >>> [round(float(x), 2) for x in join([ones, ones], [-2], 1)]
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    start, starts, ramps = 0, [0], []
    for before, after, gap in zip(waveforms, waveforms[1:], gaps, strict=False):
        shorter = min(len(before), len(after))
        gap = max(gap, -int(_MAX_OVERLAP * shorter))
        start += len(before) + gap
        starts.append(start)
        ramps.append(min(max(-gap, fade), shorter))
    end = max(s + len(w) for s, w in zip(starts, waveforms, strict=True))
    joined = np.zeros(end, np.float32)
    for place, (start, waveform) in enumerate(zip(starts, waveforms, strict=True)):
        level = np.ones(len(waveform), np.float32)
        if place:
            level[: ramps[place - 1]] *= _rising(ramps[place - 1])
        if place < len(ramps):
            level[len(level) - ramps[place] :] *= _rising(ramps[place])[::-1]
        joined[start : start + len(waveform)] += level * waveform
    return joined


def _rising(samples: int) -> np.ndarray:
    """A straight line from 0 to 1, which adds up to 1 with its reverse."""
    return ((np.arange(samples) + 0.5) / max(samples, 1)).astype(np.float32)
