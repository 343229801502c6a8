"""Recognition of isolated words: loss, scores and decoding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from models.config import BELOW_1, Options, option
from tfspeech.audio.features import FeatureConfig, extract_features
from tfspeech.audio.resample import resample
from tfspeech.audio.samples import check_samples
from tfspeech.data.pipeline import Batch
from tfspeech.errors import AudioError
from tfspeech.tasks.limits import RecognitionLimits
from tfspeech.tasks.soft_targets import soft_divergence
from tfspeech.tasks.task import ModelTask
from tfspeech.tasks.word_recognition.data import RecognitionData
from tfspeech.tasks.word_recognition.lite import LiteRecogniser
from tfspeech.tasks.word_recognition.scores import recognition_scores
from tfspeech.tasks.word_recognition.server import RecognitionServer
from tfspeech.training.callbacks import Monitor
from tfspeech.training.step import Losses


@dataclasses.dataclass(frozen=True)
class RecognitionConfig(Options):
    """Recognition."""

    label_smoothing: float = option(
        0.1, "probability that training spreads over all words", BELOW_1
    )


class Transcript(NamedTuple):
    """Result of recognition.

    Attributes:
        label: The word.
        probability: How sure the model is of it, in [0, 1].
        scores: Every word that it knows -> probability.
    """

    label: str
    probability: float
    scores: dict[str, float]


class WordRecognition(ModelTask):
    """Recognition of isolated words.

    Args of the constructor:
        model: Features to `logits`.
        config: Of the task.
        features: What the model was built for.
        labels: The words, in the order of the model's classes.
    """

    monitor = Monitor("accuracy", higher_is_better=True)
    recognizes = True
    limits = RecognitionLimits()

    def __init__(
        self,
        model: keras.Model,
        config: RecognitionConfig,
        features: FeatureConfig,
        labels: Sequence[str],
    ) -> None:
        super().__init__(model)
        self.features = features
        self.labels = tuple(labels)
        self._config = config
        self._predict = tf.function(self.probabilities, reduce_retracing=True)

    def losses_of(self, outputs: dict[str, tf.Tensor], batch: Batch) -> Losses:
        """The mean cross-entropy over a batch in nats, with smoothed labels."""
        smoothing = self._config.label_smoothing
        classes = len(self.labels)
        targets = tf.one_hot(
            batch["targets"],
            classes,
            on_value=1.0 - smoothing + smoothing / classes,
            off_value=smoothing / classes,
        )
        losses = tf.nn.softmax_cross_entropy_with_logits(targets, outputs["logits"])
        return Losses({"cross_entropy": tf.reduce_mean(losses)}, outputs=outputs)

    def distillation(
        self,
        outputs: dict[str, tf.Tensor],
        taught: dict[str, tf.Tensor],
        batch: Batch,
        temperature: float,
    ) -> tf.Tensor:
        """The mean divergence over a batch in nats; see `soft_divergence`."""
        return tf.reduce_mean(
            soft_divergence(outputs["logits"], taught["logits"], temperature)
        )

    def weight(self, batch: Batch) -> tf.Tensor:
        """The utterances of a batch, a float32 scalar."""
        return tf.cast(tf.shape(batch["targets"])[0], tf.float32)

    def probabilities(self, features: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Probabilities of the labels, float32 [batch, labels].

        Args:
            features: float32 [batch, frames, dim].
            lengths: int32 [batch], in frames.
        """
        inputs = {"features": features, "lengths": lengths}
        return tf.nn.softmax(self.model(inputs, training=False)["logits"])

    def recognize(self, waveforms: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Probabilities of the labels for audio at the model's rate.

        Args:
            waveforms: float32 [batch, samples] in [-1, 1].
            lengths: int32 [batch], in samples; what is beyond has no influence.
        """
        return self.probabilities(*extract_features(waveforms, lengths, self.features))

    def transcribe(self, samples: np.ndarray, rate_hz: int) -> Transcript:
        """Recognises one word.

        Args:
            samples: float32 [samples] in [-1, 1].
            rate_hz: Their rate.

        Raises:
            AudioError: The rate or the length is beyond a limit, or a sample is not
                finite.
        """
        self.limits.check("min_rate_hz", rate_hz, AudioError)
        self.limits.check("max_rate_hz", rate_hz, AudioError)
        self.limits.check("max_seconds", len(samples) / rate_hz, AudioError)
        check_samples(samples)
        own_hz = self.features.sample_rate_hz
        waveform = resample(tf.constant(samples), rate_hz, own_hz)[tf.newaxis]
        (found,) = self.recognize(waveform, tf.shape(waveform)[1:]).numpy().tolist()
        scores = dict(zip(self.labels, found, strict=True))
        label = max(scores, key=scores.get)
        return Transcript(label, scores[label], scores)

    def evaluate(
        self, batches: tf.data.Dataset, speakers: Sequence[str]
    ) -> dict[str, Any]:
        """Scores the model on batches of `RecognitionData.evaluation_set`.

        Args:
            batches: The evaluation set.
            speakers: Of its utterances, in the order of their `rows`.

        Returns:
            What `recognition_scores` returns.
        """
        probabilities = np.zeros((len(speakers), len(self.labels)), np.float32)
        targets = np.zeros(len(speakers), np.int32)
        for batch in batches:
            rows = batch["rows"].numpy()
            scores = self._predict(batch["features"], batch["lengths"])
            probabilities[rows] = scores.numpy()
            targets[rows] = batch["targets"].numpy()
        return recognition_scores(probabilities, targets, self.labels, speakers)

    def evaluate_split(self, data: RecognitionData, split: str) -> dict[str, Any]:
        """Scores the model on one split of a corpus.

        Raises:
            CorpusError: The split is empty.
        """
        indices = data.corpus.indices(split)
        return self.evaluate(data.evaluation_set(indices), *data.references(indices))

    def server(self) -> RecognitionServer:
        """The module that is exported."""
        return RecognitionServer(
            self.model,
            self.recognize,
            self.labels,
            self.features.sample_rate_hz,
            self.limits,
        )

    def lite(self) -> LiteRecogniser:
        """The part that TFLite runs."""
        return LiteRecogniser(self.model, self.recognize)
