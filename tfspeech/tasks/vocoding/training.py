"""Training of a vocoder: random segments of recordings, and its validation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfspeech.data.cache import read_arrays
from tfspeech.data.pipeline import Batch, feature_statistics, ordered_rows
from tfspeech.tasks.speech.data import RecordingData
from tfspeech.tasks.speech.evaluation import log_mels
from tfspeech.tasks.speech.scores import frame_pairs, mel_cepstral_distortion
from tfspeech.tasks.task import Training
from tfspeech.tasks.vocoding.data import EVALUATION_BATCH_SIZE
from tfspeech.tasks.vocoding.task import Vocoding
from tfspeech.training.config import TrainingConfig

STATISTICS_UTTERANCES = 500
"""A mean over more would change in no digit that matters."""


class Resynthesis(NamedTuple):
    """A recording of the validation split, and what a vocoder makes of its frames.

    Attributes:
        recording: float32 [samples].
        frames: As of `acoustic_frames`, float32 [frames, frame_dim].
        waveform: float32 [samples].
    """

    recording: np.ndarray
    frames: np.ndarray
    waveform: np.ndarray


class VocodingTraining(Training):
    """The data of a training run, in the form in which its loop asks for them.

    An epoch has as many segments as fill the training set.

    Args of the constructor:
        task: The model and its task.
        data: Of the run.
        settings: Of the run.

    Raises:
        CorpusError: There is no training or no validation split.
    """

    def __init__(
        self, task: Vocoding, data: RecordingData, settings: TrainingConfig
    ) -> None:
        train = data.corpus.indices("train")
        validation = data.corpus.indices("validation")
        size = task.config.segment_frames
        counts = -(-data.frame_lengths(train) // size)
        self._utterances = np.repeat(np.arange(len(train)), counts)
        super().__init__(np.full(len(self._utterances), size), settings)
        self._task = task
        self._recordings = task.recordings(data, train)
        self._validation = task.recordings(data, validation)

    def load(self, rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        """Reads segments; see `Recordings.segments`."""
        utterances = tf.gather(self._utterances, rows)
        size = self._task.config.segment_frames
        return self._recordings.segments(utterances, seeds, size)

    def set_statistics(self) -> None:
        """Has the model normalise by the training set."""
        frames, values = self._recordings.frames, self._task.values
        shuffled = np.random.default_rng(0).permutation(len(frames))
        chosen = np.sort(shuffled[:STATISTICS_UTTERANCES])

        def load(rows: tf.Tensor) -> Batch:
            found, lengths = read_arrays(frames, tf.gather(chosen, rows))
            return {"features": tf.gather(found, values, axis=2), "lengths": lengths}

        batches = ordered_rows(frames.lengths[chosen], EVALUATION_BATCH_SIZE, load)
        self._task.model.normalization.set_statistics(*feature_statistics(batches))

    def validate(self) -> dict[str, Any]:
        """Loss; and where the task is quick the distortion of its waveforms."""
        task = self._task
        scores = {"loss": task.mean_loss(task.measured(self._validation))}
        if task.quick:
            pairs = self.resynthesise(task.config.validation_sentences)
            distortions = [self._distortion_db(pair) for pair in pairs]
            scores["mcd_db"] = float(np.mean(distortions))
        return scores

    def resynthesise(self, count: int) -> list[Resynthesis]:
        """Resynthesises so many recordings, from all over the validation split."""
        found = self._validation
        rows = np.unique(np.linspace(0, len(found.frames) - 1, count).astype(int))
        frames = [found.frames[row] for row in rows]
        waveforms = []
        for start in range(0, len(rows), self._task.at_once):
            waveforms += self._task.waveforms(
                frames[start : start + self._task.at_once]
            )
        return [
            Resynthesis(found.waveform(row), *pair)
            for row, *pair in zip(rows, frames, waveforms, strict=True)
        ]

    def _distortion_db(self, pair: Resynthesis) -> float:
        """The mel-cepstral distortion, in dB."""
        features = self._task.features
        theirs, ours = (log_mels(w, features) for w in (pair.recording, pair.waveform))
        return mel_cepstral_distortion(theirs, ours, frame_pairs(theirs, ours))
