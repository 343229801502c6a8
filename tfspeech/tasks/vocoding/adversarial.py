"""Adversarial training of vocoders: discriminators, and what they teach."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import keras
import tensorflow as tf

from models.config import option
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.pipeline import Batch
from tfspeech.tasks.adversarial import LOSSES, DiscriminatorTraining, ScoreLoss
from tfspeech.tasks.task import GroupSpec
from tfspeech.tasks.vocoding.config import VocodingConfig
from tfspeech.tasks.vocoding.task import Vocoding
from tfspeech.training.config import OptimizationConfig
from tfspeech.training.step import Losses

_SCORE = "/score"
_SMALL = 1e-6  # Activations of silence may be 0.
_SMALLEST_NORM = 1e-12


@dataclasses.dataclass(frozen=True)
class AdversaryConfig(DiscriminatorTraining):
    """Adversarial training."""

    adversarial_weight: float = option(
        0.1, "weight of what the discriminators say, beside the difference of spectra"
    )
    feature_weight: float = option(
        1.0, "weight of the difference of what their layers see, likewise"
    )
    balance: bool = option(
        False,
        "these weights are of gradients at the waveform, relative to that of the "
        "difference of spectra, whatever the size of the terms",
    )


class AdversarialVocoding(Vocoding):
    """Vocoding against discriminators.

    I. Goodfellow et al., "Generative Adversarial Nets", 2014: the discriminators learn
    to tell recordings from what the vocoder makes, and the vocoder learns to be taken
    for them. Besides that it keeps the loss of `Vocoding`, by which the best model is
    chosen, and matches what the layers of the discriminators see (K. Kumar et al.,
    "MelGAN", 2019).

    Args of the constructor:
        model: The vocoder's; see `Vocoding`.
        discriminators: Of waveforms; see `Discriminators`.
        config: Of the task.
        adversary: Of the discriminators.
        features: The frames, with a sample rate.
        settings: How the discriminators are moved.
    """

    def __init__(
        self,
        model: keras.Model,
        discriminators: keras.Model,
        config: VocodingConfig,
        adversary: AdversaryConfig,
        features: AcousticConfig,
        settings: OptimizationConfig,
    ) -> None:
        super().__init__(model, config, features)
        self.discriminators = discriminators
        self._adversary = adversary
        self._loss = LOSSES[adversary.adversarial_loss]
        self.models = {"model": model, "discriminators": discriminators}
        self.groups = {
            "discriminators": GroupSpec(("discriminators",), settings),
            "model": GroupSpec(("model",)),
        }

    def losses(self, group: str, batch: Batch, training: bool = True) -> Losses:
        """The terms of a group's loss, means over a batch.

        Those of the discriminators are `real` and `fake`. The vocoder has `adversarial`
        and `features` beside those of `Vocoding`, which are alone outside training.
        """
        if not training:
            return super().losses(group, batch, training)
        outputs = self.model(batch, training=True)
        ours, theirs = (
            self.compared(each) for each in (outputs["waveform"], batch["waveform"])
        )
        judge = self.discriminators
        weights = tf.cast(batch["frame_lengths"] - 1, tf.float32) / self.weight(batch)
        real = judge({"waveform": theirs}, training=True)
        if group == "discriminators":
            fake = judge({"waveform": tf.stop_gradient(ours)}, training=True)
            return Losses(
                {
                    "real": _mean_score(self._loss.real, real, weights),
                    "fake": _mean_score(self._loss.fake, fake, weights),
                }
            )
        return self._vocoder_losses(outputs, real, weights, batch)

    def _vocoder_losses(
        self,
        outputs: dict[str, tf.Tensor],
        real: dict[str, tf.Tensor],
        weights: tf.Tensor,
        batch: Batch,
    ) -> Losses:
        """The terms of the vocoder's loss.

        Args:
            outputs: Of the vocoder.
            real: Of the discriminators, for the recordings.
            weights: Of the rows of the batch, float32 [batch], with the sum 1.
            batch: As of `losses`.
        """
        waveform = outputs["waveform"]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(waveform)
            spectral = self.losses_of(outputs, batch)
            kept = spectral.total
            fake = self.discriminators(
                {"waveform": self.compared(waveform)}, training=True
            )
            taught = {
                "adversarial": _mean_score(self._loss.taken, fake, weights),
                "features": _feature_distance(real, fake, weights),
            }
        factors = {
            "adversarial": self._adversary.adversarial_weight,
            "features": self._adversary.feature_weight,
        }
        if self._adversary.balance:
            norm = self._norm(tape.gradient(kept, waveform), batch)
            for name, term in taught.items():
                own = self._norm(tape.gradient(term, waveform), batch)
                factors[name] *= norm / (own + _SMALLEST_NORM)
        factors = {**spectral.weights, **factors}
        return Losses({**spectral.terms, **taught}, factors, outputs)

    def _norm(self, gradient: tf.Tensor, batch: Batch) -> tf.Tensor:
        """The norm of the gradient of a mean, over the rows of all replicas.

        A. Defossez et al., "High Fidelity Neural Audio Compression", 2022, section 3.4,
        take a moving average of it; that of the batch needs no state.
        """
        replicas = tf.distribute.get_replica_context()
        weight = self.weight(batch)
        whole = replicas.all_reduce(tf.distribute.ReduceOp.SUM, weight)
        square = tf.square(weight / whole) * tf.reduce_sum(tf.square(gradient))
        total = replicas.all_reduce(tf.distribute.ReduceOp.SUM, square)
        return tf.stop_gradient(tf.sqrt(total))


def _mean_score(
    loss: ScoreLoss, outputs: Mapping[str, tf.Tensor], weights: tf.Tensor
) -> tf.Tensor:
    """The mean loss of the scores of all views.

    Args:
        loss: Of scores.
        outputs: Of `Discriminators`.
        weights: Of the rows of a batch, float32 [batch], with the sum 1.
    """
    scores = [each for name, each in outputs.items() if name.endswith(_SCORE)]
    means = [tf.reduce_mean(loss(each), axis=1) for each in scores]
    return tf.reduce_sum(weights * tf.add_n(means)) / len(means)


def _feature_distance(
    real: Mapping[str, tf.Tensor], fake: Mapping[str, tf.Tensor], weights: tf.Tensor
) -> tf.Tensor:
    """The mean difference of activations, relative to those of the recordings."""
    ratios = []
    for name, wanted in real.items():
        if not name.endswith(_SCORE):
            distance = tf.reduce_mean(tf.abs(wanted - fake[name]), axis=[1, 2])
            size = tf.reduce_mean(tf.abs(wanted), axis=[1, 2])
            ratios.append(distance / (size + _SMALL))
    return tf.reduce_sum(weights * tf.add_n(ratios)) / len(ratios)
