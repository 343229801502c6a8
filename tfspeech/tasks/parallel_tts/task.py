"""Parametric synthesis: durations first, then frames, each from linguistic features."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models import DenseSynthesis
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.trajectory import most_likely_trajectory
from tfspeech.audio.vocoders import VOCODERS
from tfspeech.data.pipeline import Batch
from tfspeech.tasks.parallel_tts.config import (
    VOCODER_OF,
    ParametricConfig,
    check_prosody,
    target_values,
)
from tfspeech.tasks.parallel_tts.data import (
    FrameBatches,
    ParametricData,
    Spoken,
    log_duration,
)
from tfspeech.tasks.parallel_tts.evaluation import evaluate_parametric
from tfspeech.tasks.parallel_tts.server import ParametricServer
from tfspeech.tasks.speech.task import SpeechTask
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.linguistic import (
    LinguisticConfig,
    encode_segments,
    frame_features,
    segment_features,
)
from tfspeech.text.phonemes import PHONEMES


@dataclasses.dataclass(frozen=True)
class ParametricSpeech:
    """One utterance as it was predicted.

    Attributes:
        frames: As of `acoustic_frames`, float32 [frames, frame_dim]; values that are no
            target are 0.
        durations: Of its segments, in frames, int32 [segments].
    """

    frames: np.ndarray
    durations: np.ndarray

    @property
    def alignment(self) -> np.ndarray:
        """1 where a frame is of a segment, else 0, float32 [frames, segments]."""
        segments = np.eye(len(self.durations), dtype=np.float32)
        return np.repeat(segments, self.durations, axis=0)

    @property
    def stopped(self) -> bool:
        """Whether the model itself found the end: always, durations tell it."""
        return True


class ParametricSynthesis(SpeechTask):
    """What a synthesiser that works frame by frame is trained for.

    Args of the constructor:
        model: From linguistic features to durations and frames with differences.
        config: Of the task.
        features: The frames, with a sample rate.
        linguistic: The features.
        front_end: What reads texts, as phonemes.
        read_texts: Returns the texts whose words an exported model is to know.

    Attributes:
        monitor: The score by which models are chosen.
        higher_is_better: Whether more of it is better.
        targets: Which of the values of a frame are predicted.
        vocoder: From frames to waveforms.
    """

    monitor = "aligned_mcd_db"
    higher_is_better = False

    def __init__(
        self,
        model: DenseSynthesis,
        config: ParametricConfig,
        features: AcousticConfig,
        linguistic: LinguisticConfig,
        front_end: TextFrontEnd,
        read_texts: Callable[[], Sequence[str]],
    ) -> None:
        vocoder = VOCODERS[VOCODER_OF[config.target]](features)
        super().__init__(model, vocoder, features, front_end)
        self.config = config
        self.linguistic = linguistic
        self.targets = target_values(config, features)
        self._read_texts = read_texts
        self._is_phoneme = np.array([name in PHONEMES for name in front_end.symbols])
        weights = np.ones(self.targets.stop - self.targets.start, np.float32)
        if config.target == "lpc":
            weights[-2:] = config.pitch_weight
        self._weights = np.concatenate([weights, config.delta_weight * weights])

    def loss(self, outputs: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """The mean squared errors of frames and log durations, added, a scalar.

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
        lengths = batch["frame_lengths"], batch["segment_lengths"]
        total = sum(
            # A replica's share may be padded beyond its longest.
            tf.reduce_sum(
                tf.where(tf.sequence_mask(length, tf.shape(error)[1]), error, 0.0)
            )
            for error, length in zip((frames, durations), lengths, strict=True)
        )
        return total / self.weight(batch)

    def speak(
        self, texts: Sequence[str], rate: float = 1.0, semitones: float = 0.0
    ) -> list[ParametricSpeech]:
        """Speaks texts, as one batch.

        Args:
            texts: English.
            rate: 2 is twice as fast as the speaker.
            semitones: Above the speaker's own pitch.

        Raises:
            SpecError: Speech cannot be so fast or so high.
            TextError: A text has a symbol that is unknown, or none at all.
        """
        check_prosody(rate, semitones, self.config.target)
        segments, lengths = _padded(
            [encode_segments(self.front_end, text) for text in texts]
        )
        durations = self.durations(
            segments, lengths, tf.fill([len(texts)], float(rate))
        )
        return self.speak_timed(segments, lengths, durations, semitones)

    def speak_timed(
        self,
        segments: tf.Tensor,
        lengths: tf.Tensor,
        durations: tf.Tensor,
        semitones: float = 0.0,
    ) -> list[ParametricSpeech]:
        """Speaks segments with given durations.

        Args:
            segments: int32 [batch, segments].
            lengths: int32 [batch].
            durations: In frames, int32 [batch, segments], 0 beyond the lengths.
            semitones: Above the speaker's own pitch.
        """
        raised = tf.fill([segments.shape[0]], float(semitones))
        frames, frame_lengths = self.frames(segments, lengths, durations, raised)
        return [
            ParametricSpeech(each[:count], timing[:length])
            for each, count, timing, length in zip(
                frames.numpy(),
                frame_lengths.numpy(),
                durations.numpy(),
                lengths.numpy(),
                strict=True,
            )
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

    def measure_deviations(self, spoken: Spoken, batches: tf.data.Dataset) -> None:
        """Has the model carry how far its predictions are from what was spoken.

        Args:
            spoken: Utterances.
            batches: The same, as of `FrameBatches`.
        """
        segments, lengths, durations = spoken.padded(tf.range(spoken.durations.nrows()))
        features = segment_features(segments, lengths, self.linguistic.linguistic_dim)
        errors = self.model.predict_log_durations(features, lengths)
        errors -= log_duration(durations)
        heard = tf.boolean_mask(errors, tf.gather(self._is_phoneme, segments))
        deviation = tf.sqrt(tf.reduce_mean(tf.square(heard)))
        self.model.duration_std.assign(deviation)
        squares, count = 0.0, 0.0
        for batch in batches:
            frames = self.model.predict_frames(
                batch["frame_features"], batch["frame_lengths"]
            )
            error = tf.square(frames - batch["frames"])
            squares += tf.reduce_sum(error, [0, 1]).numpy().astype(np.float64)
            count += float(self.weight(batch))
        self.model.prediction_std.assign(np.sqrt(np.maximum(squares / count, 1e-10)))

    def duration_rmse_frames(
        self, segments: tf.Tensor, wanted: tf.Tensor, found: tf.Tensor
    ) -> float:
        """Root mean square error of the durations of phonemes, without pauses.

        Args:
            segments: int32 [batch, segments].
            wanted: Their durations, in frames, int32 [batch, segments].
            found: Likewise.
        """
        heard = tf.gather(self._is_phoneme, segments)
        errors = tf.cast(tf.boolean_mask(found - wanted, heard), tf.float32)
        return float(tf.sqrt(tf.reduce_mean(tf.square(errors))))

    def batches(self, spoken: Spoken) -> FrameBatches:
        """Prepares utterances for training."""
        return FrameBatches(spoken, self.targets, self.linguistic)

    def evaluate_split(self, data: ParametricData, split: str) -> dict[str, Any]:
        """Scores the model on one split of a corpus; see `evaluate_parametric`.

        Raises:
            CorpusError: The split is empty.
        """
        return evaluate_parametric(self, data, data.corpus.indices(split))

    def server(self) -> ParametricServer:
        """The module that is exported."""
        return ParametricServer(
            self.model,
            self.durations,
            self.frames,
            self.vocoder,
            self.front_end,
            self._read_texts(),
            self.features,
        )


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


def _padded(encoded: Sequence[np.ndarray]) -> tuple[tf.Tensor, tf.Tensor]:
    ragged = tf.ragged.stack([tf.constant(each) for each in encoded])
    return ragged.to_tensor(), tf.cast(ragged.row_lengths(), tf.int32)
