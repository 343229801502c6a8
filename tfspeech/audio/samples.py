"""Audio that a program holds as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.errors import AudioError

MAX_AMPLITUDE = 2.0**31
"""Largest values of 32-bit integers taken for floats. Squares of what is far beyond
overflow in float32."""


def as_waveform(audio: Any) -> tuple[np.ndarray, int]:
    """Checks audio that is given as a pair of samples and their rate.

    Args:
        audio: Samples [samples], floats in [-1, 1] or signed integers of full scale,
            and the sample rate in Hz.

    Returns:
        float32 [samples] and the rate.

    Raises:
        AudioError: It is no such pair, or a sample is not finite.
    """
    try:
        samples, rate_hz = audio
        samples, rate_hz = np.asarray(samples), int(rate_hz)
    except (TypeError, ValueError) as error:
        raise AudioError(
            "audio is the path of a file, or a pair of samples and their rate in Hz. "
            f"Received: {type(audio).__name__}"
        ) from error
    if samples.ndim != 1 or not samples.size:
        raise AudioError(
            "audio must be mono: an array [samples] that is not empty. Received: "
            f"shape {list(samples.shape)}"
        )
    if samples.dtype.kind not in "fi":
        raise AudioError(
            "samples must be floats in [-1, 1] or signed integers. Received: "
            f"{samples.dtype}"
        )
    if rate_hz <= 0:
        raise AudioError(f"the sample rate must be above 0. Received: {rate_hz} Hz")
    scale = -np.iinfo(samples.dtype).min if samples.dtype.kind == "i" else 1
    waveform = (samples / scale).astype(np.float32)
    check_samples(waveform)
    return waveform, rate_hz


def check_samples(waveform: np.ndarray) -> None:
    """Raises an `AudioError` that names a sample; see `sample_problems`.

    Args:
        waveform: float32 [samples].
    """
    (problem,) = sample_problems(waveform[np.newaxis], [waveform.size]).numpy()
    if problem:
        raise AudioError(f"{problem.decode()}; replace it")


def sample_problems(waveforms: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Names the first sample of each waveform that is NaN, infinite or far too loud.

    Args:
        waveforms: float32 [batch, samples], where full scale is 1.
        lengths: int32 [batch]; what is beyond them may be anything.

    Returns:
        The problem, which has the place of the sample, string [batch]; empty where
        there is none.
    """
    waveforms = tf.pad(waveforms, [[0, 0], [0, 1]])  # `argmax` takes no empty rows.
    valid = tf.sequence_mask(lengths, tf.shape(waveforms)[1])
    # Not ~(x <= y): graphs make x > y of it, which does not hold for NaN either.
    too_loud = tf.abs(waveforms) > MAX_AMPLITUDE
    unusable = valid & (too_loud | ~tf.math.is_finite(waveforms))
    first = tf.argmax(tf.cast(unusable, tf.int8), axis=1)
    value = tf.gather(waveforms, first, batch_dims=1)
    problem = tf.strings.join(
        [
            *("sample ", tf.strings.as_string(first)),
            " is not finite or far beyond full scale, which is 1: ",
            tf.strings.as_string(value, scientific=True, precision=1),
        ]
    )
    return tf.where(tf.reduce_any(unusable, axis=1), problem, "")
