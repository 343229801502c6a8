"""Training of a generator of words: its batches and its validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.data.pipeline import Batch, feature_statistics
from tfspeech.tasks.generation.task import WordGeneration
from tfspeech.tasks.speech.data import RecordingData
from tfspeech.tasks.task import Training
from tfspeech.training.config import TrainingConfig


class GenerationTraining(Training):
    """The data of a training run, in the form in which its loop asks for them.

    Args of the constructor:
        task: The models and their task.
        data: Of the run.
        settings: Of the run.

    Raises:
        CorpusError: There is no training or no validation split.
    """

    def __init__(
        self, task: WordGeneration, data: RecordingData, settings: TrainingConfig
    ) -> None:
        train = data.corpus.indices("train")
        # All windows are of one length.
        super().__init__(np.ones(len(train)), settings)
        self._task = task
        self._train = task.windows(data, train)
        self._validation = task.windows(data, data.corpus.indices("validation"))

    def load(self, rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        """Reads recordings; see `Windows.load`."""
        return self._train.load(rows, seeds)

    def set_statistics(self) -> None:
        """Has the generator normalise by the training set."""
        statistics = feature_statistics(
            self._train.batches(), "frames", "frame_lengths"
        )
        self._task.model.normalization.set_statistics(*statistics)

    def validate(self) -> dict[str, Any]:
        """Compares clips with the validation split; see `WordGeneration.measure`."""
        return self._task.measure(self._validation)
