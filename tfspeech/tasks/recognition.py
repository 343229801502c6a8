"""Data and training of recognisers: synthetic voices, batches, validation."""

from __future__ import annotations

import abc
import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf

from models.config import option
from tfspeech.audio.augment import AugmentConfig
from tfspeech.audio.features import FeatureConfig
from tfspeech.data.config import DataConfig
from tfspeech.data.corpora import load_corpus
from tfspeech.data.corpora.files import AUDIO_SUFFIXES, audio_files
from tfspeech.data.joined import files_of
from tfspeech.data.manifest import WITHOUT_TEXT, Corpus, Utterance
from tfspeech.data.pipeline import (
    Batch,
    augmented_words,
    cached,
    evaluation_batches,
    feature_statistics,
    noise_energies,
)
from tfspeech.data.store import AudioStore
from tfspeech.errors import CorpusError
from tfspeech.tasks.task import ModelTask, Training
from tfspeech.training.config import TrainingConfig


@dataclasses.dataclass(frozen=True)
class RecognizerDataConfig(DataConfig):
    """Data."""

    folders = ("unlabelled",)
    unlabelled: str = option(
        "",
        "folder of recordings without texts, at any depth; the teacher transcribes "
        "them as more training examples",
        metavar="DIR",
    )

    def of_corpus(self, spec: str) -> Self:
        """Returns what holds for another corpus, which has texts."""
        return dataclasses.replace(super().of_corpus(spec), unlabelled="")

    def load(self, split: str | None) -> Corpus:
        """Reads the corpus, with the recordings without texts behind its utterances.

        Those that the corpus has already are left out.

        Args:
            split: The only split that is wanted, without these recordings.

        Raises:
            CorpusError: The corpus cannot be read, or there is no other audio file in
                the folder.
        """
        corpus = load_corpus(self.data, self.held_out)
        if not self.unlabelled or split is not None:
            return corpus
        own = [file for each in corpus.utterances for file in files_of(each.audio)]
        known = {file.resolve() for file in own}
        files = (each.resolve() for each in audio_files(Path(self.unlabelled), "**/*"))
        more = [
            Utterance(each, "", "", WITHOUT_TEXT) for each in files if each not in known
        ]
        if not more:
            raise CorpusError(
                f"--unlabelled {self.unlabelled} holds no audio files "
                f"({', '.join(AUDIO_SUFFIXES)}) that are not in {corpus.name}"
            )
        return dataclasses.replace(corpus, utterances=(*corpus.utterances, *more))


class RecognizerData(abc.ABC):
    """A corpus with what synthetic voices say besides, whose texts are recognised.

    Args of the constructor:
        own: The corpus, with recordings without texts behind those that have some.
        corpus: It with utterances of synthetic voices behind its own.
        synthetic_share: What share of an epoch these are to be.

    Attributes:
        evaluation_batch_size: Utterances in a batch of an evaluation.
        corpus: The utterances, those of synthetic voices last.
        synthetic: How many utterances of synthetic voices there are.
        synthetic_share: What share of an epoch they are to be.
        store: The waveforms; subclasses have them.
        features: The features with the rate of the store.
    """

    evaluation_batch_size: ClassVar[int]
    store: AudioStore
    features: FeatureConfig

    def __init__(self, own: Corpus, corpus: Corpus, synthetic_share: float) -> None:
        self.corpus = corpus
        self.synthetic = len(corpus.utterances) - len(own.utterances)
        self.synthetic_share = synthetic_share

    @abc.abstractmethod
    def targets(self, indices: np.ndarray) -> np.ndarray:
        """Returns the texts of the utterances at these places as numbers."""

    @abc.abstractmethod
    def references(self, indices: np.ndarray) -> tuple[list[str], ...]:
        """Returns what `evaluate` needs of the utterances at these places.

        Returns:
            Lists of what is said, of speakers or of names, as the task takes them.
        """

    def evaluation_set(self, indices: np.ndarray) -> tf.data.Dataset:
        """Batches of the utterances at these places, as they are."""
        return evaluation_batches(
            self.store,
            indices,
            self.targets(indices),
            self.features,
            self.evaluation_batch_size,
        )

    def with_texts(self, texts: Mapping[int, str]) -> Self:
        """Returns the data with further training utterances.

        Args:
            texts: Of recordings that had none, by their places.
        """
        utterances = list(self.corpus.utterances)
        for index, text in texts.items():
            utterances[index] = dataclasses.replace(
                utterances[index], text=text, split="train"
            )
        changed = copy.copy(self)
        changed.corpus = dataclasses.replace(self.corpus, utterances=tuple(utterances))
        return changed

    def keep(self, store: AudioStore, features: FeatureConfig) -> None:
        """Takes the waveforms, and their rate for the features."""
        self.store = store
        rate_hz = store.sample_rate_hz
        self.features = dataclasses.replace(features, sample_rate_hz=rate_hz)


class RecognizerTraining(Training):
    """The data of a training run, in the form in which its loop asks for them.

    Args of the constructor:
        task: The model and its task, whose `evaluate` takes batches and references.
        data: Of the run, with what the model knows as the model has it.
        augment: The augmentation of the training set.
        settings: Of the run.

    Attributes:
        statistics_utterances: The most utterances by which features are normalised.

    Raises:
        CorpusError: There is no training or no validation split, or background noise
            that cannot be read.
    """

    statistics_utterances: ClassVar[int]

    def __init__(
        self,
        task: ModelTask,
        data: RecognizerData,
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
            data.store, train, data.targets(train), data.features, augment, noise
        )
        validation = data.corpus.indices("validation")
        # Asked for once per epoch, and never changed.
        samples = int(data.store.lengths[validation].sum())
        frames = samples // data.features.hop_length + len(validation)
        self._validation = cached(
            data.evaluation_set(validation), 4 * data.features.feature_dim * frames
        )
        self._references = data.references(validation)

    def load(self, rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        """Reads, augments and analyses utterances; see `augmented_words`."""
        return self._load(rows, seeds)

    def validate(self) -> dict[str, Any]:
        """Scores the model on the validation split."""
        return self._task.evaluate(self._validation, *self._references)

    def set_statistics(self) -> None:
        """Has the model normalise by the corpus's own training utterances."""
        shuffled = np.random.default_rng(0).permutation(self._own)
        chosen = np.sort(shuffled[: self.statistics_utterances])
        statistics = feature_statistics(self._data.evaluation_set(chosen))
        self._task.model.normalization.set_statistics(*statistics)
