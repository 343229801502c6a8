"""Clipping strategies: what is done to a gradient before the optimizer sees it.

Each takes the reduced, unscaled, finite gradient of a step and returns another.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from tfspeech.strategies.gradients import Gradients
from tfspeech.strategies.spec import build_spec
from tfspeech.strategies.strategy import (
    State,
    Strategy,
    check_positive,
    selected_indices,
)
from tfspeech.strategies.variables import VariableInfo


@dataclasses.dataclass(frozen=True)
class Clipping(Strategy, abc.ABC):
    """Base of the clipping strategies. They act on all variables by default."""

    @abc.abstractmethod
    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Returns the clipped gradient and updates the state."""


@dataclasses.dataclass(frozen=True)
class NoClipping(Clipping):
    """Leaves the gradient as it is; it is measured and logged all the same."""

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Returns the gradient."""
        return gradients


@dataclasses.dataclass(frozen=True)
class Value(Clipping):
    """Bounds every element: clip(g, -c, c).

    It turns the gradient towards the diagonals, the more the more elements it bounds.
    0.01 is the threshold of the project's founding documents.
    """

    c: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(c=self.c)

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Bounds every element."""
        values = [tf.clip_by_value(g, -self.c, self.c) for g in gradients.values]
        return gradients.replaced(values)


@dataclasses.dataclass(frozen=True)
class InverseSqrtDim(Clipping):
    """Bounds every element by c = 1 / sqrt(d), d the dimension of the input.

    With `of="fan_in"`, d is the fan-in of each kernel, and a bias takes that of its
    kernel: then the gradient of every unit has at most norm 1. With `of="input"`, d is
    the number of features per frame of the whole model (80 mels: c = 0.1118).
    """

    of: str = "fan_in"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of not in ("fan_in", "input"):
            raise ValueError(f"of must be 'fan_in' or 'input', not {self.of!r}")

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Bounds every element by its variable's threshold."""
        values = []
        for gradient, info in zip(gradients.values, gradients.infos, strict=True):
            dimension = info.fan_in if self.of == "fan_in" else info.input_dim
            c = dimension**-0.5
            values.append(tf.clip_by_value(gradient, -c, c))
        return gradients.replaced(values)


@dataclasses.dataclass(frozen=True)
class Norm(Clipping):
    """Bounds the norm of every tensor by itself: g min(1, c / |g|).

    It keeps the direction within a tensor and changes the balance between tensors.
    """

    c: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(c=self.c)

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Scales every tensor whose norm is above c."""
        return gradients.scaled(tf.minimum(1.0, self.c / gradients.norms))


@dataclasses.dataclass(frozen=True)
class GlobalNorm(Clipping):
    """Bounds the norm n of the whole gradient: g min(1, c / n).

    It keeps the direction: the cosine to the raw gradient is exactly 1. Source:
    Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural
    networks", algorithm 1 (arXiv 1211.5063).
    """

    c: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(c=self.c)

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Scales the whole gradient where its norm is above c."""
        return gradients.scaled(tf.minimum(1.0, self.c / gradients.global_norm))


CLIPPINGS: dict[str, type[Clipping]] = {
    "none": NoClipping,
    "value": Value,
    "inverse_sqrt_dim": InverseSqrtDim,
    "norm": Norm,
    "global_norm": GlobalNorm,
}
"""The names users write, and the strategies behind them."""


def parse_clipping(specs: Sequence[str]) -> list[Clipping]:
    """Builds clipping strategies from specs such as `["global_norm(5.0)"]`.

    Raises:
        SpecError: A spec does not parse.
    """
    return [build_spec(spec, CLIPPINGS, "clipping strategy") for spec in specs]


class ClippingChain:
    """Clipping strategies one after the other, with their state in `variables`.

    Args of the constructor:
        strategies: In the order in which they act.
        infos: What the model's trainable variables are.
    """

    def __init__(
        self, strategies: Sequence[Clipping], infos: Sequence[VariableInfo]
    ) -> None:
        self._strategies = tuple(strategies)
        for strategy in strategies:
            selected_indices(strategy, infos)
        self._states = [strategy.create_state(infos) for strategy in strategies]
        self.variables = [v for state in self._states for v in state.values()]

    def __call__(self, gradients: Gradients) -> Gradients:
        """Clips a finite gradient."""
        for strategy, state in zip(self._strategies, self._states, strict=True):
            indices = selected_indices(strategy, gradients.infos)
            if len(indices) == len(gradients.infos):
                gradients = strategy.clip(gradients, state)
            elif indices:
                part = strategy.clip(gradients.select(indices), state)
                gradients = gradients.merge(indices, part)
        return gradients
