"""Runs of models that recognise isolated words."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import Any, Self

import keras

from tfspeech.audio.augment import AugmentConfig
from tfspeech.audio.features import FeatureConfig
from tfspeech.data.config import DataConfig
from tfspeech.tasks.task import RunConfig
from tfspeech.tasks.word_recognition.data import (
    RecognitionData,
    RecognitionDataConfig,
)
from tfspeech.tasks.word_recognition.plots import plot_confusion, plot_reliability
from tfspeech.tasks.word_recognition.scores import describe_scores
from tfspeech.tasks.word_recognition.task import RecognitionConfig, WordRecognition
from tfspeech.tasks.word_recognition.training import RecognitionTraining


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordRecognitionRun(RunConfig):
    """The run of a recogniser.

    Attributes:
        augment: Of the training set.
        task: What the model is trained for.
        labels: The words the model tells apart; empty until the data were read.
    """

    usage = "tfspeech transcribe {} FILE.wav"
    describe = staticmethod(describe_scores)
    panels = (
        ("Loss", "cross-entropy (nats)", ("loss",)),
        ("Accuracy", "share correct", ("accuracy",)),
    )
    data: RecognitionDataConfig = field(default_factory=RecognitionDataConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    task: RecognitionConfig = field(default_factory=RecognitionConfig)
    labels: tuple[str, ...] = ()

    def summarize(self, scores: dict[str, Any]) -> str:
        """The accuracy with its interval."""
        low, high = scores["accuracy_interval"]
        return (
            f"accuracy {scores['accuracy']:.2%} on the {scores['split']} split "
            f"({scores['utterances']} utterances, 95 % interval {low:.2%} to "
            f"{high:.2%})"
        )

    def write_plots(self, scores: dict[str, Any], metrics: Path, folder: Path) -> None:
        """Plots how the run has learned, which words are confused, and how surely."""
        super().write_plots(scores, metrics, folder)
        plot_confusion(scores, folder / "confusion.png")
        plot_reliability(scores, folder / "reliability.png")

    def read_data(
        self, data: DataConfig | None = None, split: str | None = None
    ) -> RecognitionData:
        """Reads and checks a corpus, for a trained model one of labels that it knows.

        That of the run comes with the synthetic voices that join it.
        """
        labels = self.labels or None
        return RecognitionData(data or self.data, self.features, labels, split)

    def resolved(self, data: RecognitionData) -> Self:
        """Fills in the rate and the labels."""
        return dataclasses.replace(super().resolved(data), labels=data.labels)

    def of_teacher(self) -> dict[str, Any]:
        """Returns the settings a teacher must share: labels and features."""
        return {"labels": self.labels, **dataclasses.asdict(self.features)}

    def build(self, model: type[keras.Model]) -> WordRecognition:
        """Builds the untrained model with its task."""
        built = model(
            self.architecture,
            self.features.feature_dim,
            len(self.labels),
            dtype=self.training.precision,
        )
        return WordRecognition(built, self.task, self.features, self.labels)

    def read_training(
        self, task: WordRecognition, data: RecognitionData
    ) -> RecognitionTraining:
        """Prepares the augmented batches and the validation set."""
        return RecognitionTraining(task, data, self.augment, self.training)
