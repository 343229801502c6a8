"""The data of parametric synthesis: segments with durations, and acoustic frames."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.audio.trajectory import with_deltas
from tfspeech.console import progress
from tfspeech.data.batches import BatchPlan
from tfspeech.data.config import ParametricDataConfig
from tfspeech.data.phoneme_times import read_segments, symbol_durations
from tfspeech.data.pipeline import (
    Batch,
    ordered_rows,
    planned_batches,
    read_waveforms,
)
from tfspeech.tasks.attention_tts.data import SynthesisData
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.linguistic import (
    LinguisticConfig,
    frame_features,
    segment_features,
)

_ANALYSED_AT_ONCE = 32


@dataclasses.dataclass(frozen=True)
class Spoken:
    """Utterances in memory, one after the other.

    Attributes:
        segments: Their symbols, ragged int32 [utterances, segments].
        durations: Of the segments, in frames, ragged int32 [utterances, segments].
        frames: Those of `acoustic_frames`, ragged float32 [utterances, frames,
            frame_dim].
    """

    segments: tf.RaggedTensor
    durations: tf.RaggedTensor
    frames: tf.RaggedTensor

    def padded(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Segments, their lengths and durations of some utterances, padded with 0.

        Args:
            rows: The utterances, integer [batch].

        Returns:
            int32 [batch, segments], int32 [batch] and int32 [batch, segments].
        """
        segments = tf.gather(self.segments, rows)
        lengths = tf.cast(segments.row_lengths(), tf.int32)
        durations = tf.gather(self.durations, rows)
        return segments.to_tensor(), lengths, durations.to_tensor()


