"""Training of models that speak: their data, and the sentences of a validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfspeech.data.pipeline import cached
from tfspeech.tasks.speech.data import SentenceData
from tfspeech.tasks.speech.scores import Pairing, mel_cepstral_distortion
from tfspeech.tasks.speech.task import Speech
from tfspeech.tasks.task import Training
from tfspeech.training.config import TrainingConfig

STATISTICS_UTTERANCES = 2_000
"""A mean over more would change in no digit that matters."""


class SpeechTraining(Training):
    """The data of a training run, and the sentences that every validation speaks.

    Args of the constructor:
        data: Of the run.
        settings: Of the run.
        sentences: How many of the validation split are spoken, from all over it.
        more: The samples of further training examples, which are no recordings.

    Attributes:
        spoken_texts: Their texts.
        spoken_frames: The frames of their recordings, each float32 [frames, frame_dim];
            subclasses have them.
        speech: What the last validation has made of them.

    Raises:
        CorpusError: There is no training or no validation split.
    """

    def __init__(
        self,
        data: SentenceData,
        settings: TrainingConfig,
        sentences: int,
        more: Sequence[int] = (),
    ) -> None:
        self._data = data
        self._train = data.corpus.indices("train")
        lengths = np.append(data.store.lengths[self._train], np.int64(more))
        super().__init__(lengths, settings)
        self._validation = data.corpus.indices("validation")
        spread = np.linspace(0, len(self._validation) - 1, sentences)
        # Places in the validation split.
        self._spoken_rows = np.unique(spread.astype(int))
        self._spoken = self._validation[self._spoken_rows]
        self.spoken_texts = data.texts(self._spoken)
        self.spoken_frames: Sequence[np.ndarray] = ()
        self.speech: Sequence[Speech] = ()

    def recording(self, number: int) -> np.ndarray:
        """The waveform, float32 [samples], of one of the sentences that are spoken."""
        return self._data.store[self._spoken[number]]

    def cached(self, batches: tf.data.Dataset, dim: int) -> tf.data.Dataset:
        """Keeps the validation split in memory, `dim` values a frame; see `cached`."""
        frames = self._data.frame_lengths(self._validation).sum()
        return cached(batches, 4 * dim * int(frames))

    def statistics_sample(self) -> np.ndarray:
        """Places in the training set of recordings to normalise by, in order."""
        shuffled = np.random.default_rng(0).permutation(len(self._train))
        return np.sort(shuffled[:STATISTICS_UTTERANCES])

    def mean_distortion_db(self, pairing: Pairing) -> float:
        """The mean mel-cepstral distortion of `speech` from the recordings, in dB."""
        mels = self._data.features.num_mels
        pairs = [
            (true[:, :mels], ours.frames[:, :mels])
            for true, ours in zip(self.spoken_frames, self.speech, strict=True)
        ]
        found = [mel_cepstral_distortion(*pair, pairing(*pair)) for pair in pairs]
        return float(np.mean(found))
