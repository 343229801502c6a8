"""Duration-based synthesis: durations, then frames, each from linguistic features."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models import DenseSynthesis, FrameDiscriminator, ParallelTts
from models.layers import mask_frames
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.trajectory import most_likely_trajectory, with_deltas
from tfspeech.audio.vocoders import VOCODERS
from tfspeech.data.pipeline import Batch
from tfspeech.errors import TextError
from tfspeech.tasks.conditions import ENERGY, PITCH, PITCH_RANGE, RATE, Condition
from tfspeech.tasks.parallel_tts.config import (
    VOCODER_OF,
    ParallelSynthesisConfig,
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
from tfspeech.tasks.task import GroupSpec
from tfspeech.text.context import FrameContext
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

DISCRIMINATOR = "discriminator"
"""The discriminator among the models of the task, and its group."""
SEGMENTS = (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32))
"""Segments [batch, segments] and their lengths [batch]."""

COLUMNS = {
    "aligned_": Column("true durations", frame_pairs),
    "": Column("own durations"),
    "vocoder_": Column("vocoder", frame_pairs),
    OTHER_VOICE: Column("other voice"),
}
"""Prefix of a score -> what it was measured on: the model with the durations of the
recording; the model with its own; the vocoder with the frames of the recording; and
another voice that reads the same text."""


class ParallelSynthesis(SpeechTask):
    """What a duration-based synthesiser is trained for.

    Args of the constructor:
        model: From segments to `log_durations` and `frames`, with differences where
            it predicts twice as many values as there are targets. Its `signature`
            names what it reads, and it has `predict_log_durations`, `predict_frames`,
            `set_statistics` and the normalizations of `DenseSynthesis`.
        config: Of the task.
        features: The frames, with a sample rate.
        linguistic: The features.
        front_end: What reads texts, as phonemes.
        read_texts: Returns the texts whose words an exported model is to know.
        discriminator: Of the first values of frames that are targets, for an
            adversarial loss; None for none.

    Attributes:
        targets: Which of the values of a frame are predicted.
    """

    monitor = Monitor("aligned_mcd_db", higher_is_better=False)

    def __init__(
        self,
        model: DenseSynthesis | ParallelTts,
        config: ParallelSynthesisConfig,
        features: AcousticConfig,
        linguistic: LinguisticConfig,
        front_end: TextFrontEnd,
        read_texts: Callable[[], Sequence[str]],
        discriminator: FrameDiscriminator | None = None,
    ) -> None:
        vocoder = VOCODERS[VOCODER_OF[config.target]](features)
        super().__init__(model, vocoder, features, front_end)
        self._discriminator = discriminator
        if discriminator is not None:
            self.models[DISCRIMINATOR] = discriminator
            self.groups[DISCRIMINATOR] = GroupSpec((DISCRIMINATOR,))
        predicts_prosody = "prosody" in model.signature
        self.conditions: tuple[Condition, ...] = (RATE,)
        if config.target == "lpc":
            self.conditions += (PITCH,)
            self.conditions += (PITCH_RANGE, ENERGY) * predicts_prosody
        self.config = config
        self.linguistic = linguistic
        self.targets = target_values(config, features)
        self._read_texts = read_texts
        self._is_phoneme = np.array([name in PHONEMES for name in front_end.symbols])
        weights = np.ones(self.targets.stop - self.targets.start, np.float32)
        if config.target == "lpc":
            weights[-2:] = config.pitch_weight
        self._deltas = model.target_dim == 2 * weights.size
        self._weights = np.concatenate([weights, config.delta_weight * weights])
        conditions = {c.name: c.spec for c in self.conditions if c is not RATE}
        self.frames = tf.function(
            self._predict_frames,
            input_signature=[
                *SEGMENTS,
                tf.TensorSpec([None, None], tf.int32),
                conditions,
            ],
        )

    def losses(self, group: str, batch: Batch, training: bool = True) -> Losses:
        """The terms of the loss of the model, see `losses_of`, or the discriminator's.

        With a discriminator, the model has the term `adversarial`, too. Both are least
        squares: Mao et al. 2017 (arXiv 1611.04076).
        """
        if self._discriminator is None:
            return super().losses(group, batch, training)
        if group == DISCRIMINATOR:
            predicted = self.model(batch, training=training)["frames"]
            terms = {
                "recorded": self._score_error(batch["frames"], 1.0, batch),
                "predicted": self._score_error(tf.stop_gradient(predicted), 0.0, batch),
            }
            return Losses(terms)
        found = super().losses(group, batch, training)
        error = self._score_error(found.outputs["frames"], 1.0, batch)
        weights = {"adversarial": self.config.adversarial_weight}
        return found._replace(
            terms={**found.terms, "adversarial": error}, weights=weights
        )

    def _score_error(self, frames: tf.Tensor, wanted: float, batch: Batch) -> tf.Tensor:
        """The squared error of the discriminator's scores, per frame."""
        lengths = batch["frame_lengths"]
        frames = self.model.normalization(frames)
        segments, places = batch["segments"], batch["frame_segments"]
        inputs = {
            "frames": frames[:, :, : self._discriminator.feature_dim],
            "frame_symbols": tf.gather(segments, places, batch_dims=1),
            "frame_lengths": lengths,
        }
        errors = tf.square(self._discriminator(inputs)["scores"] - wanted)
        return _sum_within(errors, lengths) / self.weight(batch)

    @property
    def predicted(self) -> slice:
        """Which of the values of a frame the model predicts: the targets."""
        return self.targets

    def losses_of(self, outputs: dict[str, tf.Tensor], batch: Batch) -> Losses:
        """The errors of `frames`, `durations` and, if predicted, `prosody`, per frame.

        All are errors of what is normalised to [-1, 1]; targets beyond, which are rare,
        count as -1 or 1. A frame's error, absolute or squared, is the mean over its
        values and differences, weighted by `pitch_weight` and `delta_weight`. The
        errors of segments are squared, added up and divided by the frames, as those of
        frames are; pitch and energy are those of segments that last.
        """
        model, lengths = self.model, batch["segment_lengths"]
        durations = _squared_error(
            model.duration_normalization,
            *(values["log_durations"][:, :, tf.newaxis] for values in (outputs, batch)),
        )
        terms = {
            "frames": self._frame_error(outputs["frames"], batch),
            "durations": _sum_within(durations, lengths),
        }
        if "prosody" in outputs:
            prosody = _squared_error(
                model.prosody_normalization, outputs["prosody"], batch["prosody"]
            )
            prosody = tf.where(batch["durations"] > 0, prosody, 0.0)
            terms["prosody"] = _sum_within(prosody, lengths)
        count = self.weight(batch)
        terms = {name: total / count for name, total in terms.items()}
        return Losses(terms, outputs=outputs)

    def distillation(
        self,
        outputs: dict[str, tf.Tensor],
        taught: dict[str, tf.Tensor],
        batch: Batch,
        temperature: float,
    ) -> tf.Tensor:
        """The loss with the teacher's outputs as targets; see `losses_of`."""
        return self.losses_of(outputs, {**batch, **taught}).total

    def _frame_error(self, frames: tf.Tensor, batch: Batch) -> tf.Tensor:
        """The sum over all frames of their weighted errors."""
        lengths = batch["frame_lengths"]
        pair = _normalized(self.model.normalization, frames, batch["frames"])
        if not self._deltas and self.config.delta_weight:
            pair = (with_deltas(each, lengths) for each in pair)
        predicted, wanted = pair
        error = tf.abs if self.config.frame_loss == "l1" else tf.square
        weights = self._weights[: wanted.shape[-1]]
        errors = tf.reduce_mean(weights * error(predicted - wanted), axis=-1)
        return _sum_within(errors, lengths)

    def synthesize_texts(
        self, texts: Sequence[str], rate: float = 1.0, **prosody: float
    ) -> list[Speech]:
        """Speaks texts with predicted durations, as one batch; see `speak`.

        Args:
            texts: English.
            rate: 2 is twice as fast as the speaker.
            **prosody: The other conditions.

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
        return self.speak_timed(segments, lengths, durations, **prosody)

    def speak_timed(
        self,
        segments: tf.Tensor,
        lengths: tf.Tensor,
        durations: tf.Tensor,
        **prosody: float,
    ) -> list[Speech]:
        """Speaks segments with given durations.

        Args:
            segments: int32 [batch, segments].
            lengths: int32 [batch].
            durations: In frames, int32 [batch, segments], 0 beyond the lengths.
            **prosody: Conditions other than the rate, by default neutral.

        Returns:
            Speech whose alignment is 1 where a frame is of a segment, else 0; values of
            frames that are no target are 0.
        """
        values = {
            c.name: tf.fill([segments.shape[0]], float(prosody.get(c.name, c.default)))
            for c in self.conditions
            if c is not RATE
        }
        frames, frame_lengths = self.frames(segments, lengths, durations, values)
        rows = (frames, frame_lengths, lengths, durations)
        return [
            Speech(
                each[:count],
                np.repeat(np.eye(length, dtype=np.float32), timing[:length], axis=0),
            )
            for each, count, length, timing in zip(*map(np.array, rows), strict=True)
        ]

    @tf.function(input_signature=[*SEGMENTS, tf.TensorSpec([None])])
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
        inputs = self._segment_inputs(segments, lengths)
        log_durations = self.model.predict_log_durations(inputs)
        is_phoneme = tf.gather(self._is_phoneme, segments)
        # The mean of what is log-normal is above the exponential of the mean logarithm.
        more = 0.5 * tf.square(self.model.duration_std)
        log_durations += tf.where(is_phoneme, more, 0.0)
        durations = tf.math.expm1(log_durations) / rate[:, tf.newaxis]
        # Sums are to stay whole numbers of int32, whatever a network has learned.
        durations = tf.minimum(durations, _MOST_FRAMES)
        return whole_durations(durations, is_phoneme, lengths)

    def _segment_inputs(
        self, segments: tf.Tensor, lengths: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The inputs of models that are of segments, without recordings."""
        dim = self.linguistic.linguistic_dim
        return {
            "segments": segments,
            "segment_features": segment_features(segments, lengths, dim),
            "segment_lengths": lengths,
        }

    def _predict_frames(
        self,
        segments: tf.Tensor,
        lengths: tf.Tensor,
        durations: tf.Tensor,
        conditions: Mapping[str, tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Predicts frames; where differences are predicted, the likeliest trajectory.

        Args:
            segments: int32 [batch, segments].
            lengths: int32 [batch].
            durations: In frames, int32 [batch, segments], 0 beyond the lengths.
            conditions: All but the rate, by name, each float32 [batch].

        Returns:
            Frames as of `acoustic_frames`, float32 [batch, frames, frame_dim], 0 beyond
            the lengths and where a value is no target; and the lengths, int32 [batch].
        """
        inputs = self._segment_inputs(segments, lengths)
        if "frame_features" in self.model.signature:
            dim = self.linguistic.linguistic_dim
            features, frame_lengths = frame_features(segments, lengths, durations, dim)
            inputs["frame_features"] = features
        else:
            context = FrameContext(segments, lengths, durations)
            frame_lengths = context.frame_lengths
            inputs["frame_segments"] = context.place
        energy_db = conditions.get("energy", tf.zeros_like(lengths, tf.float32))
        inputs |= {
            "frame_lengths": frame_lengths,
            "durations": durations,
            "energy": energy_db * (math.log(10.0) / 20.0),
        }
        frames = self.model.predict_frames(inputs)
        if self._deltas:
            variances = tf.square(self.model.prediction_std)
            frames = most_likely_trajectory(frames, variances, frame_lengths)
        if self.config.variance_scaling:
            frames = self._with_variance(frames, frame_lengths)
        if self.config.target == "lpc":
            frames = self._with_pitch(frames, frame_lengths, conditions)
        around = [self.targets.start, self.features.frame_dim - self.targets.stop]
        return tf.pad(frames, [[0, 0], [0, 0], around]), frame_lengths

    def _with_variance(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Widens trajectories around the mean of their utterance.

        Means over what could have been said vary less than what is said. Source: Silen
        et al. 2012, "Ways to Implement Global Variance in Statistical Speech
        Synthesis". Pitch and voicing stay as they are.
        """
        scale = tf.pow(self.model.variance_ratio, self.config.variance_scaling)
        if self.config.target == "lpc":
            scale = tf.concat([scale[:-2], tf.ones([2])], axis=0)
        mean = _utterance_means(frames, lengths)
        return mask_frames(mean + scale * (frames - mean), lengths)

    def _with_pitch(
        self,
        frames: tf.Tensor,
        lengths: tf.Tensor,
        conditions: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        """Moves the pitch of frames, whose last values are ln F0 and voicing."""
        raised = conditions["semitones"][:, tf.newaxis] * (math.log(2.0) / 12.0)
        if "pitch_range" in conditions:
            wider = conditions["pitch_range"][:, tf.newaxis] - 1.0
            middle = self.model.prosody_normalization.mean[0]
            raised += wider * (frames[:, :, -2] - middle)
        valid = tf.sequence_mask(lengths, tf.shape(frames)[1], tf.float32)
        # TFLite has no new axes where it knows no sizes, but by this operation.
        raised = tf.expand_dims(raised * valid, 2)
        return frames + tf.pad(raised, [[0, 0], [0, 0], [frames.shape[-1] - 2, 1]])

    def measure_stds(self, batches: tf.data.Dataset) -> None:
        """Has the model carry the root mean square errors of its predictions.

        Where it predicts no differences, it carries the ratio of variances instead of
        the errors of frames.

        Args:
            batches: As of `TimedUtterances.load`.
        """
        squares, frames = 0.0, 0.0
        variances = np.zeros([2, 1])
        of_durations, segments = 0.0, 0
        for batch in batches:
            outputs = self.model(batch)
            if self._deltas:
                error = tf.square(outputs["frames"] - batch["frames"])
                squares += tf.reduce_sum(error, [0, 1]).numpy().astype(np.float64)
                frames += float(self.weight(batch))
            else:
                lengths = batch["frame_lengths"]
                variances = variances + [
                    _squares(each["frames"], lengths).numpy().astype(np.float64)
                    for each in (batch, outputs)
                ]
            errors = outputs["log_durations"] - batch["log_durations"]
            audible = tf.boolean_mask(errors, self._audible(batch["segments"]))
            of_durations += float(tf.reduce_sum(tf.square(audible)))
            segments += len(audible)
        if self._deltas:
            squares = np.maximum(squares / frames, 1e-10)
            self.model.prediction_std.assign(np.sqrt(squares))
        else:
            recorded, predicted = np.maximum(variances, 1e-10)
            self.model.variance_ratio.assign(np.sqrt(recorded / predicted))
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
        return TimedUtterances(
            *(data, indices, self.targets, self.linguistic.linguistic_dim),
            inputs=self.model.signature,
            deltas=self._deltas,
        )

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

        compared = compare_with_recordings(data, indices, COLUMNS, spoken(), self.judge)
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
            pitch_range: tf.Tensor | Sequence[float] = (1.0,),
            energy: tf.Tensor | Sequence[float] = (0.0,),
        ) -> dict[str, tf.Tensor]:
            lengths = tf.shape(symbols)[1:]
            durations = self.durations(symbols, lengths, rate)
            given = {
                "semitones": semitones,
                "pitch_range": pitch_range,
                "energy": energy,
            }
            prosody = {c.name: given[c.name] for c in self.conditions if c is not RATE}
            frames, _ = self.frames(symbols, lengths, durations, prosody)
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


def _normalized(
    normalization: Callable[[tf.Tensor], tf.Tensor],
    predicted: tf.Tensor,
    wanted: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Both normalised, and the targets clipped to [-1, 1]."""
    return normalization(predicted), tf.clip_by_value(normalization(wanted), -1.0, 1.0)


def _squared_error(
    normalization: Callable[[tf.Tensor], tf.Tensor],
    predicted: tf.Tensor,
    wanted: tf.Tensor,
) -> tf.Tensor:
    """The mean over the last axis of the squared error of normalised values."""
    predicted, wanted = _normalized(normalization, predicted, wanted)
    return tf.reduce_mean(tf.square(predicted - wanted), axis=-1)


def _utterance_means(frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The mean of every utterance, [batch, 1, values]; frames are 0 beyond lengths."""
    counts = tf.maximum(tf.cast(lengths, tf.float32), 1.0)[:, tf.newaxis, tf.newaxis]
    return tf.reduce_sum(frames, axis=1, keepdims=True) / counts


def _squares(frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The sum of squared deviations from the means of utterances, [values]."""
    around = mask_frames(frames - _utterance_means(frames, lengths), lengths)
    return tf.reduce_sum(tf.square(around), axis=[0, 1])


def _sum_within(errors: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Adds up errors [batch, places] within the lengths."""
    # A replica's share may be padded beyond its longest.
    valid = tf.sequence_mask(lengths, tf.shape(errors)[1])
    return tf.reduce_sum(tf.where(valid, errors, 0.0))


def root_mean_square(errors: np.ndarray) -> float:
    """The root mean square of numbers."""
    return float(np.sqrt(np.mean(np.square(errors, dtype=float))))


def describe_scores(scores: Mapping[str, Any]) -> str:
    """The scores of `ParallelSynthesis.evaluate_split` as text."""
    return (
        f"{scores['sentences']} sentences, loss {scores['loss']:.4f}, duration RMSE "
        f"{scores['duration_rmse_frames']:.2f} frames\n\n"
        + comparison_table(scores, COLUMNS)
    )
