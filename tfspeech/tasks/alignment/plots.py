"""Plots of aligned sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.data.espeak import PhonemeTime
from tfspeech.data.phoneme_times import PHONES, WORDS
from tfspeech.data.textgrid import Interval

_INCHES_PER_S = 4.0
_DYNAMIC_RANGE = 7.0  # Of log magnitudes, 60 dB.
_FOUND, _TRUE = "white", "tab:red"


def plot_alignment(
    waveform: np.ndarray,
    sample_rate_hz: int,
    tiers: Mapping[str, Sequence[Interval]],
    target: Path,
    true_times: Sequence[PhonemeTime] = (),
) -> None:
    """Plots a log-mel spectrogram and the words and phonemes found in it.

    Args:
        waveform: float32 [samples].
        sample_rate_hz: Its rate.
        tiers: The intervals of `WORDS` and `PHONES`.
        target: The PNG.
        true_times: When each phoneme is spoken, where that is known.
    """
    config = AcousticConfig(
        sample_rate_hz=sample_rate_hz,
        frame_length_ms=25.0,
        hop_length_ms=5.0,
        num_mels=40,
    )
    frames, _ = acoustic_frames(waveform[np.newaxis], [len(waveform)], config)
    log_mels = frames[0].numpy()
    length_s = len(waveform) / sample_rate_hz
    width = max(_INCHES_PER_S * length_s, 6)
    figure = Figure(figsize=(width, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(
        log_mels.T,
        vmin=log_mels.max() - _DYNAMIC_RANGE,
        origin="lower",
        aspect="auto",
        extent=(0, length_s, 0, config.num_mels),
    )
    for each in tiers[PHONES]:
        axes.axvline(each.start_s, color=_FOUND, linewidth=0.8)
        middle_s = (each.start_s + each.end_s) / 2
        axes.text(middle_s, -1, each.label, ha="center", va="top", fontsize=8)
    for each in tiers[WORDS]:
        middle_s = (each.start_s + each.end_s) / 2
        axes.text(middle_s, config.num_mels + 0.5, each.label, ha="center", va="bottom")
    for each in true_times:
        axes.axvline(each.start_s, ymax=0.25, color=_TRUE, linewidth=1.5)
    lines = "white: found" + ("; red: true" if true_times else "")
    axes.set(xticks=(), yticks=(), ylabel="mel bands")
    axes.set_xlabel(f"{length_s:.2f} s; {lines}", labelpad=16)
    figure.savefig(target, dpi=100)
