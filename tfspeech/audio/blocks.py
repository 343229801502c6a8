"""Long recordings in pieces, so that memory does not grow with their length."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import soundfile

from tfspeech.audio.decode import FORMATS, HIGHEST_HZ, LOWEST_HZ
from tfspeech.audio.samples import check_samples
from tfspeech.errors import AudioError
from tfspeech.files import open_file

_BLOCK_S = 10.0
_LEVEL_S = 0.3
"""A pause between words is about as long."""
_EARLIEST = 0.3
"""Where a piece may end, as a share of the longest."""


class Piece(NamedTuple):
    """A stretch of a recording.

    Attributes:
        start: Its first sample.
        samples: float32 [samples].
    """

    start: int
    samples: np.ndarray


def read_blocks(path: str | os.PathLike[str]) -> tuple[int, Iterator[np.ndarray]]:
    """Reads an audio file of any length, ten seconds at a time, with libsndfile.

    Args:
        path: A wav, flac, ogg (Vorbis) or mp3 file.

    Returns:
        The rate in Hz; and blocks float32 [samples], mixed to mono, which are read when
        they are asked for, and raise an `AudioError` where samples are not finite.

    Raises:
        AudioError: It cannot be read, is no audio, or its rate is out of range.
    """
    try:
        stream = open_file(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}.") from error
    try:
        audio = soundfile.SoundFile(stream)
    except soundfile.LibsndfileError as error:
        stream.close()
        raise AudioError(f"{path}: Expected {FORMATS}. Convert the file.") from error
    rate_hz = audio.samplerate
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        stream.close()
        raise AudioError(
            f"{path}: the rate must be {LOWEST_HZ} to {HIGHEST_HZ} Hz. "
            f"Received: {rate_hz}"
        )

    def blocks() -> Iterator[np.ndarray]:
        with stream, audio:
            try:
                for block in audio.blocks(
                    round(_BLOCK_S * rate_hz), dtype="float32", always_2d=True
                ):
                    samples = block.mean(axis=1)
                    check_samples(samples)
                    yield samples
            except soundfile.LibsndfileError as error:
                raise AudioError(f"{path}: the audio is damaged.") from error

    return rate_hz, blocks()


def cut_at_pauses(
    blocks: Iterable[np.ndarray], rate_hz: int, max_seconds: float
) -> Iterator[Piece]:
    """Cuts a recording where it is quietest.

    As long as more is left than `max_seconds`, the next piece ends in the middle of the
    0.3 s with the least energy, after at least 0.3 of that time.

    Args:
        blocks: One after the other, float32 [samples].
        rate_hz: Of the samples.
        max_seconds: The longest piece.

    Yields:
        Pieces which follow one another without a gap.
    """
    longest = int(max_seconds * rate_hz)
    start, left = 0, np.zeros(0, np.float32)
    for block in blocks:
        left = np.concatenate([left, block])
        while len(left) > longest:
            end = _quietest(left[:longest], round(_LEVEL_S * rate_hz))
            yield Piece(start, left[:end])
            start, left = start + end, left[end:]
    if len(left):
        yield Piece(start, left)


def _quietest(samples: np.ndarray, window: int) -> int:
    """The middle of the quietest window that does not begin too early."""
    total = np.cumsum(np.square(samples, dtype=np.float64))
    energies = total[window:] - total[:-window]
    earliest = min(int(_EARLIEST * len(samples)), len(energies) - 1)
    return earliest + int(np.argmin(energies[earliest:])) + window // 2
