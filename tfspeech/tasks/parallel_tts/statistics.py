"""Statistics of the errors and variances of frames of a model with durations."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models import DenseSynthesis, ParallelTts
from models.layers import mask_frames
from tfspeech.tasks.parallel_tts.losses import kl_divergence, word_mask

_ACTIVE_VARIANCE = 0.01


def predicts_deltas(model: DenseSynthesis | ParallelTts, targets: slice) -> bool:
    """Whether a model predicts the differences between frames, beside the targets."""
    return model.target_dim == 2 * (targets.stop - targets.start)


def root_mean_square(errors: np.ndarray) -> float:
    """The root mean square of numbers."""
    return float(np.sqrt(np.mean(np.square(errors, dtype=float))))


def measure_latent(model: ParallelTts, batches: tf.data.Dataset) -> dict[str, float]:
    """Measures what the posteriors of words say.

    Args:
        model: With a latent variable.
        batches: As of `TimedUtterances.load`.

    Returns:
        `kl_nats`, the divergence from the prior, a mean over utterances; and
        `active_dimensions`, those whose posterior means have a variance above 0.01:
        Burda et al. 2016 (arXiv 1509.00519), section 5.
    """
    total, utterances, means = 0.0, 0, []
    for batch in batches:
        outputs = model(batch)
        divergences = kl_divergence(outputs)
        mask = word_mask(batch, divergences)
        total += float(tf.reduce_sum(tf.boolean_mask(divergences, mask)))
        utterances += len(mask)
        means.append(tf.boolean_mask(outputs["latent_mean"], mask))
    variances = np.concatenate(means).var(axis=0)
    return {
        "kl_nats": total / utterances,
        "active_dimensions": int(np.sum(variances > _ACTIVE_VARIANCE)),
    }


def measure_stds(
    model: DenseSynthesis | ParallelTts,
    batches: tf.data.Dataset,
    is_phoneme: np.ndarray,
    deltas: bool,
) -> None:
    """Has a model carry the root mean square errors of its predictions.

    Where it predicts no differences, it carries the ratio of variances instead of the
    errors of frames. A latent variable is 0, as it is in synthesis by default.

    Args:
        model: Of `ParallelSynthesis`.
        batches: As of `TimedUtterances.load`.
        is_phoneme: Whether a symbol is heard, bool [symbols].
        deltas: Whether the model predicts the differences between frames.
    """
    squares, frames = 0.0, 0.0
    variances = np.zeros([2, 1])
    of_durations, segments = 0.0, 0
    spec = model.signature.get("latent")
    latent = {} if spec is None else {"latent": tf.zeros([1, 1, spec.shape[-1]])}
    for batch in batches:
        outputs = model(batch | latent)
        lengths = batch["frame_lengths"]
        if deltas:
            error = tf.square(outputs["frames"] - batch["frames"])
            squares += tf.reduce_sum(error, [0, 1]).numpy().astype(np.float64)
            frames += float(tf.reduce_sum(lengths))
        else:
            variances = variances + [
                _squares(each["frames"], lengths).numpy().astype(np.float64)
                for each in (batch, outputs)
            ]
        errors = outputs["log_durations"] - batch["log_durations"]
        audible = tf.boolean_mask(errors, tf.gather(is_phoneme, batch["segments"]))
        of_durations += float(tf.reduce_sum(tf.square(audible)))
        segments += len(audible)
    if deltas:
        squares = np.maximum(squares / frames, 1e-10)
        model.prediction_std.assign(np.sqrt(squares))
    else:
        recorded, predicted = np.maximum(variances, 1e-10)
        model.variance_ratio.assign(np.sqrt(recorded / predicted))
    model.duration_std.assign(np.sqrt(of_durations / segments))


def utterance_means(frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The mean of every utterance, [batch, 1, values]; frames are 0 beyond lengths."""
    counts = tf.maximum(tf.cast(lengths, tf.float32), 1.0)[:, tf.newaxis, tf.newaxis]
    return tf.reduce_sum(frames, axis=1, keepdims=True) / counts


def _squares(frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The sum of squared deviations from the means of utterances, [values]."""
    around = mask_frames(frames - utterance_means(frames, lengths), lengths)
    return tf.reduce_sum(tf.square(around), axis=[0, 1])
