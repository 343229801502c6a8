"""Recognition of isolated words: data, loss, scores and decoding."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.config import option
from tfspeech.audio.augment import AugmentConfig
from tfspeech.audio.features import FeatureConfig, extract_features
from tfspeech.data.batches import BatchPlan
from tfspeech.data.config import RecognitionDataConfig
from tfspeech.data.corpora import load_corpus
from tfspeech.data.manifest import Corpus
from tfspeech.data.pipeline import (
    Batch,
    evaluation_batches,
    feature_statistics,
    noise_energies,
    training_batches,
)
from tfspeech.data.spoken_words import english_voices, spoken_words
from tfspeech.data.store import prepare
from tfspeech.errors import CorpusError
from tfspeech.tasks.word_recognition.scores import recognition_scores
from tfspeech.tasks.word_recognition.server import RecognitionServer
from tfspeech.training.callbacks import Monitor

EVALUATION_BATCH_SIZE = 128
SYNTHETIC_SEED = 0
STATISTICS_UTTERANCES = 20_000
"""A mean over more would change in no digit that matters."""


@dataclasses.dataclass(frozen=True)
class RecognitionConfig:
    """Recognition."""

    label_smoothing: float = option(
        0.1, "probability that training spreads over all words"
    )

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be in [0, 1). Received: {self.label_smoothing}"
            )


class RecognitionData:
    """A checked corpus whose texts are the labels to be told apart.

    Args of the constructor:
        data: The corpus.
        features: Its `sample_rate_hz` may be 0, for that of the corpus.
        labels: Those of a trained model; by default all of the training split.
        split: Check this split alone, for an evaluation.

    Attributes:
        corpus: The utterances, those of synthetic voices behind the corpus's own.
        synthetic: How many utterances of synthetic voices there are.
        synthetic_share: What share of an epoch they are to be.
        store: Their waveforms.
        features: The features with the rate of the store.
        labels: Sorted.
        report: What the check of the corpus found.

    Raises:
        CorpusError: The corpus cannot be read or used.
    """

    def __init__(
        self,
        data: RecognitionDataConfig,
        features: FeatureConfig,
        labels: Sequence[str] | None = None,
        split: str | None = None,
    ) -> None:
        corpus = load_corpus(data.data, data.held_out)
        found = sorted({u.text for u in corpus.split("train") if u.text.strip()})
        own = len(corpus.utterances)
        corpus = add_synthetic_voices(corpus, found, data.synthetic_per_label)
        self.corpus = corpus
        self.synthetic = len(corpus.utterances) - own
        self.synthetic_share = data.synthetic_share
        self.store, self.report = prepare(
            corpus,
            features.sample_rate_hz,
            max_seconds=data.max_seconds,
            labels=labels,
            split=split,
        )
        self.labels = tuple(found if labels is None else labels)
        self.features = dataclasses.replace(
            features, sample_rate_hz=self.store.sample_rate_hz
        )

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """The classes of the utterances at these places."""
        places = {label: place for place, label in enumerate(self.labels)}
        return np.array([places[self.corpus.utterances[i].text] for i in indices])


class Recognition:
    """What a recogniser is trained for.

    Args of the constructor:
        model: Features to `logits`.
        config: Of the task.
        features: What the model was built for.
        labels: The words, in the order of the model's classes.

    Attributes:
        monitor: The score by which models are chosen.
    """

    monitor = Monitor("accuracy", higher_is_better=True)

    def __init__(
        self,
        model: keras.Model,
        config: RecognitionConfig,
        features: FeatureConfig,
        labels: Sequence[str],
    ) -> None:
        self.model = model
        self.features = features
        self.labels = tuple(labels)
        self._config = config
        self._predict = tf.function(self.probabilities, reduce_retracing=True)

    def loss(self, outputs: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """Mean cross-entropy over a batch in nats, with smoothed labels."""
        smoothing = self._config.label_smoothing
        classes = len(self.labels)
        targets = tf.one_hot(
            batch["targets"],
            classes,
            on_value=1.0 - smoothing + smoothing / classes,
            off_value=smoothing / classes,
        )
        losses = tf.nn.softmax_cross_entropy_with_logits(targets, outputs["logits"])
        return tf.reduce_mean(losses)

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

    def evaluate(
        self, batches: tf.data.Dataset, speakers: Sequence[str]
    ) -> dict[str, Any]:
        """Scores the model on batches of `evaluation_batches`.

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
        return self.evaluate(
            evaluation_set(data, indices), speakers_of(data.corpus, indices)
        )

    def server(self) -> RecognitionServer:
        """The module that is exported."""
        return RecognitionServer(
            self.model, self.recognize, self.labels, self.features.sample_rate_hz
        )


