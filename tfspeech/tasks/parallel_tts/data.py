"""The data of duration-based synthesis: segments with durations, and their frames."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Self

import numpy as np
import tensorflow as tf

from models.config import option
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.trajectory import with_deltas
from tfspeech.console import progress
from tfspeech.data.cache import ArrayStore, partial_folder, read_arrays
from tfspeech.data.frames import frame_store
from tfspeech.data.phoneme_times import read_segments, symbol_durations
from tfspeech.data.pipeline import Batch, ordered_rows
from tfspeech.files import cache_folder
from tfspeech.tasks.speech.data import (
    EVALUATION_BATCH_SIZE,
    SentenceData,
    SentenceDataConfig,
)
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.linguistic import frame_features, segment_features


@dataclasses.dataclass(frozen=True)
class ParallelTtsDataConfig(SentenceDataConfig):
    """Data."""

    alignments: str = option(
        "",
        "folder of TextGrids with the times of phonemes; by default they lie beside "
        "the recordings",
        metavar="DIR",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alignments:
            # The run is to find them from whatever folder it is resumed in.
            path = os.path.abspath(os.path.expanduser(self.alignments))
            object.__setattr__(self, "alignments", path)

    def of_corpus(self, spec: str) -> Self:
        """Returns what holds for another corpus, whose TextGrids are beside it."""
        return dataclasses.replace(super().of_corpus(spec), alignments="")


class ParallelTtsData(SentenceData):
    """A checked corpus of sentences, with the times of their phonemes.

    Args of the constructor:
        data: The corpus.
        front_end: What reads its texts, as phonemes.
        features: Its `sample_rate_hz` may be 0, for that of the corpus.
        split: Check this split alone, for an evaluation.

    Raises:
        CorpusError: The corpus cannot be read or used.
    """

    def __init__(
        self,
        data: ParallelTtsDataConfig,
        front_end: TextFrontEnd,
        features: AcousticConfig,
        split: str | None = None,
    ) -> None:
        super().__init__(data, front_end, features, split)
        self._alignments = Path(data.alignments) if data.alignments else None

    def segments(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The segments of the utterance at a place, and how long they last.

        Returns:
            Symbols, int32 [segments], and durations in frames, int32 [segments].

        Raises:
            CorpusError: It has no phoneme times, or those of another text.
        """
        utterance = self.corpus.utterances[index]
        symbols, times = read_segments(utterance, self.front_end, self._alignments)
        durations = symbol_durations(
            [self.front_end.symbols[symbol] for symbol in symbols],
            times,
            self.features.hop_length,
            self.features.sample_rate_hz,
            int(self.frame_lengths(index)),
            str(utterance.audio),
        )
        return symbols, durations


