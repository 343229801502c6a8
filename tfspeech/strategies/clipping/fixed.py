"""Clipping that depends on the present gradient alone."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from models.config import argument
from tfspeech.strategies.clipping.base import Clipping
from tfspeech.strategies.gradients import Gradients, unit_norms
from tfspeech.strategies.strategy import POSITIVE, State
from tfspeech.strategies.variables import WEIGHT_KINDS, VariableInfo


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
    """

    c: float = argument(0.01, POSITIVE)

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Bounds every element."""
        values = [tf.clip_by_value(g, -self.c, self.c) for g in gradients.values]
        return gradients.replaced(values, threshold=self.c)


@dataclasses.dataclass(frozen=True)
class InverseSqrtDim(Clipping):
    """Bounds every element by c = 1 / sqrt(d), d the dimension of the input.

    With `of="fan_in"`, d is the fan-in of each kernel, and a bias takes that of its
    kernel: then the gradient of every unit has at most norm 1. With `of="input"`, d is
    the number of features per frame of the whole model (80 mels: c = 0.1118).
    """

    by_unit: ClassVar[bool] = True

    of: str = argument("fan_in", choices=("fan_in", "input"))

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Bounds every element by its variable's threshold."""
        infos = gradients.infos
        dimensions = [i.fan_in if self.of == "fan_in" else i.input_dim for i in infos]
        bounds = [dimension**-0.5 for dimension in dimensions]
        pairs = zip(gradients.values, bounds, strict=True)
        values = [tf.clip_by_value(gradient, -c, c) for gradient, c in pairs]
        return gradients.replaced(values, threshold=min(bounds))


@dataclasses.dataclass(frozen=True)
class Norm(Clipping):
    """Bounds the norm of every tensor by itself: g min(1, c / |g|).

    It keeps the direction within a tensor and changes the balance between tensors.
    """

    c: float = argument(1.0, POSITIVE)

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

    c: float = argument(5.0, POSITIVE)

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Scales the whole gradient where its norm is above c."""
        return gradients.bounded(self.c)


@dataclasses.dataclass(frozen=True)
class BlockRms(Clipping):
    """Bounds the root mean square of every tensor: g / max(1, RMS(g) / d).

    As `norm`, with a threshold d sqrt(size) that grows with the tensor, so that one d
    fits large and small ones. Source: Shazeer, Stern 2018, "Adafactor", section 6
    (arXiv 1804.04235), where it acts on the update.
    """

    d: float = argument(1.0, POSITIVE)

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Scales every tensor whose root mean square is above d."""
        limits = tf.constant([self.d * info.size**0.5 for info in gradients.infos])
        return gradients.scaled(tf.minimum(1.0, limits / gradients.norms))


@dataclasses.dataclass(frozen=True)
class Adaptive(Clipping):
    """Bounds every unit relative to its weights: g min(1, r max(|w|, eps) / |g|).

    |w| and |g| are the norms of what leads into one output, whichever axes these are
    in the layer's layout. Known as AGC. Biases and normalisation are left alone, whose
    size says nothing about a sane step, and so is the output layer, as in the paper;
    `match` can select them, and what has no units is then taken whole. `eps` lets
    weights that are zero move. Source: Brock et al. 2021, "High-Performance Large-Scale
    Image Recognition Without Normalization", equation 3 (arXiv 2102.06171).
    """

    by_unit: ClassVar[bool] = True

    ratio: float = argument(0.01, POSITIVE)
    eps: float = argument(1e-3, POSITIVE)

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects kernels and embeddings but those of output layers."""
        return info.kind in WEIGHT_KINDS and not info.output

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Scales every unit whose gradient is too large for its weights."""
        values = []
        for gradient, weight, info in zip(
            gradients.values, gradients.weights, gradients.infos, strict=True
        ):
            axes = info.unit_axes or None
            limits = self.ratio * tf.maximum(unit_norms(weight, axes), self.eps)
            scales = tf.minimum(1.0, limits / unit_norms(gradient, axes))
            values.append(gradient * scales)
        return gradients.replaced(values)


@dataclasses.dataclass(frozen=True)
class Smooth(Clipping):
    """Scales by c / (c + n): the norm goes to c without a kink.

    It keeps the direction and never quite stops: at n = c the gradient is halved, and
    far below c it loses the share n / c. Source: Zhang et al. 2020, "Why gradient
    clipping accelerates training" (arXiv 1905.11881), where this rate and `global_norm`
    are within a factor of two of each other.
    """

    c: float = argument(5.0, POSITIVE)

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Scales the whole gradient, always."""
        factor = self.c / (self.c + gradients.global_norm)
        return gradients.scaled(factor, threshold=self.c)


@dataclasses.dataclass(frozen=True)
class Centralize(Clipping):
    """Subtracts from the gradient of every unit its mean over the unit's fan-in.

    It is no bound but a projection: the mean of a unit's weights stays what it is. It
    goes before a bound in a chain. Only kernels have a fan-in; embeddings, biases and
    normalisation are left alone. Source: Yong et al. 2020, "Gradient Centralization"
    (arXiv 2004.01461).
    """

    by_unit: ClassVar[bool] = True

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects kernels."""
        return info.kind in ("kernel", "recurrent_kernel")

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Subtracts the mean of every unit."""
        values = []
        for gradient, info in zip(gradients.values, gradients.infos, strict=True):
            if info.unit_axes:
                # Divided before the sum, which could overflow.
                share = gradient / info.fan_in
                gradient -= tf.reduce_sum(share, info.unit_axes, keepdims=True)
            values.append(gradient)
        return gradients.replaced(values)


FIXED: dict[str, type[Clipping]] = {
    "none": NoClipping,
    "value": Value,
    "inverse_sqrt_dim": InverseSqrtDim,
    "norm": Norm,
    "global_norm": GlobalNorm,
    "block_rms": BlockRms,
    "adaptive": Adaptive,
    "smooth": Smooth,
    "centralize": Centralize,
}
"""Names and strategies."""
