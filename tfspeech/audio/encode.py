"""Writes waveforms as wav files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf


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
