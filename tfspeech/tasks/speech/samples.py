"""Samples of every validation: what a synthesiser says now, beside the recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from tfspeech.audio.encode import write_wav
from tfspeech.tasks.speech.task import Speech, SpeechTask
from tfspeech.tasks.speech.training import SpeechTraining
from tfspeech.training.loop import LoopState
from tfspeech.training.paths import SAMPLES, TENSORBOARD

COUNT = 2


class SpeechSamples:
    """Writes the first sentences of every validation: wav, PNG and for TensorBoard.

    Beside them are the recordings, and what the vocoder makes of their frames.

    Args of the constructor:
        run_dir: Of the run.
        task: Whose vocoder speaks.
        training: Which holds what the last validation has spoken.
    """

    def __init__(
        self, run_dir: Path, task: SpeechTask, training: SpeechTraining
    ) -> None:
        self._folder = run_dir / SAMPLES
        self._task = task
        self._training = training
        self._writer = tf.summary.create_file_writer(str(run_dir / TENSORBOARD))

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Writes the samples of an epoch."""
        if not self._folder.exists():
            self._write_recordings()
        folder = self._folder / f"step_{state.step:06}"
        folder.mkdir(parents=True, exist_ok=True)
        rate_hz = self._task.features.sample_rate_hz
        for number, speech in enumerate(self._training.speech[:COUNT]):
            waveform = self._task.waveform(speech.frames)
            write_wav(folder / f"sentence_{number}.wav", waveform, rate_hz)
            plot_speech(
                self._training.spoken_texts[number],
                speech,
                self._training.spoken_frames[number],
                self._task.features.num_mels,
                folder / f"sentence_{number}.png",
            )
            with self._writer.as_default(state.step):
                tf.summary.audio(
                    f"sentence_{number}",
                    waveform[np.newaxis, :, np.newaxis],
                    rate_hz,
                    encoding="wav",
                )
                image = speech.alignment.T[np.newaxis, ::-1, :, np.newaxis]
                tf.summary.image(f"alignment_{number}", image)
        self._writer.flush()

    def _write_recordings(self) -> None:
        self._folder.mkdir(parents=True)
        rate_hz = self._task.features.sample_rate_hz
        for number, frames in enumerate(self._training.spoken_frames[:COUNT]):
            recording = self._training.recording(number)
            write_wav(self._folder / f"recording_{number}.wav", recording, rate_hz)
            waveform = self._task.waveform(frames)
            write_wav(self._folder / f"vocoder_{number}.wav", waveform, rate_hz)


def plot_speech(
    text: str, speech: Speech, recording: np.ndarray, num_mels: int, target: Path
) -> None:
    """Plots what was spoken beside the recording, and the alignment.

    Args:
        text: What was to be said.
        speech: What was spoken.
        recording: Frames of the recording, [frames, frame_dim].
        num_mels: How many of a frame's values are log-mels.
        target: The PNG.
    """
    figure = Figure(figsize=(9, 8), layout="constrained")
    ours, theirs, attention = figure.subplots(3, 1)
    for axes, frames, title in (
        (ours, speech.frames, text),
        (theirs, recording, "recording"),
    ):
        axes.imshow(frames[:, :num_mels].T, aspect="auto", origin="lower")
        axes.set(xlabel="frame", ylabel="mel filter", title=title)
    attention.imshow(
        speech.alignment.T, aspect="auto", origin="lower", vmin=0.0, vmax=1.0
    )
    attention.set(xlabel="step", ylabel="symbol", title="alignment")
    figure.savefig(target, dpi=100)
