"""Audio that a program holds as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfspeech.errors import AudioError


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
    if not np.isfinite(waveform).all():
        raise AudioError("some samples are not finite; replace them")
    return waveform, rate_hz
