"""Samples of a vocoder: what it makes of the frames of recordings, beside these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.audio.encode import write_wav
from tfspeech.audio.vocoders import GriffinLim
from tfspeech.tasks.speech.plots import plot_waveforms
from tfspeech.tasks.speech.task import compiled_vocoder, vocode
from tfspeech.tasks.vocoding.task import Vocoding
from tfspeech.tasks.vocoding.training import VocodingTraining
from tfspeech.training.callbacks import writing_events
from tfspeech.training.loop import LoopState
from tfspeech.training.paths import SAMPLES, TENSORBOARD

COUNT = 2


class VocodingSamples:
    """Writes what becomes of recordings of the validation split: wav, PNG, TensorBoard.

    Beside them are the recordings themselves, and what Griffin-Lim makes of them.

    Args of the constructor:
        run_dir: Of the run.
        task: Of the run.
        training: Which holds the recordings.
    """

    def __init__(
        self, run_dir: Path, task: Vocoding, training: VocodingTraining
    ) -> None:
        self._folder = run_dir / SAMPLES
        self._events = run_dir / TENSORBOARD
        self._features = task.features
        self._training = training

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Writes the samples where the run ends."""
        if not state.stop and state.step < state.total_steps:
            return
        features, rate_hz = self._features, self._features.sample_rate_hz
        griffin_lim = compiled_vocoder(GriffinLim(features), features)
        self._folder.mkdir(exist_ok=True)
        writer = tf.summary.create_file_writer(str(self._events))
        for number, each in enumerate(self._training.resynthesise(COUNT)):
            waveforms = {
                "vocoder": each.waveform,
                "griffin_lim": vocode(griffin_lim, [each.frames])[0],
                "recording": each.recording,
            }
            for name, waveform in waveforms.items():
                write_wav(self._folder / f"{name}_{number}.wav", waveform, rate_hz)
            plot_waveforms(waveforms, features, self._folder / f"vocoder_{number}.png")
            with writing_events(self._events), writer.as_default(state.step):
                audio = each.waveform[np.newaxis, :, np.newaxis]
                tf.summary.audio(f"vocoder_{number}", audio, rate_hz, encoding="wav")
        with writing_events(self._events):
            writer.close()
