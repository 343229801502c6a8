"""Durations and frames of segments, predicted in graphs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
import tensorflow as tf

from models import DenseSynthesis, ParallelTts
from models.layers import mask_frames
from models.layers.random import fold_in, normal
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.trajectory import most_likely_trajectory
from tfspeech.tasks.conditions import (
    ENERGY,
    PITCH,
    PITCH_RANGE,
    RATE,
    SEED,
    TEMPERATURE,
    Condition,
)
from tfspeech.tasks.parallel_tts.config import ParallelSynthesisConfig, target_values
from tfspeech.tasks.parallel_tts.data import segment_words
from tfspeech.tasks.parallel_tts.statistics import predicts_deltas, utterance_means
from tfspeech.text.context import FrameContext
from tfspeech.text.linguistic import frame_features, segment_features

# Of a segment; whoever speaks asks for far less.
_MOST_FRAMES = 2.0**16

SEGMENTS = (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32))
"""Segments [batch, segments] and their lengths [batch]."""
PER_SEGMENT = tf.TensorSpec([None, None])
"""A condition [batch, segments], or [batch, 1] for all segments alike."""


def conditions_of(inputs: Collection[str], target: str) -> tuple[Condition, ...]:
    """The conditions that a model can be asked for.

    Args:
        inputs: Names of its inputs.
        target: See `ParallelSynthesisConfig`.
    """
    found: tuple[Condition, ...] = (RATE,)
    if target == "lpc":
        found += (PITCH,)
        found += (PITCH_RANGE, ENERGY) * ("prosody" in inputs)
    return found + (TEMPERATURE, SEED) * ("latent" in inputs)


class Prediction:
    """Predictions of a model with durations for segments, under conditions.

    Where a model has a latent variable, its values are the temperature times what the
    seed draws from N(0, 1) for a word; without these conditions they are 0.

    Args of the constructor:
        model: Of `ParallelSynthesis`.
        config: Of the task.
        features: The frames.
        linguistic_dim: Linguistic features of a segment or frame.
        is_phoneme: Whether a symbol is heard, bool [symbols].
        conditions: What speech can be asked for, with the rate.

    Attributes:
        durations: Predicts durations, see `predict_durations`, compiled.
        frames: Predicts frames, see `predict_frames`, compiled.
    """

    def __init__(
        self,
        model: DenseSynthesis | ParallelTts,
        config: ParallelSynthesisConfig,
        features: AcousticConfig,
        linguistic_dim: int,
        is_phoneme: np.ndarray,
        conditions: tuple[Condition, ...],
    ) -> None:
        self.model = model
        self.config = config
        self.features = features
        self.targets = target_values(config, features)
        self._deltas = predicts_deltas(model, self.targets)
        self._linguistic_dim = linguistic_dim
        self._is_phoneme = is_phoneme
        specs = {c.name: PER_SEGMENT for c in conditions}
        self.durations = tf.function(
            self.predict_durations, input_signature=[*SEGMENTS, specs]
        )
        self.frames = tf.function(
            self.predict_frames,
            input_signature=[*SEGMENTS, tf.TensorSpec([None, None], tf.int32), specs],
        )

    def predict_durations(
        self,
        segments: tf.Tensor,
        lengths: tf.Tensor,
        conditions: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        """Predicts how long segments last.

        Args:
            segments: int32 [batch, segments].
            lengths: int32 [batch].
            conditions: By name, each float32 [batch, segments or 1].

        Returns:
            Frames, int32 [batch, segments], 0 beyond the lengths; a phoneme has at
            least 1.
        """
        inputs = self._segment_inputs(segments, lengths, conditions)
        log_durations = self.model.predict_log_durations(inputs)
        is_phoneme = tf.gather(self._is_phoneme, segments)
        # The mean of what is log-normal is above the exponential of the mean logarithm.
        more = 0.5 * tf.square(self.model.duration_std)
        log_durations += tf.where(is_phoneme, more, 0.0)
        durations = tf.math.expm1(log_durations) / conditions["rate"]
        # Sums are to stay whole numbers of int32, whatever a network has learned.
        durations = tf.minimum(durations, _MOST_FRAMES)
        return whole_durations(durations, is_phoneme, lengths)

    def _segment_inputs(
        self,
        segments: tf.Tensor,
        lengths: tf.Tensor,
        conditions: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """The inputs of models that are of segments, without recordings."""
        dim = self._linguistic_dim
        inputs = {
            "segments": segments,
            "segment_features": segment_features(segments, lengths, dim),
            "segment_lengths": lengths,
        }
        if "latent" in self.model.signature:
            size = self.model.signature["latent"].shape[-1]
            inputs["latent"] = draw_latent(segments, lengths, conditions, size)
        return inputs

    def predict_frames(
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
            conditions: By name, each float32 [batch, segments or 1]; without influence
                is the rate.

        Returns:
            Frames as of `acoustic_frames`, float32 [batch, frames, frame_dim], 0 beyond
            the lengths and where a value is no target; and the lengths, int32 [batch].
        """
        inputs = self._segment_inputs(segments, lengths, conditions)
        context = FrameContext(segments, lengths, durations)
        if "frame_features" in self.model.signature:
            dim = self._linguistic_dim
            features, _ = frame_features(segments, lengths, durations, dim)
            inputs["frame_features"] = features
        else:
            inputs["frame_segments"] = context.place
        frame_lengths = context.frame_lengths
        energy_db = conditions.get("energy", tf.zeros([1, 1]))
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
            frames = self._with_pitch(frames, context, conditions)
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
        mean = utterance_means(frames, lengths)
        return mask_frames(mean + scale * (frames - mean), lengths)

    def _with_pitch(
        self,
        frames: tf.Tensor,
        context: FrameContext,
        conditions: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        """Moves the pitch of frames, whose last values are ln F0 and voicing."""

        def of_frames(name: str) -> tf.Tensor:
            segments = tf.zeros_like(context.symbols, tf.float32)
            return context.spread(segments + conditions[name])

        raised = of_frames("semitones") * (math.log(2.0) / 12.0)
        if "pitch_range" in conditions:
            wider = of_frames("pitch_range") - 1.0
            middle = self.model.prosody_normalization.mean[0]
            raised += wider * (frames[:, :, -2] - middle)
        lengths = context.frame_lengths
        valid = tf.sequence_mask(lengths, tf.shape(frames)[1], tf.float32)
        # TFLite has no new axes where it knows no sizes, but by this operation.
        raised = tf.expand_dims(raised * valid, 2)
        return frames + tf.pad(raised, [[0, 0], [0, 0], [frames.shape[-1] - 2, 1]])


def draw_latent(
    segments: tf.Tensor,
    lengths: tf.Tensor,
    conditions: Mapping[str, tf.Tensor],
    size: int,
) -> tf.Tensor:
    """Draws the latent variable of every word from N(0, temperature^2).

    Args:
        segments: int32 [batch, segments].
        lengths: int32 [batch].
        conditions: `temperature` and `seed`, float32 [batch, segments or 1]; without
            them the values are 0.
        size: Of the latent variable.

    Returns:
        float32 [batch, segments or 1, size], the same for a seed and a place of a word.
    """
    if "temperature" not in conditions:
        return tf.zeros([1, 1, size])
    seeds = tf.cast(conditions["seed"], tf.int64)
    seeds = fold_in(seeds, segment_words(segments, lengths))
    drawn = normal(tf.reshape(seeds, [-1]), [size], "latent")
    drawn = tf.reshape(drawn, tf.concat([tf.shape(seeds), [size]], axis=0))
    return conditions["temperature"][:, :, tf.newaxis] * drawn


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
