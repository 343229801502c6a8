"""Samples of every validation: what a synthesiser says now, beside the recording."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.audio.encode import write_wav
from tfspeech.tasks.speech.plots import plot_speech
from tfspeech.tasks.speech.task import SpeechTask
from tfspeech.tasks.speech.training import SpeechTraining
from tfspeech.training.callbacks import writing_events
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
        self._events = run_dir / TENSORBOARD
        self._writer = tf.summary.create_file_writer(str(self._events))

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
                waveform,
                self._training.spoken_frames[number],
                self._recordings[number],
                self._task.features,
                folder / f"sentence_{number}.png",
            )
            with writing_events(self._events), self._writer.as_default(state.step):
                tf.summary.audio(
                    f"sentence_{number}",
                    waveform[np.newaxis, :, np.newaxis],
                    rate_hz,
                    encoding="wav",
                )
                image = speech.alignment.T[np.newaxis, ::-1, :, np.newaxis]
                tf.summary.image(f"alignment_{number}", image)
        with writing_events(self._events):
            self._writer.flush()

    @functools.cached_property
    def _recordings(self) -> list[np.ndarray]:
        count = len(self._training.spoken_frames[:COUNT])
        return [self._training.recording(number) for number in range(count)]

    def _write_recordings(self) -> None:
        self._folder.mkdir(parents=True)
        rate_hz = self._task.features.sample_rate_hz
        for number, frames in enumerate(self._training.spoken_frames[:COUNT]):
            path = self._folder / f"recording_{number}.wav"
            write_wav(path, self._recordings[number], rate_hz)
            waveform = self._task.waveform(frames)
            write_wav(self._folder / f"vocoder_{number}.wav", waveform, rate_hz)
