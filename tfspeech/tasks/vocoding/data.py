"""The data of vocoders: recordings with their frames, whole or in random segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfspeech.data.cache import read_arrays
from tfspeech.data.pipeline import Batch, ordered_rows
from tfspeech.data.segments import random_starts, read_segments
from tfspeech.tasks.speech.data import RecordingData

EVALUATION_BATCH_SIZE = 4
"""Recordings in a batch of a validation: spectra of half a minute each are large."""


class Recordings:
    """Recordings with their frames, which are computed once and kept on disk.

    Args of the constructor:
        data: The corpus.
        indices: Places of the recordings.
        inputs: Returns what a network takes of frames; see `network_inputs`.

    Attributes:
        frames: All values of the frames of each, float32 [frames, frame_dim].

    Raises:
        CorpusError: The cache cannot be written.
    """

    def __init__(
        self,
        data: RecordingData,
        indices: np.ndarray,
        inputs: Callable[..., dict[str, tf.Tensor]],
    ) -> None:
        self.frames = data.frame_store(indices)
        self._inputs = inputs
        self._store = data.store
        self._indices = indices
        self._hop_length = data.features.hop_length

    def waveform(self, row: int) -> np.ndarray:
        """The samples of a recording, float32 [samples]."""
        return self._store[self._indices[row]]

    def segments(self, rows: tf.Tensor, seeds: tf.Tensor, count: int) -> Batch:
        """Reads a random segment of each of some recordings in `tf.data`.

        Args:
            rows: The recordings, int64 [batch].
            seeds: Of the places and of the noise, int64 [batch].
            count: Frames of a segment.

        Returns:
            As `whole`.
        """
        lengths = tf.gather(self.frames.lengths, rows)
        starts = random_starts(seeds, lengths, count)
        frames = read_segments(self.frames, rows, starts, count)
        hop_length = self._hop_length
        samples = read_segments(
            *(self._store, tf.gather(self._indices, rows)),
            *(starts * hop_length, count * hop_length),
        )
        lengths = tf.cast(tf.minimum(lengths - starts, count), tf.int32)
        return self._batch(frames, lengths, samples, seeds)

    def whole(self, rows: tf.Tensor) -> Batch:
        """Reads recordings as they are in `tf.data`.

        Args:
            rows: The recordings, int64 [batch].

        Returns:
            What `network_inputs` returns, and `waveform` float32 [batch, frames,
            hop_length], the recording from the centre of a frame to that of the next,
            0 from the last frame on.
        """
        frames, lengths = read_arrays(self.frames, rows)
        samples, _ = read_arrays(self._store, tf.gather(self._indices, rows))
        size = tf.shape(frames)[1] * self._hop_length
        samples = tf.pad(samples, [[0, 0], [0, size - tf.shape(samples)[1]]])
        return self._batch(frames, lengths, samples)

    def batches(self) -> tf.data.Dataset:
        """Batches of every recording once, the shortest first; see `whole`."""
        return ordered_rows(self.frames.lengths, EVALUATION_BATCH_SIZE, self.whole)

    def segment_batches(self, count: int) -> tf.data.Dataset:
        """Batches of a segment of every recording, always the same; see `segments`."""

        def load(rows: tf.Tensor) -> Batch:
            return self.segments(rows, rows, count)

        return ordered_rows(self.frames.lengths, EVALUATION_BATCH_SIZE, load)

    def _batch(
        self,
        frames: tf.Tensor,
        lengths: tf.Tensor,
        samples: tf.Tensor,
        seeds: tf.Tensor | None = None,
    ) -> Batch:
        inputs = self._inputs(frames, lengths, seeds)
        shape = [*tf.unstack(tf.shape(frames)[:2]), self._hop_length]
        waveform = tf.reshape(samples, shape)
        inside = tf.sequence_mask(lengths - 1, tf.shape(frames)[1])[:, :, tf.newaxis]
        return {**inputs, "waveform": tf.where(inside, waveform, 0.0)}
