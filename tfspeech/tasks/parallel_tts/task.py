"""Duration-based synthesis: durations, then frames, each from linguistic features."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models import DenseSynthesis
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.trajectory import most_likely_trajectory
from tfspeech.audio.vocoders import VOCODERS
from tfspeech.data.pipeline import Batch
from tfspeech.errors import TextError
from tfspeech.tasks.conditions import PITCH, RATE
from tfspeech.tasks.parallel_tts.config import (
    VOCODER_OF,
    ParallelTtsConfig,
    target_values,
)
from tfspeech.tasks.parallel_tts.data import ParallelTtsData, TimedUtterances
from tfspeech.tasks.parallel_tts.server import ParallelTtsServer
from tfspeech.tasks.speech.data import EVALUATION_BATCH_SIZE
from tfspeech.tasks.speech.evaluation import (
    OTHER_VOICE,
    Column,
    compare_with_recordings,
    comparison_table,
)
from tfspeech.tasks.speech.lite import LiteSpeech
from tfspeech.tasks.speech.scores import frame_pairs
from tfspeech.tasks.speech.task import Speech, SpeechTask
from tfspeech.text.front_end import TextFrontEnd, pad_symbols
from tfspeech.text.linguistic import (
    LinguisticConfig,
    encode_segments,
    frame_features,
    segment_features,
)
from tfspeech.text.phonemes import PHONEMES
from tfspeech.training.callbacks import Monitor
from tfspeech.training.step import Losses

# Of a segment; whoever speaks asks for far less.
_MOST_FRAMES = 2.0**16

COLUMNS = {
    "aligned_": Column("true durations", frame_pairs),
    "": Column("own durations"),
    "vocoder_": Column("vocoder", frame_pairs),
    OTHER_VOICE: Column("other voice"),
}
"""Prefix of a score -> what it was measured on: the model with the durations of the
recording; the model with its own; the vocoder with the frames of the recording; and
another voice that reads the same text."""


class ParallelTts(SpeechTask):
    """What a duration-based synthesiser is trained for.

    Args of the constructor:
        model: From linguistic features to durations and frames with differences.
        config: Of the task.
        features: The frames, with a sample rate.
        linguistic: The features.
        front_end: What reads texts, as phonemes.
        read_texts: Returns the texts whose words an exported model is to know.

    Attributes:
        targets: Which of the values of a frame are predicted.
    """

    monitor = Monitor("aligned_mcd_db", higher_is_better=False)

    def __init__(
        self,
        model: DenseSynthesis,
        config: ParallelTtsConfig,
        features: AcousticConfig,
        linguistic: LinguisticConfig,
        front_end: TextFrontEnd,
        read_texts: Callable[[], Sequence[str]],
    ) -> None:
        vocoder = VOCODERS[VOCODER_OF[config.target]](features)
        super().__init__(model, vocoder, features, front_end)
        self.conditions = (RATE, PITCH) if config.target == "lpc" else (RATE,)
        self.config = config
        self.linguistic = linguistic
        self.targets = target_values(config, features)
        self._read_texts = read_texts
        self._is_phoneme = np.array([name in PHONEMES for name in front_end.symbols])
        weights = np.ones(self.targets.stop - self.targets.start, np.float32)
        if config.target == "lpc":
            weights[-2:] = config.pitch_weight
        self._weights = np.concatenate([weights, config.delta_weight * weights])

    @property
    def predicted(self) -> slice:
        """Which of the values of a frame the model predicts: the targets."""
        return self.targets

    def losses_of(self, outputs: dict[str, tf.Tensor], batch: Batch) -> Losses:
        """The squared errors of `frames` and of log `durations`, per frame.

        Both are errors of what is normalised to [-1, 1]; targets beyond, which are
        rare, count as -1 or 1. A frame's error is the mean over its values, weighted by
        `delta_weight` and `pitch_weight`; the errors of durations are added up and
        divided by the frames, as those of frames are.
        """
        model = self.model
        frames = _squared_error(
            model.normalization, outputs["frames"], batch["frames"], self._weights
        )
        durations = _squared_error(
            model.duration_normalization,
            outputs["log_durations"][:, :, tf.newaxis],
            batch["log_durations"][:, :, tf.newaxis],
        )
        terms = {
            "frames": _sum_within(frames, batch["frame_lengths"]),
            "durations": _sum_within(durations, batch["segment_lengths"]),
        }
        count = self.weight(batch)
        terms = {name: total / count for name, total in terms.items()}
        return Losses(terms, outputs=outputs)

    def synthesize_texts(
        self, texts: Sequence[str], rate: float = 1.0, semitones: float = 0.0
    ) -> list[Speech]:
        """Speaks texts with predicted durations, as one batch; see `speak`.

        Args:
            texts: English.
            rate: 2 is twice as fast as the speaker.
            semitones: Above the speaker's own pitch.

        Raises:
            TextError: A text has an unknown symbol or none, or its speech is too long.
        """
        encoded = [encode_segments(self.front_end, text) for text in texts]
        segments, lengths = pad_symbols(encoded)
        rates = tf.fill([len(texts)], float(rate))
        durations = self.durations(segments, lengths, rates)
        frames = int(tf.reduce_max(tf.reduce_sum(durations, axis=1)))
        seconds = frames * self.features.hop_length / self.features.sample_rate_hz
        self.limits.check("max_spoken_seconds", seconds, TextError)
        return self.speak_timed(segments, lengths, durations, semitones)

    def speak_timed(
        self,
        segments: tf.Tensor,
        lengths: tf.Tensor,
        durations: tf.Tensor,
        semitones: float = 0.0,
    ) -> list[Speech]:
        """Speaks segments with given durations.

        Args:
            segments: int32 [batch, segments].
            lengths: int32 [batch].
            durations: In frames, int32 [batch, segments], 0 beyond the lengths.
            semitones: Above the speaker's own pitch.

        Returns:
            Speech whose alignment is 1 where a frame is of a segment, else 0; values of
            frames that are no target are 0.
        """
        raised = tf.fill([segments.shape[0]], float(semitones))
        frames, frame_lengths = self.frames(segments, lengths, durations, raised)
        rows = (frames, frame_lengths, lengths, durations)
        return [
            Speech(
                each[:count],
                np.repeat(np.eye(length, dtype=np.float32), timing[:length], axis=0),
            )
            for each, count, length, timing in zip(*map(np.array, rows), strict=True)
        ]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None]),
        ]
    )
    def durations(
        self, segments: tf.Tensor, lengths: tf.Tensor, rate: tf.Tensor
    ) -> tf.Tensor:
        """Predicts how long segments last.

        Args:
            segments: int32 [batch, segments].
            lengths: int32 [batch].
            rate: float32 [batch], 2 for twice as fast.

        Returns:
            Frames, int32 [batch, segments], 0 beyond the lengths; a phoneme has at
            least 1.
        """
        features = segment_features(segments, lengths, self.linguistic.linguistic_dim)
        log_durations = self.model.predict_log_durations(features, lengths)
        is_phoneme = tf.gather(self._is_phoneme, segments)
        # The mean of what is log-normal is above the exponential of the mean logarithm.
        more = 0.5 * tf.square(self.model.duration_std)
        log_durations += tf.where(is_phoneme, more, 0.0)
        durations = tf.math.expm1(log_durations) / rate[:, tf.newaxis]
        # Sums are to stay whole numbers of int32, whatever a network has learned.
        durations = tf.minimum(durations, _MOST_FRAMES)
        return whole_durations(durations, is_phoneme, lengths)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None]),
        ]
    )
    def frames(
        self,
        segments: tf.Tensor,
        lengths: tf.Tensor,
        durations: tf.Tensor,
        semitones: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Predicts frames, as the most likely trajectory.

        Args:
            segments: int32 [batch, segments].
            lengths: int32 [batch].
            durations: In frames, int32 [batch, segments], 0 beyond the lengths.
            semitones: Above the speaker's own pitch, float32 [batch].

        Returns:
            Frames as of `acoustic_frames`, float32 [batch, frames, frame_dim], 0 beyond
            the lengths and where a value is no target; and the lengths, int32 [batch].
        """
        features, frame_lengths = frame_features(
            segments, lengths, durations, self.linguistic.linguistic_dim
        )
        predicted = self.model.predict_frames(features, frame_lengths)
        frames = most_likely_trajectory(
            predicted, tf.square(self.model.prediction_std), frame_lengths
        )
        around = [self.targets.start, self.features.frame_dim - self.targets.stop]
        frames = tf.pad(frames, [[0, 0], [0, 0], around])
        if self.config.target == "lpc":
            # The last values are ln F0 and voicing.
            raised = semitones * (np.log(2.0).astype(np.float32) / 12.0)
            valid = tf.sequence_mask(frame_lengths, tf.shape(frames)[1], tf.float32)
            raised = (raised[:, tf.newaxis] * valid)[:, :, tf.newaxis]
            last = self.features.frame_dim
            frames += tf.pad(raised, [[0, 0], [0, 0], [last - 2, 1]])
        return frames, frame_lengths

    def measure_stds(self, batches: tf.data.Dataset) -> None:
        """Has the model carry the root mean square errors of its predictions.

        Args:
            batches: As of `TimedUtterances.load`.
        """
        squares, frames = 0.0, 0.0
        of_durations, segments = 0.0, 0
        for batch in batches:
            outputs = self.model(batch)
            error = tf.square(outputs["frames"] - batch["frames"])
            squares += tf.reduce_sum(error, [0, 1]).numpy().astype(np.float64)
            frames += float(self.weight(batch))
            errors = outputs["log_durations"] - batch["log_durations"]
            audible = tf.boolean_mask(errors, self._audible(batch["segments"]))
            of_durations += float(tf.reduce_sum(tf.square(audible)))
            segments += len(audible)
        self.model.prediction_std.assign(np.sqrt(np.maximum(squares / frames, 1e-10)))
        self.model.duration_std.assign(np.sqrt(of_durations / segments))

    def duration_errors(
        self, segments: tf.Tensor, wanted: tf.Tensor, found: tf.Tensor
    ) -> np.ndarray:
        """The errors of the durations of phonemes, without pauses.

        Args:
            segments: int32 [batch, segments].
            wanted: Their durations, in frames, int32 [batch, segments].
            found: Likewise.

        Returns:
            In frames, int32 [phonemes].
        """
        return tf.boolean_mask(found - wanted, self._audible(segments)).numpy()

    def _audible(self, segments: tf.Tensor) -> tf.Tensor:
        """Whether a segment is a phoneme, bool [batch, segments]."""
        return tf.gather(self._is_phoneme, segments)

    def timed(self, data: ParallelTtsData, indices: np.ndarray) -> TimedUtterances:
        """Prepares the utterances at some places for training or evaluation.

        Raises:
            CorpusError: An utterance has no phoneme times, or those of another text.
        """
        dim = self.linguistic.linguistic_dim
        return TimedUtterances(data, indices, self.targets, dim)

    def evaluate_split(self, data: ParallelTtsData, split: str) -> dict[str, Any]:
        """Speaks one split of a corpus and compares with its recordings.

        Args:
            data: The corpus.
            split: The split.

        Returns:
            `loss`; `sentences`, their number; the figures of `compare_with_recordings`
            for `COLUMNS`; and `duration_rmse_frames` of the phonemes.

        Raises:
            CorpusError: The split is empty, or phoneme times are missing.
        """
        indices = data.corpus.indices(split)
        utterances = self.timed(data, indices)
        errors: list[np.ndarray] = []

        def spoken() -> Iterator[dict[str, np.ndarray]]:
            # In batches, so that what waits for its turn fits in memory.
            for start in range(0, len(indices), EVALUATION_BATCH_SIZE):
                rows = np.arange(start, len(indices))[:EVALUATION_BATCH_SIZE]
                segments, lengths, durations = utterances.segments(rows)
                own = self.durations(segments, lengths, tf.ones([len(rows)]))
                errors.append(self.duration_errors(segments, durations, own))
                pairs = [
                    self.speak_timed(segments, lengths, each)
                    for each in (durations, own)
                ]
                for row, aligned, free in zip(rows, *pairs, strict=True):
                    yield {
                        "aligned_": self.waveform(aligned.frames),
                        "": self.waveform(free.frames),
                        "vocoder_": self.waveform(utterances.frames[row]),
                    }

        compared = compare_with_recordings(data, indices, COLUMNS, spoken())
        return {
            "sentences": len(indices),
            "loss": self.mean_loss(utterances.batches()),
            "duration_rmse_frames": root_mean_square(np.concatenate(errors)),
            **compared,
        }

    def server(self) -> ParallelTtsServer:
        """The module that is exported."""
        return ParallelTtsServer(self, self.durations, self.frames, self._read_texts())

    def lite(self) -> LiteSpeech:
        """The part that TFLite runs: segments to `frames`, and `durations` of each."""

        def predict(
            symbols: tf.Tensor,
            rate: tf.Tensor,
            semitones: tf.Tensor | Sequence[float] = (0.0,),
        ) -> dict[str, tf.Tensor]:
            lengths = tf.shape(symbols)[1:]
            durations = self.durations(symbols, lengths, rate)
            frames, _ = self.frames(symbols, lengths, durations, semitones)
            return {"frames": frames, "durations": durations}

        encode = functools.partial(encode_segments, self.front_end)
        return LiteSpeech(self, predict, encode)


