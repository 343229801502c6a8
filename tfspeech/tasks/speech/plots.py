"""Plots of what a synthesiser says."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.numba_cache import import_librosa
from tfspeech.audio.pitch import track_pitch
from tfspeech.tasks.speech.evaluation import log_mels
from tfspeech.tasks.speech.task import Speech

_TICKS_HZ = (100, 200, 500, 1000, 2000, 4000, 8000, 16000)
_TITLE_COLUMNS = 90


def plot_speech(
    text: str,
    speech: Speech,
    waveform: np.ndarray,
    recorded_frames: np.ndarray,
    recording: np.ndarray,
    features: AcousticConfig,
    target: Path,
) -> None:
    """Plots what was spoken beside the recording, with their pitch, and the alignment.

    Args:
        text: What was to be said.
        speech: What was spoken.
        waveform: The same, float32 [samples].
        recorded_frames: Frames of the recording, [frames, frame_dim].
        recording: Its waveform, float32 [samples].
        features: The frames.
        target: The PNG.
    """
    figure = Figure(figsize=(9, 8), layout="constrained")
    ours, theirs, attention = figure.subplots(3, 1)
    for axes, frames, samples, title in (
        (ours, speech.frames, waveform, textwrap.fill(text, _TITLE_COLUMNS)),
        (theirs, recorded_frames, recording, "recording"),
    ):
        _draw_spectrogram(axes, frames, features)
        _draw_pitch(axes, samples, features)
        axes.set_title(title)
    seconds = len(speech.frames) * features.hop_length / features.sample_rate_hz
    attention.imshow(
        speech.alignment.T,
        aspect="auto",
        origin="lower",
        vmin=0.0,
        vmax=1.0,
        extent=(0.0, seconds, -0.5, speech.alignment.shape[1] - 0.5),
    )
    attention.set(xlabel="time (s)", ylabel="symbol", title="alignment")
    figure.savefig(target, dpi=100)


def plot_waveforms(
    waveforms: Mapping[str, np.ndarray], features: AcousticConfig, target: Path
) -> None:
    """Plots the log-mels and the pitch of waveforms, one below the other.

    Args:
        waveforms: Title -> samples, float32 [samples].
        features: The frames.
        target: The PNG.
    """
    figure = Figure(figsize=(9, 8), layout="constrained")
    rows = figure.subplots(len(waveforms), 1)
    for axes, (title, samples) in zip(rows, waveforms.items(), strict=True):
        _draw_spectrogram(axes, log_mels(samples, features), features)
        _draw_pitch(axes, samples, features)
        axes.set_title(title)
    figure.savefig(target, dpi=100)


def _draw_spectrogram(axes: Axes, frames: np.ndarray, features: AcousticConfig) -> None:
    """Draws log-mels over seconds and hertz."""
    seconds = len(frames) * features.hop_length / features.sample_rate_hz
    axes.imshow(
        frames[:, : features.num_mels].T,
        aspect="auto",
        origin="lower",
        extent=(0.0, seconds, -0.5, features.num_mels - 0.5),
    )
    centres_hz = _centres_hz(features)
    ticks_hz = [hz for hz in _TICKS_HZ if centres_hz[0] <= hz <= centres_hz[-1]]
    axes.set_yticks(_places(np.array(ticks_hz), features), map(str, ticks_hz))
    axes.set(xlabel="time (s)", ylabel="frequency (Hz)")


def _draw_pitch(axes: Axes, waveform: np.ndarray, features: AcousticConfig) -> None:
    """Draws the pitch of the voiced frames of a waveform over a spectrogram."""
    hop_length, rate_hz = features.hop_length, features.sample_rate_hz
    found_hz = track_pitch(
        tf.constant(waveform[np.newaxis]),
        tf.constant([len(waveform)]),
        hop_length,
        rate_hz,
    )
    pitch_hz = found_hz[0].numpy()
    times_s = np.arange(len(pitch_hz)) * hop_length / rate_hz
    pitch_hz = np.where(pitch_hz > 0, pitch_hz, np.nan)
    axes.plot(times_s, _places(pitch_hz, features), color="white", label="pitch")
    axes.set_ylim(-0.5, features.num_mels - 0.5)
    axes.legend(loc="upper right", labelcolor="black", facecolor="lightgrey")


def _places(hz: np.ndarray, features: AcousticConfig) -> np.ndarray:
    """Where frequencies lie between the numbers of the mel filters."""
    return np.interp(hz, _centres_hz(features), np.arange(features.num_mels))


def _centres_hz(features: AcousticConfig) -> np.ndarray:
    """The centres of the mel filters, from the lowest on."""
    highest_hz = features.mel_high_hz or features.sample_rate_hz / 2
    edges_hz = import_librosa("core.convert").mel_frequencies(
        n_mels=features.num_mels + 2, fmin=features.mel_low_hz, fmax=highest_hz
    )
    return edges_hz[1:-1]
