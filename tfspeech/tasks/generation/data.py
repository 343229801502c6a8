"""Data of generation: recordings of isolated words in windows of one length."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from models.config import option
from tfspeech.data.config import DataConfig
from tfspeech.data.pipeline import Batch, ordered_rows
from tfspeech.data.segments import read_segments
from tfspeech.tasks.speech.data import RecordingData

EVALUATION_BATCH_SIZE = 64
"""Clips in a batch of an evaluation."""


@dataclasses.dataclass(frozen=True)
class GenerationDataConfig(DataConfig):
    """Data."""

    data: str = option(
        "spoken_digits",
        "corpus of isolated words, whose labels are not used: spoken_digits, "
        "fsdd:PATH, folder:PATH, manifest:FILE, or package.module:FUNCTION, which "
        "returns a corpus",
        metavar="CORPUS[:PATH]",
    )


class Windows:
    """Recordings, each at the start of a window; what is beyond the window is cut off.

    Args of the constructor:
        data: The corpus.
        indices: Places of the recordings.
        window_frames: Frames of a window.
        values: Which of the values of a frame are taken.

    Raises:
        CorpusError: The cache cannot be written.
    """

    def __init__(
        self,
        data: RecordingData,
        indices: np.ndarray,
        window_frames: int,
        values: slice,
    ) -> None:
        self._frames = data.frame_store(indices)
        self._window_frames = window_frames
        self._values = values

    def __len__(self) -> int:
        return len(self._frames)

    def clips(self) -> list[np.ndarray]:
        """All values of every recording, each float32 [frames, frame_dim]."""
        size = self._window_frames
        return [self._frames[row][:size] for row in range(len(self))]

    def load(self, rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        """Reads recordings in `tf.data`.

        Args:
            rows: Places of the recordings, int64 [batch].
            seeds: Of the noise that clips are made of beside them, int64 [batch].

        Returns:
            `frames` float32 [batch, window_frames, values], 0 beyond
            `frame_lengths` int32 [batch]; and `seeds`.
        """
        size = self._window_frames
        frames = read_segments(self._frames, rows, tf.zeros_like(rows), size)
        lengths = tf.gather(self._frames.lengths, rows)
        lengths = tf.cast(tf.minimum(lengths, size), tf.int32)
        frames = frames[:, :, self._values]
        return {"frames": frames, "frame_lengths": lengths, "seeds": seeds}

    def batches(self) -> tf.data.Dataset:
        """Batches of every recording once; see `load`."""
        return ordered_rows(
            np.zeros(len(self)),
            EVALUATION_BATCH_SIZE,
            lambda rows: self.load(rows, rows),
        )
