"""The data of word recognition: a corpus whose texts are the labels to tell apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from models.config import BELOW_1, NOT_NEGATIVE, option
from tfspeech.audio.features import FeatureConfig
from tfspeech.console import say
from tfspeech.data.manifest import Corpus
from tfspeech.data.spoken_words import company
from tfspeech.data.store import prepare
from tfspeech.tasks.recognition import (
    RecognizerData,
    RecognizerDataConfig,
)

SYNTHETIC_SEED = 0


@dataclasses.dataclass(frozen=True)
class RecognitionDataConfig(RecognizerDataConfig):
    """Data."""

    data: str = option(
        "spoken_digits",
        "corpus: spoken_digits, fsdd:PATH, folder:PATH, manifest:FILE, or "
        "package.module:FUNCTION, which returns a corpus",
        metavar="CORPUS[:PATH]",
    )
    synthetic_per_label: int = option(
        600,
        "synthetic utterances of every label, by eSpeak NG and SVOX Pico in many "
        "voices, that are mixed into the training set of a corpus of recordings; 0 for "
        "none",
        NOT_NEGATIVE,
    )
    synthetic_share: float = option(
        0.5, "share of an epoch that is drawn from the synthetic utterances", BELOW_1
    )

    def of_corpus(self, spec: str) -> Self:
        """Returns what holds for another corpus, which gets no synthetic voices."""
        return dataclasses.replace(super().of_corpus(spec), synthetic_per_label=0)


class RecognitionData(RecognizerData):
    """A checked corpus whose texts are the labels to be told apart.

    Args of the constructor:
        data: The corpus.
        features: Its `sample_rate_hz` may be 0, for that of the corpus.
        labels: Those of a trained model; by default all of the training split.
        split: Check this split alone, for an evaluation.

    Attributes:
        labels: Sorted.
        report: What the check of the corpus found.

    Raises:
        CorpusError: The corpus cannot be read or used.
    """

    evaluation_batch_size = 128

    def __init__(
        self,
        data: RecognitionDataConfig,
        features: FeatureConfig,
        labels: Sequence[str] | None = None,
        split: str | None = None,
    ) -> None:
        own = data.load(split)
        found = sorted({u.text for u in own.split("train") if u.text.strip()})
        corpus = add_synthetic_voices(own, found, data.synthetic_per_label)
        super().__init__(own, corpus, data.synthetic_share)
        if self.synthetic and split is None:
            say(
                f"{self.synthetic:,} synthetic utterances (--synthetic-per-label "
                f"{data.synthetic_per_label}) are mixed into training, "
                f"{data.synthetic_share:.0%} of every epoch (--synthetic-share)"
            )
        store, self.report = prepare(
            corpus,
            features.sample_rate_hz,
            max_seconds=data.max_seconds,
            labels=labels,
            split=split,
        )
        self.labels = tuple(found if labels is None else labels)
        self.keep(store, features)

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """The classes of the utterances at these places."""
        places = {label: place for place, label in enumerate(self.labels)}
        return np.array([places[self.corpus.utterances[i].text] for i in indices])

    def references(self, indices: np.ndarray) -> tuple[list[str]]:
        """The speakers of the utterances at these places."""
        return ([self.corpus.utterances[i].speaker for i in indices],)


def add_synthetic_voices(
    corpus: Corpus, labels: Sequence[str], per_label: int
) -> Corpus:
    """Adds synthetic voices to the training split of a corpus of recordings.

    A synthetic corpus has its own voices, and holds others back for its test.
    """
    if not any(isinstance(u.audio, Path) for u in corpus.split("train")):
        return corpus
    spoken = company(labels, per_label, SYNTHETIC_SEED)
    return dataclasses.replace(corpus, utterances=corpus.utterances + spoken)
