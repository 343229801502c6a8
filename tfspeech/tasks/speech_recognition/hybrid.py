"""Recognition of connected speech by a network and hidden Markov models."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import tensorflow as tf

from models.ctc import Symbols
from models.word_search import WordSearch
from tfspeech.audio.augment import AugmentConfig, source_places
from tfspeech.data.pipeline import Batch
from tfspeech.tasks.alignment.aligner import AlignmentConfig
from tfspeech.tasks.alignment.states import (
    NUM_STATES,
    PAUSE_STATES,
    UNLABELLED,
    train_models,
)
from tfspeech.tasks.speech_recognition.hybrid_data import HybridData
from tfspeech.tasks.speech_recognition.language_model import (
    Grid,
    LanguageModel,
    SearchConfig,
)
from tfspeech.tasks.speech_recognition.task import SpeechRecognition
from tfspeech.tasks.speech_recognition.training import SpeechTraining
from tfspeech.tasks.speech_recognition.word_loop import MAX_ORDER, word_loop
from tfspeech.text.ngram import NGram
from tfspeech.training.config import TrainingConfig


class HybridRecognition(SpeechRecognition):
    """Recognition of connected speech by the states of phonemes.

    Args of the constructor:
        model: A `HybridRecognizer`.
        features: What the model was built for.
        transcriber: Of the words that may be written.
    """

    takes_stream = False
    grid: ClassVar[Grid] = {
        "prior_scale": (0.3, 0.6, 1.0),
        "weight": (0.0, 1.5, 3.0, 5.0),
        "bonus": (-4.0, 0.0, 4.0),
    }
    ngram_order = MAX_ORDER
    term = "frames"

    def plain_reader(self) -> WordSearch:
        """Returns the search over words that are all equally probable."""
        return self._word_search(None, SearchConfig(weight=1.0))

    def search(self, language_model: LanguageModel) -> WordSearch:
        """Returns what reads texts with a language model.

        Raises:
            TextError: It is not for the words, or has too long a context.
        """
        return self._word_search(language_model.ngram, language_model.config)

    def _word_search(self, ngram: NGram | None, config: SearchConfig) -> WordSearch:
        loop = word_loop(self.transcriber.symbols, ngram)
        search = WordSearch(loop, self.model)
        for name in self.grid:
            getattr(search, name).assign(getattr(config, name))
        return search

    def decode(
        self, logits: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[Symbols, tf.Tensor]:
        """Reads texts from what `score` returns.

        Returns:
            Their words; and confidences, see `WordSearch.with_confidences`.
        """
        return self._reader.with_confidences(logits, lengths)

    def row_losses(
        self, outputs: dict[str, tf.Tensor], targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The cross-entropy of each utterance, of its frames with a label.

        Args:
            outputs: Of the model.
            targets: Of `HybridData.targets`.

        Returns:
            In nats, float32 [batch]; and whether there is a label, bool [batch].
        """
        logits = outputs["logits"]
        labels = self._labels(targets)[:, : tf.shape(logits)[1]]
        valid = labels != UNLABELLED
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.where(valid, labels, 0), logits
        )
        fits = tf.reduce_any(valid, axis=1)
        return tf.reduce_sum(tf.where(valid, losses, 0.0), axis=1), fits

    def counts(self, targets: tf.Tensor) -> tf.Tensor:
        """The targets of each utterance, int32 [batch]: its frames with a label."""
        labels = self._labels(targets)
        return tf.reduce_sum(tf.cast(labels != UNLABELLED, tf.int32), axis=1)

    def _labels(self, targets: tf.Tensor) -> tf.Tensor:
        """The labels of the frames that come out of the convolutions."""
        return targets[:, :: math.prod(self.model.config.conv_strides)]

    def count_states(self, targets: np.ndarray) -> np.ndarray:
        """Counts the frames of every state, [states], in `HybridData.targets`."""
        labels = self._labels(targets)
        return np.bincount(labels[labels != UNLABELLED], minlength=NUM_STATES)

    def lite(self) -> None:
        """TFLite has no search."""


class HybridTraining(SpeechTraining):
    """The data of a training run; see `RecognizerTraining`."""

    def __init__(
        self,
        task: HybridRecognition,
        data: HybridData,
        augment: AugmentConfig,
        settings: TrainingConfig,
    ) -> None:
        super().__init__(task, data, augment, settings)
        self._augment = augment
        train = data.corpus.indices("train")
        self._samples = tf.constant(data.store.lengths[train], tf.int32)

    def load(self, rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        """Reads, augments and analyses utterances, and moves their labels likewise."""
        batch = super().load(rows, seeds)
        hop_length = self._data.features.hop_length
        samples = tf.gather(self._samples, rows)
        count = tf.shape(batch["features"])[1]
        places = source_places(
            *(count, samples, seeds, self._augment),
            *(self._data.features.sample_rate_hz, hop_length),
        )
        frames = tf.cast(tf.round(places / hop_length), tf.int32)
        last = samples[:, tf.newaxis] // hop_length
        inside = (frames >= 0) & (frames <= last)
        table = batch["targets"]
        labels = tf.gather(table, tf.clip_by_value(frames, 0, last), batch_dims=1)
        is_labelled = (table[:, :1] != UNLABELLED) & tf.sequence_mask(
            batch["lengths"], count
        )
        labels = tf.where(inside, labels, PAUSE_STATES[0])
        return batch | {"targets": tf.where(is_labelled, labels, UNLABELLED)}

    def set_statistics(self) -> None:
        """Has the model know the features and the priors of the corpus's own part."""
        super().set_statistics()
        self.set_priors()

    def set_priors(self) -> None:
        """Has the model know how frequent the states are in the corpus's own part."""
        counts = self._task.count_states(self._data.targets(self._own))
        self._task.model.set_priors(counts)


class HmmTraining(HybridTraining):
    """The data of a training run that begins with Baum-Welch."""

    def set_statistics(self) -> None:
        """Trains the mixtures, on features normalised as Baum-Welch has them."""
        self.set_priors()
        model = self._task.model
        models = train_models(
            *(self._data.store, self._data.transcripts, self._own.tolist()),
            AlignmentConfig(gaussians=model.config.gaussians),
            self._data.features,
        )
        hmm = models.hmm
        model.normalization.set_statistics(models.mean, models.std)
        model.mixtures.set_mixtures(hmm.log_weights, hmm.means, hmm.variances)
