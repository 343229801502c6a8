"""Optimizers and learning-rate schedules, chosen by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import keras
import tensorflow as tf

from models.config import (
    AT_LEAST_1,
    BELOW_1,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Options,
    argument,
)
from tfspeech.errors import SpecError
from tfspeech.strategies import build_spec

Builder = Callable[[Any], keras.optimizers.Optimizer]
"""Learning rate -> optimizer."""

Shape = Callable[[tf.Tensor, float, float], tf.Tensor]
"""(updates since warm-up, updates of the whole run after it, updates of the warm-up) ->
share of the peak."""


@dataclasses.dataclass(frozen=True)
class _Optimizer(Options):
    """Base of the arguments of an optimizer: a `Builder`."""

    kind: ClassVar[type[keras.optimizers.Optimizer]]

    def __call__(self, learning_rate: Any) -> keras.optimizers.Optimizer:
        """Builds the optimizer."""
        # Keras takes no whole number for most of them.
        given = {
            name: value if isinstance(value, bool) else float(value)
            for name, value in dataclasses.asdict(self).items()
        }
        return self.kind(learning_rate, **given)


@dataclasses.dataclass(frozen=True)
class Sgd(_Optimizer):
    """Gradient descent, with momentum if wanted."""

    kind = keras.optimizers.SGD
    momentum: float = argument(0.0, BELOW_1)
    nesterov: bool = False


@dataclasses.dataclass(frozen=True)
class Adam(_Optimizer):
    """Adam (Kingma, Ba 2015, arXiv 1412.6980)."""

    kind = keras.optimizers.Adam
    beta_1: float = argument(0.9, BELOW_1)
    beta_2: float = argument(0.999, BELOW_1)
    epsilon: float = argument(1e-7, POSITIVE)


@dataclasses.dataclass(frozen=True)
class AdamW(_Optimizer):
    """Adam with decoupled weight decay; the step leaves biases and norms out of it."""

    kind = keras.optimizers.AdamW
    weight_decay: float = argument(0.01, NOT_NEGATIVE)
    beta_1: float = argument(0.9, BELOW_1)
    beta_2: float = argument(0.999, BELOW_1)
    epsilon: float = argument(1e-7, POSITIVE)


@dataclasses.dataclass(frozen=True)
class RmsProp(_Optimizer):
    """RMSprop: the gradient over the root of a moving average of its square."""

    kind = keras.optimizers.RMSprop
    rho: float = argument(0.9, BELOW_1)
    momentum: float = argument(0.0, BELOW_1)
    epsilon: float = argument(1e-7, POSITIVE)


OPTIMIZERS = {"sgd": Sgd, "adam": Adam, "adamw": AdamW, "rmsprop": RmsProp}


def constant() -> Shape:
    """The peak rate throughout."""
    return lambda update, total, warmup: tf.ones_like(update)


@dataclasses.dataclass(frozen=True)
class Cosine(Options):
    """Half a cosine from the peak to the share `final` of it at the end of the run.

    Source: Loshchilov, Hutter 2017, "SGDR" (arXiv 1608.03983), equation 5.
    """

    final: float = argument(0.0, SHARE)

    def __call__(self, update: tf.Tensor, total: float, warmup: float) -> tf.Tensor:
        """The share of the peak; see `Shape`."""
        decay = keras.optimizers.schedules.CosineDecay
        return decay(1.0, total, alpha=self.final)(update)


@dataclasses.dataclass(frozen=True)
class Exponential(Options):
    """The peak times `rate` to the power of updates / `steps`."""

    rate: float = argument(0.5, POSITIVE)
    steps: int = argument(1000, AT_LEAST_1)

    def __call__(self, update: tf.Tensor, total: float, warmup: float) -> tf.Tensor:
        """The share of the peak; see `Shape`."""
        decay = keras.optimizers.schedules.ExponentialDecay
        return decay(1.0, self.steps, self.rate)(update)


def noam() -> Shape:
    """Inverse square root of the update, sqrt(warm-up / update).

    Source: Vaswani et al. 2017, "Attention is all you need" (arXiv 1706.03762), section
    5.3, with the peak given instead of derived.
    """
    return lambda update, total, warmup: tf.math.rsqrt(1.0 + update / max(warmup, 1.0))


SCHEDULES = {
    "constant": constant,
    "cosine": Cosine,
    "exponential": Exponential,
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
