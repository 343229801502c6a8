"""Adversarial training: the losses of scores, and how discriminators are moved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from models.config import POSITIVE, Options, option
from tfspeech.training.config import OptimizationConfig

ScoreLoss = Callable[[tf.Tensor], tf.Tensor]
"""Scores, float32 of any shape, to losses of the same shape."""


class AdversarialLoss(NamedTuple):
    """Losses of scores, which are high where a recording is heard.

    Attributes:
        real: By the discriminators, of recordings.
        fake: By the discriminators, of synthetic speech.
        taken: By the generator, of its speech.
    """

    real: ScoreLoss
    fake: ScoreLoss
    taken: ScoreLoss


LOSSES = {
    # J. Lim, J. Ye, "Geometric GAN", 2017.
    "hinge": AdversarialLoss(
        lambda scores: tf.nn.relu(1.0 - scores),
        lambda scores: tf.nn.relu(1.0 + scores),
        lambda scores: -scores,
    ),
    # X. Mao et al., "Least Squares Generative Adversarial Networks", 2017.
    "least_squares": AdversarialLoss(
        lambda scores: tf.square(scores - 1.0),
        tf.square,
        lambda scores: tf.square(scores - 1.0),
    ),
    # M. Arjovsky, S. Chintala, L. Bottou, "Wasserstein Generative Adversarial
    # Networks", 2017. The slope of the discriminators must be bounded otherwise.
    "wasserstein": AdversarialLoss(
        lambda scores: -scores,
        lambda scores: scores,
        lambda scores: -scores,
    ),
}
"""Name -> loss."""


@dataclasses.dataclass(frozen=True)
class DiscriminatorTraining(Options):
    """Adversarial training."""

    adversarial_loss: str = option(
        "hinge",
        "what the discriminators minimise, and by which they teach; wasserstein needs "
        'a bound on them, such as --discriminator-regularize "box(-0.01, 0.01)"',
        choices=tuple(LOSSES),
    )
    discriminator_learning_rate: float = option(
        1e-3, "peak learning rate of the discriminators", POSITIVE
    )
    discriminator_clip: tuple[str, ...] = option(
        ("global_norm(5.0)",),
        "clipping strategy of the discriminators; repeat it for a chain",
        metavar="SPEC",
    )
    discriminator_regularize: tuple[str, ...] = option(
        (),
        "regularization strategy of the discriminators; repeat it for a chain",
        metavar="SPEC",
    )

    def settings(self, generator: OptimizationConfig) -> OptimizationConfig:
        """How the discriminators are moved, where not otherwise said as the generator.

        Raises:
            SpecError: A strategy is unknown.
        """
        return OptimizationConfig(
            optimizer=generator.optimizer,
            learning_rate=self.discriminator_learning_rate,
            schedule=generator.schedule,
            warmup_steps=generator.warmup_steps,
            clip=self.discriminator_clip,
            regularize=self.discriminator_regularize,
            ema_momentum=0.0,
        )