class ParametricData(SynthesisData):
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
        data: ParametricDataConfig,
        front_end: TextFrontEnd,
        features: AcousticConfig,
        split: str | None = None,
    ) -> None:
        super().__init__(data, front_end, features, split)
        self._alignments = Path(data.alignments) if data.alignments else None

    def spoken(self, indices: np.ndarray) -> Spoken:
        """Reads and analyses utterances.

        Args:
            indices: Their places in the corpus.

        Raises:
            CorpusError: An utterance has no phoneme times, or those of another text.
        """
        frames = self._frames(indices)
        segments, durations = [], []
        with progress(len(indices), "reading phoneme times", "sentence") as bar:
            for index, each in zip(indices, frames, strict=True):
                of_segments = self._segments(index, len(each))
                segments.append(of_segments[0])
                durations.append(of_segments[1])
                bar.update()
        return Spoken(_ragged(segments), _ragged(durations), _ragged(frames))

    def _segments(self, index: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Symbols and durations of an utterance of so many frames."""
        utterance = self.corpus.utterances[index]
        symbols, times = read_segments(utterance, self._front_end, self._alignments)
        durations = symbol_durations(
            [self._front_end.symbols[symbol] for symbol in symbols],
            times,
            self.features.hop_length,
            self.features.sample_rate_hz,
            frames,
            str(utterance.audio),
        )
        return symbols, durations

    def _frames(self, indices: np.ndarray) -> list[np.ndarray]:
        """The frames of utterances, each float32 [frames, frame_dim]."""

        def load(rows: tf.Tensor) -> Batch:
            waveforms, samples = read_waveforms(self.store, tf.gather(indices, rows))
            frames, lengths = acoustic_frames(waveforms, samples, self.features)
            return {"rows": rows, "frames": frames, "lengths": lengths}

        found: list[np.ndarray] = [np.empty(0)] * len(indices)
        batches = ordered_rows(self.store.lengths[indices], _ANALYSED_AT_ONCE, load)
        with progress(len(indices), "analysing", "sentence") as bar:
            for batch in batches.as_numpy_iterator():
                for row, frames, length in zip(*batch.values(), strict=True):
                    found[row] = frames[:length]
                bar.update(len(batch["rows"]))
        return found


class FrameBatches:
    """Batches of linguistic features and of what is to be predicted from them.

    All features are computed once and kept: they take less time to gather than to
    compute, in every epoch.

    Args of the constructor:
        spoken: The utterances.
        targets: Which of the values of a frame are predicted.
        config: The linguistic features.

    Attributes:
        targets: What is predicted of the frames, ragged float32 [utterances, frames,
            values].
    """

    def __init__(
        self, spoken: Spoken, targets: slice, config: LinguisticConfig
    ) -> None:
        self.targets = spoken.frames.with_flat_values(
            spoken.frames.flat_values[:, targets]
        )
        self._durations = spoken.durations
        self._lengths = spoken.frames.row_lengths().numpy()
        self._of_frames, self._of_segments = _features(spoken, config.linguistic_dim)

    @property
    def log_durations(self) -> np.ndarray:
        """The log durations of all segments, float32 [segments]."""
        return log_duration(self._durations.flat_values).numpy()

    def with_deltas(self, rows: np.ndarray) -> np.ndarray:
        """The targets of utterances and their differences, [frames, 2 values]."""
        return np.concatenate(
            [
                with_deltas(self.targets[row][tf.newaxis], [self._lengths[row]])[0]
                for row in rows
            ]
        )

    def planned(self, plan: BatchPlan, first_batch: int) -> tf.data.Dataset:
        """Endless batches from `first_batch` of a plan on; see `load`."""
        return planned_batches(plan, lambda _, rows: self.load(rows), first_batch)

    def ordered(self, batch_size: int) -> tf.data.Dataset:
        """Batches of every utterance once; see `load`."""
        return ordered_rows(self._lengths, batch_size, self.load)

    def load(self, rows: tf.Tensor) -> Batch:
        """Some utterances as a batch, all of it 0 beyond the lengths.

        Args:
            rows: The utterances, integer [batch].

        Returns:
            `frame_features` float32 [batch, frames, linguistic_dim], `frames` float32
            [batch, frames, 2 values] and `frame_lengths` int32 [batch];
            `segment_features` float32 [batch, segments, linguistic_dim],
            `log_durations` float32 [batch, segments] and `segment_lengths`.
        """
        durations = tf.gather(self._durations, rows)
        targets = tf.gather(self.targets, rows)
        lengths = tf.cast(targets.row_lengths(), tf.int32)
        return {
            "frame_features": tf.gather(self._of_frames, rows).to_tensor(),
            "frames": with_deltas(targets.to_tensor(), lengths),
            "frame_lengths": lengths,
            "segment_features": tf.gather(self._of_segments, rows).to_tensor(),
            "log_durations": log_duration(durations.to_tensor()),
            "segment_lengths": tf.cast(durations.row_lengths(), tf.int32),
        }


def log_duration(durations: tf.Tensor) -> tf.Tensor:
    """The natural logarithm of 1 + a duration in frames, which may be 0, float32."""
    return tf.math.log1p(tf.cast(durations, tf.float32))


def _features(spoken: Spoken, dim: int) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """The features of all frames and of all segments."""

    def load(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        segments, lengths, durations = spoken.padded(rows)
        of_frames, frame_lengths = frame_features(segments, lengths, durations, dim)
        of_segments = segment_features(segments, lengths, dim)
        return (
            tf.boolean_mask(of_frames, tf.sequence_mask(frame_lengths)),
            tf.boolean_mask(of_segments, tf.sequence_mask(lengths)),
        )

    rows = tf.data.Dataset.range(spoken.segments.nrows()).batch(_ANALYSED_AT_ONCE)
    batches = rows.map(load, num_parallel_calls=2, deterministic=True)
    of_frames, of_segments = zip(*batches.as_numpy_iterator(), strict=True)
    return (
        _partitioned(np.concatenate(of_frames), spoken.frames),
        _partitioned(np.concatenate(of_segments), spoken.segments),
    )


def _ragged(arrays: list[np.ndarray]) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_lengths(
        np.concatenate(arrays), [len(array) for array in arrays]
    )


def _partitioned(values: np.ndarray, like: tf.RaggedTensor) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_splits(values, like.row_splits)
