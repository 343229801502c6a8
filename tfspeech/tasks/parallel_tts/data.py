"""The data of duration-based synthesis: segments with durations, and their frames."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import tensorflow as tf

from models.config import option
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.trajectory import with_deltas
from tfspeech.console import progress
from tfspeech.data.cache import (
    Arrays,
    ArrayStore,
    JoinedArrays,
    partial_folder,
    read_arrays,
)
from tfspeech.data.phoneme_times import have_times, read_segments, symbol_durations
from tfspeech.data.pipeline import Batch, ordered_rows
from tfspeech.files import cache_folder
from tfspeech.tasks.alignment.run import cached_alignments
from tfspeech.tasks.speech.data import (
    EVALUATION_BATCH_SIZE,
    SentenceData,
    SentenceDataConfig,
)
from tfspeech.text.context import Context, FrameContext
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.linguistic import frame_features, segment_features


@dataclasses.dataclass(frozen=True)
class ParallelTtsDataConfig(SentenceDataConfig):
    """Data."""

    folders = ("alignments",)
    alignments: str = option(
        "",
        "folder of TextGrids with the times of phonemes; by default they lie beside "
        "the recordings, or the corpus is aligned",
        metavar="DIR",
    )
    unlabelled: str = option(
        "",
        "text file, a sentence a line; the teacher speaks them as more training "
        "examples",
        metavar="FILE",
    )

    def of_corpus(self, spec: str) -> Self:
        """Returns what holds for another corpus, whose TextGrids are beside it."""
        other = super().of_corpus(spec)
        return dataclasses.replace(other, alignments="", unlabelled="")


class SpokenSentences(NamedTuple):
    """Sentences that nobody has recorded, as a synthesiser speaks them.

    Attributes:
        timings: Of each its segments and their durations in frames, int32 [segments].
        frames: Of each, float32 [frames, frame_dim], 0 where a value is no target.
    """

    timings: Sequence[tuple[np.ndarray, np.ndarray]]
    frames: Arrays


class ParallelTtsData(SentenceData):
    """A checked corpus of sentences, with the times of their phonemes.

    Args of the constructor:
        data: The corpus.
        front_end: What reads its texts, as phonemes.
        features: Its `sample_rate_hz` may be 0, for that of the corpus.
        split: Check this split alone, for an evaluation.

    Attributes:
        spoken: Further training examples; None for none.

    Raises:
        CorpusError: The corpus cannot be read or used.
    """

    spoken: SpokenSentences | None = None

    def __init__(
        self,
        data: ParallelTtsDataConfig,
        front_end: TextFrontEnd,
        features: AcousticConfig,
        split: str | None = None,
    ) -> None:
        super().__init__(data, front_end, features, split)
        self._data = data

    @functools.cached_property
    def _alignments(self) -> Path | None:
        """The folder of the TextGrids; None where times come with the utterances."""
        if self._data.alignments:
            return Path(self._data.alignments)
        if have_times(self.corpus.utterances):
            return None
        return cached_alignments(self._data.data, self.store.fingerprint)

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
    """Utterances whose durations are known, as batches of inputs and targets.

    Frames and features are computed once, and kept on disk: reading them takes less
    time than computing them anew in every epoch.

    Args of the constructor:
        data: The corpus.
        indices: Places of the utterances.
        targets: Which of the values of a frame are predicted.
        dim: The linguistic features.
        inputs: Names of the inputs of the model.
        deltas: Whether the differences between frames are targets, too.
        spoken: What comes after the utterances; None for nothing.

    Attributes:
        frames: All values of the frames of each, float32 [frames, frame_dim].

    Raises:
        CorpusError: An utterance has no phoneme times, or those of another text; or the
            cache cannot be written.
    """

    def __init__(
        self,
        data: ParallelTtsData,
        indices: np.ndarray,
        targets: slice,
        dim: int,
        inputs: Collection[str],
        deltas: bool,
        spoken: SpokenSentences | None = None,
    ) -> None:
        self.frames: Arrays = data.frame_store(indices)
        self._targets = targets
        self._dim = dim
        self._deltas = deltas
        self._has_prosody = "prosody" in inputs
        self._prosody_columns = prosody_columns(data.features)
        pairs = []
        with progress(len(indices), "reading phoneme times", "sentence") as bar:
            for index in indices:
                pairs.append(data.segments(index))
                bar.update()
        if spoken:
            self.frames = JoinedArrays(self.frames, spoken.frames)
            pairs += spoken.timings
        self._segments, self._durations = map(_ragged, zip(*pairs, strict=True))

        def of_segments(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            segments, lengths, _ = self.segments(rows)
            return segment_features(segments, lengths, dim), lengths

        def of_frames(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return frame_features(*self.segments(rows), dim)

        lengths = self._segments.row_lengths().numpy()
        wanted = {"segment_features": (of_segments, lengths)}
        if "frame_features" in inputs:
            wanted["frame_features"] = (of_frames, self.frames.lengths)
        with partial_folder(cache_folder() / "features") as folder:
            # The files stay open when the folder is gone.
            self._features = {
                name: self._stored(folder / f"{name}.f32", *each)
                for name, each in wanted.items()
            }

    def _stored(
        self,
        path: Path,
        compute: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        lengths: np.ndarray,
    ) -> ArrayStore:
        """Writes the linguistic features of all utterances.

        Args:
            path: The file.
            compute: From utterances to their features, float32 [batch, places, dim],
                and how many places each has.
            lengths: How many places every utterance has, integer [utterances].
        """

        def valid(rows: tf.Tensor) -> tf.Tensor:
            features, counts = compute(rows)
            return tf.boolean_mask(features, tf.sequence_mask(counts))

        count = len(self.frames)
        rows = tf.data.Dataset.range(count).batch(EVALUATION_BATCH_SIZE)
        batches = rows.map(valid, num_parallel_calls=2, deterministic=True)
        with (
            path.open("wb") as file,
            progress(count, "computing linguistic features", "sentence") as bar,
        ):
            for features in batches.as_numpy_iterator():
                file.write(features.tobytes())
                bar.update(min(EVALUATION_BATCH_SIZE, count - bar.n))
        return ArrayStore(path, np.cumsum(lengths) - lengths, lengths, (self._dim,))

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
            `frames` float32 [batch, frames, values], the targets and, where these are
            targets, too, their differences, with `frame_lengths` int32 [batch];
            `segments` int32 [batch, segments], `segment_features` float32 [batch,
            segments, dim] and `log_durations` float32 [batch, segments] with
            `segment_lengths` int32 [batch]; and, if the model takes them,
            `frame_features` float32 [batch, frames, dim], or `durations` int32 [batch,
            segments], `prosody` float32 [batch, segments, 2] and `frame_segments`
            int32 [batch, frames], see `segment_means`; and `segment_words`, see there.
        """
        segments, segment_lengths, durations = self.segments(rows)
        frames, lengths = read_arrays(self.frames, rows)
        features = {
            name: read_arrays(store, rows)[0] for name, store in self._features.items()
        }
        targets = frames[:, :, self._targets]
        batch = {
            "frames": with_deltas(targets, lengths) if self._deltas else targets,
            "frame_lengths": lengths,
            "segments": segments,
            "log_durations": log_duration(durations),
            "segment_lengths": segment_lengths,
            **features,
        }
        if self._has_prosody:
            place = FrameContext(segments, segment_lengths, durations).place
            prosody = tf.gather(frames, self._prosody_columns, axis=2)
            batch |= {
                "durations": durations,
                "prosody": segment_means(prosody, durations),
                "frame_segments": place,
                "segment_words": segment_words(segments, segment_lengths),
            }
        return batch

    def batches(self, batch_size: int = EVALUATION_BATCH_SIZE) -> tf.data.Dataset:
        """Batches of every utterance once, the shortest first; see `load`."""
        return ordered_rows(self.frames.lengths, batch_size, self.load)

    def statistics(self, rows: np.ndarray, most: int) -> dict[str, np.ndarray]:
        """Statistics that normalise the model.

        Args:
            rows: The utterances whose frames count.
            most: Where they have more frames, every second, third or so is taken.

        Returns:
            `frames` float32 [frames, values]; `log_durations` of all segments, float32
            [segments]; and, if the model takes it, `prosody` of the segments that last,
            float32 [segments, 2].
        """
        found = {
            "frames": self.sample_frames(rows, most),
            "log_durations": log_duration(self._durations.flat_values).numpy(),
        }
        if self._has_prosody:
            means = []
            for row in rows:
                frames = self.frames[row][np.newaxis, :, self._prosody_columns]
                durations = self._durations[row]
                mean = segment_means(frames, durations[tf.newaxis])[0]
                means.append(tf.boolean_mask(mean, durations > 0))
            found["prosody"] = tf.concat(means, axis=0).numpy()
        return found

    def sample_frames(self, rows: np.ndarray, most: int) -> np.ndarray:
        """Targets of some utterances, with their differences where these are targets.

        Args:
            rows: The utterances.
            most: Where they have more frames, every second, third or so is taken.

        Returns:
            float32 [frames, values].
        """
        lengths = self.frames.lengths[rows]
        step = -(-int(lengths.sum()) // most)
        sampled = []
        for row, length in zip(rows, lengths, strict=True):
            targets = self.frames[row][:, self._targets]
            if self._deltas:
                targets = with_deltas(targets[np.newaxis], [length])[0]
            sampled.append(targets[::step])
        return np.concatenate(sampled)


def log_duration(durations: tf.Tensor) -> tf.Tensor:
    """The natural logarithm of 1 + a duration in frames, which may be 0, float32."""
    return tf.math.log1p(tf.cast(durations, tf.float32))


def prosody_columns(features: AcousticConfig) -> list[int]:
    """Where ln F0 and energy, the log gain of the filter, are in a frame."""
    return [features.frame_dim - 2, features.num_mels + features.lpc_order]


def segment_words(segments: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The word that every segment belongs to; each mark and each pause begins another.

    Args:
        segments: int32 [batch, segments], a space first.
        lengths: int32 [batch].

    Returns:
        Counted from 0, int32 [batch, segments], 0 beyond the lengths.
    """
    context = Context(segments, lengths, None)
    return tf.where(context.valid, context.word - 1, 0)


def segment_means(frames: tf.Tensor, durations: tf.Tensor) -> tf.Tensor:
    """The means of values over the frames of every segment.

    Args:
        frames: float32 [batch, frames, values].
        durations: In frames, int32 [batch, segments].

    Returns:
        float32 [batch, segments, values], 0 where a segment has no frames.
    """
    sums = tf.pad(tf.cumsum(frames, axis=1), [[0, 0], [1, 0], [0, 0]])
    ends = tf.cumsum(durations, axis=1)
    until, before = (
        tf.gather(sums, places, batch_dims=1) for places in (ends, ends - durations)
    )
    counts = tf.cast(durations, tf.float32)[:, :, tf.newaxis]
    return tf.math.divide_no_nan(until - before, counts)


def _ragged(arrays: list[np.ndarray]) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_lengths(
        np.concatenate(arrays), [len(array) for array in arrays]
    )
