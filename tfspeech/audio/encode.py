"""Writes waveforms as wav files."""

from __future__ import annotations

import contextlib
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import tensorflow as tf

PAUSE_S = 0.3
"""Silence between the pieces of a long text."""

_HEADER_BYTES = 44


class Piece(Protocol):
    """Speech that is a part of something longer.

    Attributes:
        waveform: float32 [samples] in [-1, 1].
        sample_rate_hz: Its rate.
    """

    @property
    def waveform(self) -> np.ndarray: ...  # noqa: D102 -- See above.

    @property
    def sample_rate_hz(self) -> int: ...  # noqa: D102


def encode_wav(waveform: np.ndarray, sample_rate_hz: int) -> bytes:
    """Returns a wav file, 16-bit PCM, mono.

    Args:
        waveform: float32 [samples]; what is beyond [-1, 1] is cut off.
        sample_rate_hz: Its rate.
    """
    samples = tf.clip_by_value(tf.constant(waveform, tf.float32), -1.0, 1.0)
    return tf.audio.encode_wav(samples[:, tf.newaxis], sample_rate_hz).numpy()


def write_wav(path: Path, waveform: np.ndarray, sample_rate_hz: int) -> None:
    """Writes a wav file; see `encode_wav`.

    Raises:
        OSError: It cannot be written.
    """
    path.write_bytes(encode_wav(waveform, sample_rate_hz))


def write_pieces(
    file: Path | BinaryIO, pieces: Iterable[Piece], pause_s: float = PAUSE_S
) -> float:
    """Writes a wav file as `encode_wav` makes it, with a pause between pieces.

    Each piece is written before the next is asked for, so that memory does not grow
    with the file. What was written before an error stays.

    Args:
        file: Its path, or a file that can seek.
        pieces: At least one; all have the same rate.
        pause_s: The silence between two pieces.

    Returns:
        How long it is, in seconds, with the pauses.

    Raises:
        OSError: It cannot be written.
    """
    pieces = iter(pieces)
    first = next(pieces)
    rate_hz = first.sample_rate_hz
    with contextlib.ExitStack() as stack:
        if isinstance(file, Path):
            file = stack.enter_context(file.open("wb"))
        wav = stack.enter_context(wave.open(file, "wb"))
        wav.setparams((1, 2, rate_hz, 0, "NONE", "not compressed"))
        wav.writeframes(encode_wav(first.waveform, rate_hz)[_HEADER_BYTES:])
        for piece in pieces:
            wav.writeframes(bytes(2 * round(pause_s * rate_hz)))
            wav.writeframes(encode_wav(piece.waveform, rate_hz)[_HEADER_BYTES:])
        return wav.getnframes() / rate_hz
