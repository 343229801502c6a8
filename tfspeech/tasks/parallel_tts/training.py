"""Training of a duration-based synthesiser: its batches and its validation."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.data.pipeline import Batch
from tfspeech.tasks.parallel_tts.data import ParallelTtsData
from tfspeech.tasks.parallel_tts.statistics import (
    measure_latent,
    root_mean_square,
)
from tfspeech.tasks.parallel_tts.task import ParallelSynthesis
from tfspeech.tasks.speech.evaluation import log_mels
from tfspeech.tasks.speech.scores import frame_pairs
from tfspeech.tasks.speech.task import Speech
from tfspeech.tasks.speech.training import SpeechTraining
from tfspeech.training.config import TrainingConfig

STATISTICS_FRAMES = 500_000
"""The most frames to normalise by; half a gigabyte."""


class ParallelTtsTraining(SpeechTraining):
    """The data of a training run, in the form in which its loop asks for them.

    The mels in the frames of `speech` are those of its waveforms.

    Args of the constructor:
        task: The model and its task.
        data: Of the run.
        settings: Of the run.

    Raises:
        CorpusError: There is no training or no validation split, or phoneme times are
            missing.
    """

    def __init__(
        self, task: ParallelSynthesis, data: ParallelTtsData, settings: TrainingConfig
    ) -> None:
        spoken = data.spoken
        more = spoken.frames.lengths * data.features.hop_length if spoken else ()
        super().__init__(data, settings, task.config.validation_sentences, more)
        self._task = task
        self._utterances = task.timed(data, self._train, spoken)
        validation = task.timed(data, self._validation)
        model = task.model
        dim = model.feature_dim + model.target_dim
        self._validation_batches = self.cached(validation.batches(), dim)
        self.spoken_frames = [validation.frames[row] for row in self._spoken_rows]
        self._spoken_segments = validation.segments(self._spoken_rows)

    def batches(
        self, first_step: int, shard: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """Endless batches with `epochs_done` float32 [batch]; see `Training.batches`.

        What a schedule depends on comes with the examples, and needs no other state.
        """
        per_epoch = self._plan.batches_per_epoch

        def with_epochs(number: tf.Tensor, batch: Batch) -> Batch:
            done = tf.cast(number / per_epoch, tf.float32)
            return batch | {"epochs_done": tf.fill(tf.shape(batch["seeds"]), done)}

        batches = super().batches(first_step, shard)
        numbered = batches.enumerate(first_step * self._batches_per_step)
        return numbered.map(with_epochs).prefetch(1)

    def load(self, rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        """Reads utterances; see `TimedUtterances.load`."""
        return self._utterances.load(rows)

    def validate(self) -> dict[str, Any]:
        """Loss, and scores of sentences that are spoken with the true durations.

        The model takes over the root mean square errors on the validation set.
        """
        task = self._task
        task.measure_stds(self._validation_batches)
        segments, lengths, durations = self._spoken_segments
        spoken = task.speak_timed(segments, lengths, durations)
        self.speech = [self._with_mels(each) for each in spoken]
        own = task.durations(segments, lengths, task.neutral)
        errors = task.duration_errors(segments, durations, own)
        has_latent = "latent" in task.model.signature
        return {
            "loss": task.mean_loss(self._validation_batches),
            "aligned_mcd_db": self.mean_distortion_db(frame_pairs),
            "duration_rmse_frames": root_mean_square(errors),
            **(
                measure_latent(task.model, self._validation_batches)
                if has_latent
                else {}
            ),
        }

    def _with_mels(self, speech: Speech) -> Speech:
        mels = log_mels(self._task.waveform(speech.frames), self._task.features)
        frames = np.concatenate([mels, speech.frames[:, mels.shape[1] :]], axis=1)
        return dataclasses.replace(speech, frames=frames)

    def set_statistics(self) -> None:
        """Has the model normalise by the training utterances."""
        rows = self.statistics_sample()
        found = self._utterances.statistics(rows, STATISTICS_FRAMES)
        self._task.model.set_statistics(**found)