class RecognitionTraining:
    """The data of a training run, in the form in which its loop asks for them.

    Args of the constructor:
        recognition: The model and its task.
        data: Of the run, with labels and features as the model has them.
        augment: The augmentation of the training set.
        batch_size: Utterances per batch.
        batches_per_step: Batches that one step takes.
        seed: Of the order of the data and of the augmentation.

    Raises:
        CorpusError: There is no training or no validation split, only one label, or
            background noise that cannot be read.
    """

    def __init__(
        self,
        recognition: Recognition,
        data: RecognitionData,
        augment: AugmentConfig,
        batch_size: int,
        batches_per_step: int,
        seed: int,
    ) -> None:
        if len(data.labels) < 2:
            raise CorpusError(
                f"{data.corpus.name} has nothing to tell apart: all its training "
                f"utterances have the label {data.labels[0]!r}"
            )
        self._recognition = recognition
        self._data = data
        self._noise = noise_energies(data.corpus.noises, data.features)
        self._augment = augment
        self._batches_per_step = batches_per_step
        self._seed = seed
        self._train = data.corpus.indices("train")
        self._own = self._train[: len(self._train) - data.synthetic]
        share = data.synthetic_share
        self._plan = BatchPlan(
            data.store.lengths[self._train],
            batch_size,
            batches_per_step,
            seed,
            pool=data.synthetic,
            drawn=min(data.synthetic, round(len(self._own) * share / (1.0 - share))),
        )
        validation = data.corpus.indices("validation")
        # Asked for once per epoch, and never changed.
        self._validation = evaluation_set(data, validation).cache()
        self._validation_speakers = speakers_of(data.corpus, validation)

    @property
    def examples(self) -> int:
        """Utterances of the training set."""
        return len(self._train)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every utterance of the corpus comes at least once."""
        return self._plan.batches_per_epoch // self._batches_per_step

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Endless augmented batches, from those of step `first_step` on."""
        return training_batches(
            self._data.store,
            self._train,
            self._data.targets(self._train),
            self._plan,
            self._data.features,
            self._augment,
            noise=self._noise,
            seed=self._seed,
            first_batch=first_step * self._batches_per_step,
        )

    def validate(self) -> dict[str, Any]:
        """Scores the model on the validation split."""
        return self._recognition.evaluate(self._validation, self._validation_speakers)

    def set_statistics(self) -> None:
        """Has the model normalise by the corpus's own training utterances."""
        shuffled = np.random.default_rng(0).permutation(self._own)
        chosen = np.sort(shuffled[:STATISTICS_UTTERANCES])
        statistics = feature_statistics(evaluation_set(self._data, chosen))
        self._recognition.model.normalization.set_statistics(*statistics)


def evaluation_set(data: RecognitionData, indices: np.ndarray) -> tf.data.Dataset:
    """Batches of the utterances at these places, as they are."""
    return evaluation_batches(
        data.store, indices, data.targets(indices), data.features, EVALUATION_BATCH_SIZE
    )


def speakers_of(corpus: Corpus, indices: np.ndarray) -> list[str]:
    """The speakers of the utterances at these places."""
    return [corpus.utterances[i].speaker for i in indices]


def add_synthetic_voices(
    corpus: Corpus, labels: Sequence[str], per_label: int
) -> Corpus:
    """Adds synthetic voices to the training split of a corpus of recordings.

    A synthetic corpus has its own voices, and holds others back for its test.
    """
    if not any(isinstance(u.audio, Path) for u in corpus.split("train")):
        return corpus
    spoken = spoken_words(labels, english_voices(), per_label, SYNTHETIC_SEED, "train")
    return dataclasses.replace(corpus, utterances=corpus.utterances + spoken)
