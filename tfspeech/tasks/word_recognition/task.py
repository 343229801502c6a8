"""Recognition of isolated words: loss, scores and decoding."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from models.config import BELOW_1, POSITIVE, SHARE, Options, option
from tfspeech.audio.features import FeatureConfig, extract_features
from tfspeech.audio.resample import resample
from tfspeech.audio.samples import check_samples
from tfspeech.data.manifest import Corpus
from tfspeech.data.pipeline import Batch, evaluation_batches
from tfspeech.data.store import prepare
from tfspeech.errors import AudioError, CorpusError, SpecError
from tfspeech.tasks.limits import RecognitionLimits
from tfspeech.tasks.soft_targets import soft_divergence
from tfspeech.tasks.task import ModelTask
from tfspeech.tasks.word_recognition.adaptation import refit
from tfspeech.tasks.word_recognition.calibration import calibrate
from tfspeech.tasks.word_recognition.data import RecognitionData
from tfspeech.tasks.word_recognition.listener import WordListener
from tfspeech.tasks.word_recognition.lite import LiteRecogniser
from tfspeech.tasks.word_recognition.scores import recognition_scores
from tfspeech.tasks.word_recognition.server import UNKNOWN, RecognitionServer
from tfspeech.tasks.word_recognition.spotting import (
    Spotter,
    Windows,
    count_words,
    threshold_for,
)
from tfspeech.text.normalize import normalize
from tfspeech.text.phonemes import WORD
from tfspeech.training.callbacks import Monitor
from tfspeech.training.step import Losses


@dataclasses.dataclass(frozen=True)
class RecognitionConfig(Options):
    """Recognition."""

    label_smoothing: float = option(
        0.1, "probability that training spreads over all words", BELOW_1
    )
    temperature: float = option(
        1.0,
        "divisor of the logits in recognition; tfspeech calibrate fits it",
        POSITIVE,
    )
    unknown_below: float = option(
        0.0,
        "probability of the best word under which transcribe and servers say "
        f"'{UNKNOWN}', 0 for never; tfspeech calibrate sets it",
        SHARE,
    )
    heard_from: float = option(
        0.8,
        "mean probability of a word in windows of a stream from which it is heard; "
        "tfspeech calibrate --alarms-per-hour sets it",
        SHARE,
    )


class Transcript(NamedTuple):
    """Result of recognition.

    Attributes:
        label: The word, or `UNKNOWN`.
        probability: How sure the model is of the best word, in [0, 1].
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
    adapts = True
    takes_stream = True
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
        logits = self.model(inputs, training=False)["logits"]
        return tf.nn.softmax(logits / self._config.temperature)

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
        is_known = scores[label] >= np.float32(self._config.unknown_below)
        return Transcript(label if is_known else UNKNOWN, scores[label], scores)

    def text_of(self, samples: np.ndarray, rate_hz: int) -> str:
        """The word in a recording, empty where it is `UNKNOWN`; see `transcribe`."""
        label = self.transcribe(samples, rate_hz).label
        return label if label in self.labels else ""

    @functools.cached_property
    def spotter(self) -> Spotter:
        """The recogniser of words in speech that goes on."""
        return Spotter(self.recognize, self.labels, self.features.sample_rate_hz)

    def transcribe_stream(self, chunks: Iterable[np.ndarray]) -> Iterator[str]:
        """Recognises words in speech that goes on, while it comes.

        Args:
            chunks: float32 [samples] in [-1, 1], of any size, at the model's rate.

        Yields:
            Each word that is heard, with a space before it.
        """
        for heard in self.spotter.listen(chunks, self._config.heard_from):
            if heard.label in self.labels:
                yield f" {heard.label}"

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
        return recognition_scores(*self._classify(batches), self.labels, speakers)

    def _classify(self, batches: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities [utterances, labels] and targets, in the order of `rows`."""
        rows, probabilities, targets = [], [], []
        for batch in batches:
            scores = self._predict(batch["features"], batch["lengths"])
            rows.append(batch["rows"].numpy())
            probabilities.append(scores.numpy())
            targets.append(batch["targets"].numpy())
        return _in_order(rows, probabilities), _in_order(rows, targets)

    def evaluate_split(self, data: RecognitionData, split: str) -> dict[str, Any]:
        """Scores the model on one split of a corpus.

        Raises:
            CorpusError: The split is empty.
        """
        indices = data.corpus.indices(split)
        return self.evaluate(data.evaluation_set(indices), *data.references(indices))

    def calibrate(
        self, data: RecognitionData, split: str, false_alarms: float
    ) -> tuple[RecognitionConfig, dict[str, Any]]:
        """Fits temperature and threshold to one split of a corpus; see `Calibration`.

        Args:
            data: The corpus.
            split: Of words by speakers the model was not trained on.
            false_alarms: The share of these words that may be called unknown.

        Returns:
            The configuration of the task with both, and what was found.

        Raises:
            CorpusError: The split is empty.
        """
        indices = data.corpus.indices(split)
        probabilities, targets = self._classify(data.evaluation_set(indices))
        found = calibrate(probabilities, targets, false_alarms)
        temperature = self._config.temperature * found.temperature
        config = dataclasses.replace(
            self._config, temperature=temperature, unknown_below=found.unknown_below
        )
        report = found._asdict() | {"temperature": temperature}
        return config, report | {"utterances": len(indices)}

    def calibrate_spotting(
        self, corpus: Corpus, split: str, alarms_per_hour: float
    ) -> tuple[RecognitionConfig, dict[str, Any]]:
        """Fits the threshold of words in a stream to speech without these words.

        Args:
            corpus: Of sentences; those that have one of the words are left out.
            split: Of the corpus.
            alarms_per_hour: The most words that may be heard in an hour of it.

        Returns:
            The configuration of the task with the threshold, and what was found:
            `heard_from`, `alarms`, `hours`, `utterances` and `left_out`.

        Raises:
            CorpusError: No sentence is left, or a recording cannot be read.
        """
        every = [corpus.utterances[index] for index in corpus.indices(split)]
        words = {word for label in self.labels for word in _words(label)}
        others = tuple(u for u in every if words.isdisjoint(_words(u.text)))
        if not others:
            raise CorpusError(
                f"every text of the {split} split has one of the words: take speech "
                "without them"
            )
        store, report = prepare(
            dataclasses.replace(corpus, utterances=others),
            self.features.sample_rate_hz,
            sentences=True,
        )
        report.raise_if_fatal()
        chunks = (store[index] for index in range(len(others)))
        parts = zip(*self.spotter.windows(chunks), strict=True)
        windows = Windows(*map(np.concatenate, parts))
        hours = float(store.lengths.sum()) / store.sample_rate_hz / 3600
        threshold = min(threshold_for(windows, alarms_per_hour * hours), 1.0)
        return dataclasses.replace(self._config, heard_from=threshold), {
            "heard_from": threshold,
            "alarms": count_words(windows, threshold),
            "hours": hours,
            "utterances": len(others),
            "left_out": len(every) - len(others),
        }

    def adapt(self, corpus: Corpus) -> dict[str, Any]:
        """Fits the classifier to recordings of a new speaker; see `refit`.

        Args:
            corpus: Words that the model knows, one or more recordings of some of them.

        Returns:
            `clips`, `words` (how many have a recording), and the share of the clips
            that is recognised `before` and `after`.

        Raises:
            CorpusError: A recording cannot be read, or its label is not known.
            SpecError: The model has no `embed` for its `classifier`.
        """
        spoken = tuple(dataclasses.replace(u, split="train") for u in corpus.utterances)
        store, report = prepare(
            dataclasses.replace(corpus, utterances=spoken),
            self.features.sample_rate_hz,
            labels=self.labels,
        )
        report.raise_if_fatal()
        targets = np.array([self.labels.index(each.text) for each in spoken])
        indices = np.arange(len(spoken))
        embeddings = self._embeddings(
            evaluation_batches(
                *(store, indices, targets, self.features),
                RecognitionData.evaluation_batch_size,
            )
        )

        def share(kernel: np.ndarray, bias: np.ndarray) -> float:
            return float(np.mean((embeddings @ kernel + bias).argmax(1) == targets))

        classifier = self.model.classifier
        old = [weight.numpy() for weight in classifier.weights]
        new = refit(*old, embeddings, targets)
        classifier.set_weights(new)
        words = len(set(targets.tolist()))
        found = {"clips": len(spoken), "words": words}
        return {**found, "before": share(*old), "after": share(*new)}

    def _embeddings(self, batches: tf.data.Dataset) -> np.ndarray:
        """Returns the classifier's inputs by utterance, float32 [rows, channels]."""
        if not (hasattr(self.model, "embed") and hasattr(self.model, "classifier")):
            raise SpecError(
                f"{type(self.model).__name__} cannot be adapted: it has no method "
                "embed whose values its classifier turns into logits"
            )
        rows, embeddings = [], []
        for batch in batches:
            inputs = {name: batch[name] for name in ("features", "lengths")}
            pooled, _ = self.model.embed(inputs)
            rows.append(batch["rows"].numpy())
            embeddings.append(tf.cast(pooled, tf.float32).numpy())
        return _in_order(rows, embeddings)

    def server(self) -> RecognitionServer:
        """The module that is exported."""
        return RecognitionServer(
            self.model,
            self.recognize,
            self.labels,
            self.features.sample_rate_hz,
            self.limits,
            self._config.unknown_below,
        )

    def listener(self) -> WordListener | None:
        """The recogniser as a judge, None where its model has no `embed`."""
        if not hasattr(self.model, "embed"):
            return None
        return WordListener(self._listen, self.labels, self.features.sample_rate_hz)

    def _listen(
        self, waveforms: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Probabilities and embeddings of waveforms; see `WordJudgement`."""
        features, lengths = extract_features(waveforms, lengths, self.features)
        embedded, _ = self.model.embed({"features": features, "lengths": lengths})
        logits = tf.cast(self.model.classifier(embedded), tf.float32)
        probabilities = tf.nn.softmax(logits / self._config.temperature)
        return probabilities, tf.cast(embedded, tf.float32)

    def lite(self) -> LiteRecogniser:
        """The part that TFLite runs."""
        return LiteRecogniser(self.model, self.recognize)


def _in_order(rows: list[np.ndarray], values: list[np.ndarray]) -> np.ndarray:
    """Joins the values of batches in the order of their rows."""
    return np.concatenate(values)[np.argsort(np.concatenate(rows))]


def _words(text: str) -> set[str]:
    """The words of a text as they are said."""
    return {match[0] for match in WORD.finditer(normalize(text))}
