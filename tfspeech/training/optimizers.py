"""Optimizers and learning-rate schedules, chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.strategies import build_spec

Builder = Callable[[Any], keras.optimizers.Optimizer]
"""Learning rate -> optimizer."""

Shape = Callable[[tf.Tensor, float, float], tf.Tensor]
"""(updates since warm-up, updates of the whole run after it, updates of the warm-up) ->
share of the peak."""


def sgd(momentum: float = 0.0, nesterov: bool = False) -> Builder:
    """Gradient descent, with momentum if wanted."""
    return partial(keras.optimizers.SGD, momentum=momentum, nesterov=nesterov)


def adam(beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> Builder:
    """Adam (Kingma, Ba 2015, arXiv 1412.6980)."""
    return partial(keras.optimizers.Adam, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


def adamw(
    weight_decay: float = 0.01,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Builder:
    """Adam with decoupled weight decay; the step leaves biases and norms out of it."""
    return partial(
        keras.optimizers.AdamW,
        weight_decay=weight_decay,
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
    )


def rmsprop(rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7) -> Builder:
    """RMSprop: the gradient over the root of a moving average of its square."""
    return partial(
        keras.optimizers.RMSprop, rho=rho, momentum=momentum, epsilon=epsilon
    )


OPTIMIZERS = {"sgd": sgd, "adam": adam, "adamw": adamw, "rmsprop": rmsprop}


def constant() -> Shape:
    """The peak rate throughout."""
    return lambda update, total, warmup: tf.ones_like(update)


def cosine(final: float = 0.0) -> Shape:
    """Half a cosine from the peak to the share `final` of it at the end of the run.

    Source: Loshchilov, Hutter 2017, "SGDR" (arXiv 1608.03983), equation 5.
    """
    decay = keras.optimizers.schedules.CosineDecay
    return lambda update, total, warmup: decay(1.0, total, alpha=final)(update)


def exponential(rate: float = 0.5, steps: int = 1000) -> Shape:
    """The peak times `rate` to the power of updates / `steps`."""
    decay = keras.optimizers.schedules.ExponentialDecay
    return lambda update, total, warmup: decay(1.0, steps, rate)(update)


def noam() -> Shape:
    """Inverse square root of the update, sqrt(warm-up / update).

    Source: Vaswani et al. 2017, "Attention is all you need" (arXiv 1706.03762), section
    5.3, with the peak given instead of derived.
    """
    return lambda update, total, warmup: tf.math.rsqrt(1.0 + update / max(warmup, 1.0))


SCHEDULES = {
    "constant": constant,
    "cosine": cosine,
    "exponential": exponential,
    "noam": noam,
}


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to a peak learning rate, then a shape of decay.

    Args of the constructor:
        spec: Of one of `SCHEDULES`, such as `cosine(final=0.1)`.
        peak: The highest learning rate.
        warmup_steps: Updates until the peak is reached.
        total_steps: Updates of the whole run.

    Raises:
        SpecError: The spec does not parse.
    """

    def __init__(
        self, spec: str, peak: float, warmup_steps: int, total_steps: int
    ) -> None:
        self._shape = build_spec(spec, SCHEDULES, "schedule")
        self._peak = peak
        self._warmup = float(warmup_steps)
        self._decay_steps = float(max(total_steps - warmup_steps, 1))

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate of the update after `step` others, a float32 scalar."""
        step = tf.cast(step, tf.float32)
        warm = tf.minimum(1.0, (step + 1.0) / (self._warmup + 1.0))
        update = tf.maximum(step - self._warmup, 0.0)
        return self._peak * warm * self._shape(update, self._decay_steps, self._warmup)


def parse_optimizer(spec: str) -> Builder:
    """Reads a spec such as `adam(beta_2=0.98)`, without a device being touched.

    Raises:
        SpecError: The spec does not parse.
    """
    return build_spec(spec, OPTIMIZERS, "optimizer")


def build_optimizer(
    spec: str, learning_rate: Schedule | float
) -> keras.optimizers.Optimizer:
    """Builds an optimizer from a spec.

    Raises:
        SpecError: The spec does not parse, or an argument is out of range.
    """
    try:
        return parse_optimizer(spec)(learning_rate)
    except ValueError as error:
        raise SpecError(f"{error}. Received: {spec!r}") from error
