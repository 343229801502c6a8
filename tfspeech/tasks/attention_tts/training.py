"""Training of a synthesiser with attention: its batches and its validation."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfspeech.data.pipeline import Batch, feature_statistics
from tfspeech.tasks.attention_tts.data import (
    TAIL_STEPS,
    sentence_batches,
    sentence_loader,
)
from tfspeech.tasks.attention_tts.task import AttentionSynthesis
from tfspeech.tasks.speech.data import SentenceData
from tfspeech.tasks.speech.scores import alignment_path
from tfspeech.tasks.speech.training import SpeechTraining
from tfspeech.training.config import TrainingConfig


class AttentionTraining(SpeechTraining):
    """The data of a training run, in the form in which its loop asks for them.

    Args of the constructor:
        task: The model and its task.
        data: Of the run.
        settings: Of the run.
        sentences: How many every validation speaks.

    Raises:
        CorpusError: There is no training or no validation split.
    """

    def __init__(
        self,
        task: AttentionSynthesis,
        data: SentenceData,
        settings: TrainingConfig,
        sentences: int,
    ) -> None:
        super().__init__(data, settings, sentences)
        self.spoken_frames = [data.frames(index) for index in self._spoken]
        self._task = task
        steps = task.reduction_factor
        self._load = sentence_loader(data, self._train, steps, TAIL_STEPS)
        validation = sentence_batches(data, self._validation, steps, TAIL_STEPS)
        self._validation_batches = self.cached(validation, data.features.frame_dim)

    def load(self, rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        """Reads sentences; see `sentence_loader`."""
        return self._load(rows)

    def validate(self) -> dict[str, Any]:
        """Loss under teacher forcing, and scores of free-running speech.

        `mcd_db` is measured on the predicted frames themselves, without a vocoder.
        """
        self.speech = self._task.speak(self.spoken_texts)
        return {
            "loss": self._task.mean_loss(self._validation_batches),
            "mcd_db": self.mean_distortion_db(alignment_path),
            **self._task.attention(self.spoken_texts, self.speech),
        }

    def set_statistics(self) -> None:
        """Has the model normalise by the training utterances."""
        chosen = self._train[self.statistics_sample()]
        batches = sentence_batches(self._data, chosen, self._task.reduction_factor)
        statistics = feature_statistics(batches, "frames", "frame_lengths")
        self._task.model.normalization.set_statistics(*statistics)
