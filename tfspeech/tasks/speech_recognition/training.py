"""The training of a recogniser of connected speech: its batches, its validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.audio.augment import AugmentConfig
from tfspeech.data.pipeline import (
    Batch,
    augmented_words,
    cached,
    feature_statistics,
    noise_energies,
)
from tfspeech.tasks.speech_recognition.data import SpeechData, evaluation_set
from tfspeech.tasks.speech_recognition.task import SpeechRecognition, labels_of
from tfspeech.tasks.task import Training
from tfspeech.training.config import TrainingConfig

STATISTICS_UTTERANCES = 2_000
"""A mean over more would change in no digit that matters."""


class SpeechTraining(Training):
    """The data of a training run, in the form in which its loop asks for them.

    Args of the constructor:
        task: The model and its task.
        data: Of the run, with symbols and features as the model has them.
        augment: The augmentation of the training set.
        settings: Of the run.

    Raises:
        CorpusError: There is no training or no validation split, or background noise
            that cannot be read.
    """

    def __init__(
        self,
        task: SpeechRecognition,
        data: SpeechData,
        augment: AugmentConfig,
        settings: TrainingConfig,
    ) -> None:
        train = data.corpus.indices("train")
        self._own = train[: len(train) - data.synthetic]
        share = data.synthetic_share
        drawn = round(len(self._own) * share / (1.0 - share))
        lengths = data.store.lengths[train]
        super().__init__(lengths, settings, data.synthetic, min(data.synthetic, drawn))
        self._task = task
        self._data = data
        noise = noise_energies(data.corpus.noises, data.features)
        self._load = augmented_words(
            *(data.store, train, data.targets(train), data.features, augment, noise)
        )
        validation = data.corpus.indices("validation")
        # Asked for once per epoch, and never changed.
        samples = int(data.store.lengths[validation].sum())
        frames = samples // data.features.hop_length + len(validation)
        self._validation = cached(
            evaluation_set(data, validation), 4 * data.features.feature_dim * frames
        )
        self._validation_labels = labels_of(data, validation)

    def load(self, rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        """Reads, augments and analyses utterances; see `augmented_words`."""
        return self._load(rows, seeds)

    def validate(self) -> dict[str, Any]:
        """Scores the model on the validation split, without the list of errors."""
        scores = self._task.evaluate(self._validation, *self._validation_labels)
        return {name: value for name, value in scores.items() if name != "errors"}

    def set_statistics(self) -> None:
        """Has the model normalise by the corpus's own training utterances."""
        shuffled = np.random.default_rng(0).permutation(self._own)
        chosen = np.sort(shuffled[:STATISTICS_UTTERANCES])
        statistics = feature_statistics(evaluation_set(self._data, chosen))
        self._task.model.normalization.set_statistics(*statistics)
