"""Losses of duration-based synthesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from models import DenseSynthesis, FrameDiscriminator, ParallelTts
from models.layers import FeatureNormalization
from tfspeech.audio.trajectory import with_deltas
from tfspeech.data.pipeline import Batch
from tfspeech.tasks.parallel_tts.config import ParallelSynthesisConfig


class SynthesisLoss:
    """Errors of frames, durations, pitch and energy, all normalised to [-1, 1].

    Targets beyond, which are rare, count as -1 or 1. A frame's error, absolute or
    squared, is the mean over its values and differences, weighted by `pitch_weight`
    and `delta_weight`. The errors of segments are squared and added up, as those of
    frames are; pitch and energy are those of segments that last.

    Args of the constructor:
        model: Of `ParallelSynthesis`.
        config: Of the task.
        values: Of a frame that are predicted.
        deltas: Whether the differences between frames are predicted, too.
    """

    def __init__(
        self,
        model: DenseSynthesis | ParallelTts,
        config: ParallelSynthesisConfig,
        values: int,
        deltas: bool,
    ) -> None:
        self._model, self._config, self._deltas = model, config, deltas
        weights = np.ones(values, np.float32)
        if config.target == "lpc":
            weights[-2:] = config.pitch_weight
        self._weights = np.concatenate([weights, config.delta_weight * weights])

    def __call__(
        self, outputs: dict[str, tf.Tensor], batch: Batch
    ) -> dict[str, tf.Tensor]:
        """Adds up the errors of `frames`, `durations` and, if predicted, `prosody`."""
        model, lengths = self._model, batch["segment_lengths"]
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
        return terms

    def _frame_error(self, frames: tf.Tensor, batch: Batch) -> tf.Tensor:
        """The sum over all frames of their weighted errors."""
        lengths = batch["frame_lengths"]
        pair = _normalized(self._model.normalization, frames, batch["frames"])
        if not self._deltas and self._config.delta_weight:
            pair = (with_deltas(each, lengths) for each in pair)
        predicted, wanted = pair
        error = tf.abs if self._config.frame_loss == "l1" else tf.square
        weights = self._weights[: wanted.shape[-1]]
        errors = tf.reduce_mean(weights * error(predicted - wanted), axis=-1)
        return _sum_within(errors, lengths)


def kl_divergence(outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The KL divergence of the posterior of every dimension from N(0, 1).

    Source: Kingma, Welling 2014 (arXiv 1312.6114), appendix B.

    Args:
        outputs: `latent_mean` and `latent_log_variance`, float32 [batch, words,
            latent_size].

    Returns:
        In nats, float32 [batch, words, latent_size].
    """
    mean, log_variance = outputs["latent_mean"], outputs["latent_log_variance"]
    return 0.5 * (tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance)


def word_mask(batch: Batch, divergences: tf.Tensor) -> tf.Tensor:
    """Whether an utterance has a word, bool [batch, words]; see `kl_divergence`."""
    counts = tf.reduce_max(batch["segment_words"], axis=1) + 1
    return tf.sequence_mask(counts, tf.shape(divergences)[1])


def latent_loss(
    outputs: Mapping[str, tf.Tensor], batch: Batch, config: ParallelSynthesisConfig
) -> tuple[tf.Tensor, tf.Tensor | float]:
    """Adds up the divergences of a batch, of each dimension at least the free bits.

    Free bits are those of Kingma et al. 2016 (arXiv 1606.04934), of every word instead
    of a mean over the batch, so that it does not matter which share one. The
    weight rises linearly, after Bowman et al. 2016 (arXiv 1511.06349).

    Args:
        outputs: See `kl_divergence`.
        batch: With `segment_words`; in training with `epochs_done` float32 [batch].
        config: Of the task.

    Returns:
        The sum, in nats, and its weight in the loss.
    """
    divergences = kl_divergence(outputs)
    costs = tf.reduce_sum(tf.maximum(divergences, config.free_bits), axis=2)
    total = tf.reduce_sum(tf.where(word_mask(batch, divergences), costs, 0.0))
    if not (config.kl_warmup and "epochs_done" in batch):
        return total, config.kl_weight
    share = tf.reduce_max(batch["epochs_done"]) / config.kl_warmup
    return total, config.kl_weight * tf.minimum(share, 1.0)


class AdversarialLoss:
    """Squared errors of a discriminator's scores: Mao et al. 2017 (arXiv 1611.04076).

    Args of the constructor:
        discriminator: Of the first values of frames that are targets.
        normalization: Of the targets.
    """

    def __init__(
        self, discriminator: FrameDiscriminator, normalization: FeatureNormalization
    ) -> None:
        self._discriminator = discriminator
        self._normalization = normalization

    def __call__(self, frames: tf.Tensor, wanted: float, batch: Batch) -> tf.Tensor:
        """Adds up the errors of frames whose scores are to be the wanted one."""
        lengths = batch["frame_lengths"]
        frames = self._normalization(frames)
        segments, places = batch["segments"], batch["frame_segments"]
        inputs = {
            "frames": frames[:, :, : self._discriminator.feature_dim],
            "frame_symbols": tf.gather(segments, places, batch_dims=1),
            "frame_lengths": lengths,
        }
        errors = tf.square(self._discriminator(inputs)["scores"] - wanted)
        return _sum_within(errors, lengths)


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


def _sum_within(errors: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Adds up errors [batch, places] within the lengths."""
    # A replica's share may be padded beyond its longest.
    valid = tf.sequence_mask(lengths, tf.shape(errors)[1])
    return tf.reduce_sum(tf.where(valid, errors, 0.0))