def whole_durations(
    durations: tf.Tensor, is_phoneme: tf.Tensor, lengths: tf.Tensor
) -> tf.Tensor:
    """Rounds durations so that their sums are right as well.

    Args:
        durations: In frames, float32 [batch, segments].
        is_phoneme: Whether a segment is heard, and lasts for a frame at least, bool
            [batch, segments]. Another that would last for less than half of one is
            left out.
        lengths: Of the utterances, int32 [batch].

    Returns:
        int32 [batch, segments], 0 beyond the lengths.
    """
    pauses = tf.where(durations < 0.5, 0.0, durations)
    durations = tf.where(is_phoneme, tf.maximum(durations, 1.0), pauses)
    valid = tf.sequence_mask(lengths, tf.shape(durations)[1])
    ends = tf.cumsum(tf.where(valid, durations, 0.0), axis=1)
    ends = tf.cast(tf.floor(ends + 0.5), tf.int32)
    return ends - tf.pad(ends[:, :-1], [[0, 0], [1, 0]])


def _squared_error(
    normalization: Callable[[tf.Tensor], tf.Tensor],
    predicted: tf.Tensor,
    wanted: tf.Tensor,
    weights: tf.Tensor | float = 1.0,
) -> tf.Tensor:
    """The weighted mean over the last axis of the error of normalised values."""
    wanted = tf.clip_by_value(normalization(wanted), -1.0, 1.0)
    error = tf.square(normalization(predicted) - wanted)
    return tf.reduce_mean(weights * error, axis=-1)


def _sum_within(errors: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Adds up errors [batch, places] within the lengths."""
    # A replica's share may be padded beyond its longest.
    valid = tf.sequence_mask(lengths, tf.shape(errors)[1])
    return tf.reduce_sum(tf.where(valid, errors, 0.0))


def root_mean_square(errors: np.ndarray) -> float:
    """The root mean square of numbers."""
    return float(np.sqrt(np.mean(np.square(errors, dtype=float))))


def describe_scores(scores: Mapping[str, Any]) -> str:
    """The scores of `ParallelTts.evaluate_split` as text."""
    return (
        f"{scores['sentences']} sentences, loss {scores['loss']:.4f}, duration RMSE "
        f"{scores['duration_rmse_frames']:.2f} frames\n\n"
        + comparison_table(scores, COLUMNS)
    )
