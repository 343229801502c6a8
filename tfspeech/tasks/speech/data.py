"""The data of models that speak: sentences and the acoustic frames of recordings."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from models.config import option
from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.data.cache import ArrayStore, read_arrays
from tfspeech.data.config import DataConfig
from tfspeech.data.corpora import load_corpus
from tfspeech.data.frames import FrameChange, frame_store
from tfspeech.data.store import prepare, usual_rate_hz
from tfspeech.text.front_end import TextFrontEnd

HIGHEST_RATE_HZ = 22_050
EVALUATION_BATCH_SIZE = 16
"""Sentences in a batch of an evaluation: of half a minute each, they fit in memory."""


@dataclasses.dataclass(frozen=True)
class SentenceDataConfig(DataConfig):
    """Data."""

    data: str = option(
        "reader",
        "corpus: reader, ljspeech:PATH, manifest:FILE, or "
        "package.module:FUNCTION, which returns a corpus",
        metavar="CORPUS[:PATH]",
    )


class RecordingData:
    """A checked corpus of recordings.

    Args of the constructor:
        data: The corpus.
        features: Its `sample_rate_hz` may be 0, for that of the corpus.
        split: Check this split alone, for an evaluation.
        sentences: Whether the texts are what is to be said, and are checked, too.

    Attributes:
        corpus: The utterances.
        store: Their waveforms.
        features: With the rate of the store.
        report: What the check of the corpus found.
        frame_change: Made of the frames in `frame_store`; None for none.

    Raises:
        CorpusError: The corpus cannot be read or used.
    """

    frame_change: FrameChange | None = None

    def __init__(
        self,
        data: DataConfig,
        features: AcousticConfig,
        split: str | None = None,
        sentences: bool = False,
    ) -> None:
        self.corpus = load_corpus(data.data, data.held_out)
        rate_hz = features.sample_rate_hz
        every = None if sentences else {each.text for each in self.corpus.utterances}
        self.store, self.report = prepare(
            self.corpus,
            rate_hz or min(usual_rate_hz(self.corpus), HIGHEST_RATE_HZ),
            max_seconds=data.max_seconds,
            labels=every,
            split=split,
            sentences=sentences,
        )
        self.features = dataclasses.replace(
            features, sample_rate_hz=self.store.sample_rate_hz
        )

    def frame_lengths(self, indices: np.ndarray) -> np.ndarray:
        """The frames of the utterances at these places, int64 [utterances]."""
        return 1 + self.store.lengths[indices] // self.features.hop_length

    def read_frames(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes the frames of utterances in `tf.data`.

        Args:
            indices: Their places, integer [batch].

        Returns:
            What `acoustic_frames` returns.
        """
        return acoustic_frames(*read_arrays(self.store, indices), self.features)

    def frame_store(self, indices: np.ndarray) -> ArrayStore:
        """The frames of the utterances at these places, kept on disk.

        Raises:
            CorpusError: The cache cannot be written.
        """
        return frame_store(self.store, indices, self.features, self.frame_change)

    def frames(self, index: int) -> np.ndarray:
        """The frames of the utterance at a place, float32 [frames, frame_dim]."""
        return self.read_frames(tf.constant([index]))[0].numpy()[0]


class SentenceData(RecordingData):
    """A checked corpus of sentences.

    Args of the constructor:
        data: The corpus.
        front_end: What reads its texts.
        features: Its `sample_rate_hz` may be 0, for that of the corpus.
        split: Check this split alone, for an evaluation.

    Attributes:
        front_end: As given.

    Raises:
        CorpusError: The corpus cannot be read or used.
    """

    def __init__(
        self,
        data: SentenceDataConfig,
        front_end: TextFrontEnd,
        features: AcousticConfig,
        split: str | None = None,
    ) -> None:
        super().__init__(data, features, split, sentences=True)
        self.front_end = front_end

    def texts(self, indices: np.ndarray) -> list[str]:
        """The texts of the utterances at these places."""
        return [self.corpus.utterances[i].text for i in indices]
