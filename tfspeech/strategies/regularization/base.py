"""The base classes of regularization strategies.

Strategies act at three points. A *penalty* adds to the loss. An *update rule* or a
*constraint* changes the weights after the optimizer has, on steps that update only.
*Reparameterization* changes the model before the optimizer is built: a weight becomes a
function of itself and of a new trainable parameter.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.strategies.strategy import State, Strategy
from tfspeech.strategies.variables import WEIGHT_KINDS, VariableInfo


@dataclasses.dataclass(frozen=True)
class Update:
    """Description of the update that a step is to make.

    Attributes:
        number: Updates made before this one, an int64 scalar.
        learning_rate: Its learning rate, a float32 scalar.
    """

    number: tf.Tensor
    learning_rate: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Run:
    """Description of a training run before its first step.

    Attributes:
        updates: In the whole run.
        examples: Utterances of the training set.
        seed: Of the noise that strategies draw.
    """

    updates: int
    examples: int
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Regularization(Strategy):
    """Base of the regularization strategies; each overrides what it needs.

    Biases and normalisation are left alone unless `match` selects them: they are few,
    and their size says nothing about how much a model can memorise.
    """

    @property
    def settled_after(self) -> int:
        """Updates after which a model is what the strategy is to make of it."""
        return 0

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects kernels and embeddings."""
        return info.kind in WEIGHT_KINDS

    def check(self, models: Sequence[keras.Model], run: Run) -> None:
        """Raises a `SpecError` for models or a run that the strategy is not for."""

    def penalty(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor | None:
        """Returns what one weight adds to the loss, a float32 scalar, or None."""
        return None

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor | None:
        """Returns one weight as it is to be after an update, or None for no change.

        Args:
            weight: As the optimizer has left it.
            info: What it is.
            update: That was made.
            state: What `create_state` made for this weight alone.
        """
        return None


@dataclasses.dataclass(frozen=True)
class ActivationPenalty(Regularization, abc.ABC):
    """Base of the penalties on activations; `match` selects layers, not variables.

    A model names the layers in `activation_names`. Called `with_activations`, it
    returns their outputs under `activations`, by those names, and the lengths that go
    with them under `activation_lengths`.
    """

    def selects_layer(self, name: str) -> bool:
        """Whether the strategy acts on a layer."""
        return self.is_found_in(name)

    def check(self, models: Sequence[keras.Model], run: Run) -> None:
        """Raises a `SpecError` for models none of which has such activations."""
        names = [n for m in models for n in getattr(m, "activation_names", ())]
        if not names:
            found = ", ".join(model.name for model in models)
            raise SpecError(f"no activations to penalise in: {found}")
        if not any(self.selects_layer(name) for name in names):
            raise SpecError(f"match={self.match!r} selects none of: {', '.join(names)}")

    @abc.abstractmethod
    def activation_penalty(
        self, activations: Mapping[str, tf.Tensor], lengths: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """Returns what activations add to the loss, a float32 scalar.

        It is computed on every replica at once, and is the same on all.

        Args:
            activations: By layer, [batch, frames, units]; on each replica those of its
                share of the batch.
            lengths: By layer, int32 [batch], in frames.
        """


@dataclasses.dataclass(frozen=True)
class Reparameterization(Regularization, abc.ABC):
    """Base of the strategies that compute a weight from itself and a parameter."""

    @abc.abstractmethod
    def initial_parameter(self, info: VariableInfo) -> tf.Tensor:
        """The first value of the trainable parameter that goes with a weight."""

    @abc.abstractmethod
    def effective(
        self,
        weight: tf.Tensor,
        parameter: tf.Tensor,
        info: VariableInfo,
        seed: Sequence[int] | tf.Tensor | None,
    ) -> tf.Tensor:
        """The weight that the model works with.

        Args:
            weight: As the optimizer has it.
            parameter: That goes with it.
            info: What the weight is.
            seed: int32 [2], for stateless noise, the same on every replica; None for
                the weight that is evaluated and exported, without noise.
        """

    @abc.abstractmethod
    def parameter_penalty(
        self,
        weight: tf.Tensor,
        parameter: tf.Tensor,
        info: VariableInfo,
        update: Update,
        run: Run,
    ) -> tf.Tensor:
        """Returns what one weight and its parameter add to the loss."""