class TimedUtterances:
    """Utterances whose durations are known, as batches of features and targets.

    Frames and features are computed once, and kept on disk: reading them takes less
    time than computing them anew in every epoch.

    Args of the constructor:
        data: The corpus.
        indices: Places of the utterances.
        targets: Which of the values of a frame are predicted.
        dim: The linguistic features.

    Attributes:
        frames: All values of the frames of each, float32 [frames, frame_dim].

    Raises:
        CorpusError: An utterance has no phoneme times, or those of another text; or the
            cache cannot be written.
    """

    def __init__(
        self, data: ParallelTtsData, indices: np.ndarray, targets: slice, dim: int
    ) -> None:
        self.frames = frame_store(data.store, indices, data.features)
        self._targets = targets
        self._dim = dim
        pairs = []
        with progress(len(indices), "reading phoneme times", "sentence") as bar:
            for index in indices:
                pairs.append(data.segments(index))
                bar.update()
        self._segments, self._durations = map(_ragged, zip(*pairs, strict=True))
        with partial_folder(cache_folder() / "features") as folder:
            # The files stay open when the folder is gone.
            self._of_frames, self._of_segments = self._compute_features(folder)

    def _compute_features(self, folder: Path) -> tuple[ArrayStore, ArrayStore]:
        """Writes the linguistic features of all frames and of all segments."""

        def compute(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            segments, lengths, durations = self.segments(rows)
            of_frames, counts = frame_features(segments, lengths, durations, self._dim)
            of_segments = segment_features(segments, lengths, self._dim)
            return (
                tf.boolean_mask(of_frames, tf.sequence_mask(counts)),
                tf.boolean_mask(of_segments, tf.sequence_mask(lengths)),
            )

        count = len(self.frames)
        rows = tf.data.Dataset.range(count).batch(EVALUATION_BATCH_SIZE)
        batches = rows.map(compute, num_parallel_calls=2, deterministic=True)
        paths = [folder / name for name in ("frames.f32", "segments.f32")]
        with (
            paths[0].open("wb") as frames,
            paths[1].open("wb") as segments,
            progress(count, "computing linguistic features", "sentence") as bar,
        ):
            for of_frames, of_segments in batches.as_numpy_iterator():
                frames.write(of_frames.tobytes())
                segments.write(of_segments.tobytes())
                bar.update(min(EVALUATION_BATCH_SIZE, count - bar.n))
        lengths = self.frames.lengths, self._segments.row_lengths().numpy()
        of_frames, of_segments = (
            ArrayStore(path, np.cumsum(length) - length, length, (self._dim,))
            for path, length in zip(paths, lengths, strict=True)
        )
        return of_frames, of_segments

    @property
    def log_durations(self) -> np.ndarray:
        """The log durations of all segments, float32 [segments]."""
        return log_duration(self._durations.flat_values).numpy()

    def segments(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Segments, their lengths and durations of some utterances, padded with 0.

        Args:
            rows: The utterances, integer [batch].

        Returns:
            int32 [batch, segments], int32 [batch] and int32 [batch, segments].
        """
        segments = tf.gather(self._segments, rows)
        lengths = tf.cast(segments.row_lengths(), tf.int32)
        durations = tf.gather(self._durations, rows)
        return segments.to_tensor(), lengths, durations.to_tensor()

    def load(self, rows: tf.Tensor) -> Batch:
        """Reads some utterances in `tf.data`, all of it 0 beyond the lengths.

        Args:
            rows: The utterances, integer [batch].

        Returns:
            `frame_features` float32 [batch, frames, dim] and `frames` float32 [batch,
            frames, 2 values], the targets and their differences, with `frame_lengths`
            int32 [batch]; `segments` int32 [batch, segments], `segment_features`
            float32 [batch, segments, dim] and `log_durations` float32 [batch, segments]
            with `segment_lengths` int32 [batch].
        """
        segments, segment_lengths, durations = self.segments(rows)
        frames, lengths = read_arrays(self.frames, rows)
        return {
            "frame_features": read_arrays(self._of_frames, rows)[0],
            "frames": with_deltas(frames[:, :, self._targets], lengths),
            "frame_lengths": lengths,
            "segments": segments,
            "segment_features": read_arrays(self._of_segments, rows)[0],
            "log_durations": log_duration(durations),
            "segment_lengths": segment_lengths,
        }

    def batches(self, batch_size: int = EVALUATION_BATCH_SIZE) -> tf.data.Dataset:
        """Batches of every utterance once, the shortest first; see `load`."""
        return ordered_rows(self.frames.lengths, batch_size, self.load)

    def sample_frames(self, rows: np.ndarray, most: int) -> np.ndarray:
        """Targets with their differences of some utterances.

        Args:
            rows: The utterances.
            most: Where they have more frames, every second, third or so is taken.

        Returns:
            float32 [frames, 2 values].
        """
        lengths = self.frames.lengths[rows]
        step = -(-int(lengths.sum()) // most)
        targets = (self.frames[row][np.newaxis, :, self._targets] for row in rows)
        return np.concatenate(
            [
                with_deltas(each, [length])[0, ::step]
                for each, length in zip(targets, lengths, strict=True)
            ]
        )


def log_duration(durations: tf.Tensor) -> tf.Tensor:
    """The natural logarithm of 1 + a duration in frames, which may be 0, float32."""
    return tf.math.log1p(tf.cast(durations, tf.float32))


def _ragged(arrays: list[np.ndarray]) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_lengths(
        np.concatenate(arrays), [len(array) for array in arrays]
    )
