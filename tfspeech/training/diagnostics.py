"""Measures, in the graph, of the effect of a step on gradient and weights.

The figures answer four questions: how often and how much was clipped, what was lost by
it, whether the updates oscillate, and whether they are of a sane size. They cost no
pass over the weights but one step in `SAMPLING_STEPS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfspeech.strategies import Gradients, VariableInfo
from tfspeech.strategies.variables import WEIGHT_KINDS

SAMPLED_COORDINATES = 4096
COORDINATES_PER_VARIABLE = 64
SAMPLING_STEPS = 50
SPIKE_MOMENTUM = 0.98
SPIKE_WARMUP_STEPS = 10
SMALL_WEIGHT = 1e-3

GRADIENT_FIGURES = ("gradient_norm", "norm_zscore")
"""Figures of every step: see `SpikeMeter`."""
UPDATE_FIGURES = (
    "clipped_norm",
    "threshold",
    "element_threshold",
    "clipped",
    "clipped_tensors",
    "clipped_elements",
    "cosine",
    "retained_energy",
    "update_cosine",
    "sign_flips",
)
"""Figures of steps that are made: see `clipping_figures`, `UpdateProbe`."""

_NAN = float("nan")
_SMALLEST_NORM = 1e-37
"""Norms below it have no logarithm worth knowing; float32 flushes them to zero."""


def clipping_figures(
    raw: Gradients, clipped: Gradients, step: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Effect of clipping on one gradient; float32 scalars, NaN where not measured.

    `cosine` is that between the raw and the clipped gradient, `retained_energy` is
    |g'|^2 / |g|^2, both NaN for a gradient of zeros; `clipped_tensors` and
    `clipped_elements` are shares. Where strategies only scaled whole tensors, the norms
    G_k before and G'_k after give the cosine exactly: sum G_k G'_k / (|G| |G'|).
    Elsewhere it takes a pass over the gradient, in one step of `SAMPLING_STEPS`.

    Args:
        raw: As it came from the tape.
        clipped: As it goes to the optimizer.
        step: Number of the step, an integer scalar.
    """
    before, after = raw.global_norm, clipped.global_norm
    sizes = tf.constant([float(info.size) for info in raw.infos])
    touched = tf.cast(clipped.clipped, tf.float32)

    def of_elements() -> tuple[tf.Tensor, tf.Tensor]:
        losses, changed = [], []
        for a, b in zip(raw.values, clipped.values, strict=True):
            # |x - y|^2 / 2 = 1 - cos for unit vectors x and y.
            losses.append(tf.nn.l2_loss(a / before - b / after))
            changed.append(tf.math.count_nonzero(a != b))
        share = tf.cast(tf.add_n(changed), tf.float32) / tf.reduce_sum(sizes)
        return 1.0 - tf.add_n(losses), share

    if clipped.only_scales(raw):
        cosine = _cosine(raw.norms, clipped.norms)
        elements = tf.reduce_sum(sizes * touched) / tf.reduce_sum(sizes)
    else:
        cosine, elements = tf.cond(
            step % SAMPLING_STEPS == 0,
            of_elements,
            lambda: (tf.constant(_NAN), tf.constant(_NAN)),
        )
    return {
        "clipped_norm": after,
        "threshold": clipped.threshold,
        "element_threshold": clipped.element_threshold,
        "clipped": tf.reduce_max(touched),
        "clipped_tensors": tf.reduce_mean(touched),
        "clipped_elements": elements,
        "cosine": cosine,
        "retained_energy": tf.square(after / before),
    }


def _cosine(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """The cosine of two short vectors, float32; NaN where one of them is zero.

    In float64, where no square of a float32 value overflows or vanishes, and where
    vectors that are parallel up to rounding have a cosine of exactly 1.
    """
    a, b = tf.cast(a, tf.float64), tf.cast(b, tf.float64)
    energies = tf.reduce_sum(a * a) * tf.reduce_sum(b * b)
    return tf.cast(tf.reduce_sum(a * b) / tf.sqrt(energies), tf.float32)


class UpdateProbe:
    """Watches a fixed sample of the weights: how far each step moves them, which way.

    Small variables give more coordinates than their share of the weights; each counts
    as the `size / count` weights of its variable that it stands for.

    Args of the constructor:
        variables: The weights.
        infos: What they are.
    """

    def __init__(
        self, variables: Sequence[keras.Variable], infos: Sequence[VariableInfo]
    ) -> None:
        self._variables = tuple(variables)
        self.paths = [info.path for info in infos]
        rng = np.random.default_rng(0)
        sizes = np.array([info.size for info in infos])
        shares = SAMPLED_COORDINATES * sizes // sizes.sum()
        counts = np.minimum(sizes, np.maximum(shares, COORDINATES_PER_VARIABLE))
        self._places = [
            np.sort(rng.choice(size, count, replace=False)).astype(np.int32)
            for size, count in zip(sizes, counts, strict=True)
        ]
        self._segments = np.repeat(np.arange(len(infos)), counts)
        self._stands_for = np.repeat(sizes / counts, counts)
        self._weights = tf.Variable(self._sample(), trainable=False)
        self._moves = tf.Variable(tf.zeros_like(self._weights), trainable=False)
        self.variables = [self._weights, self._moves]

    def _sample(self) -> tf.Tensor:
        parts = [
            tf.gather(tf.reshape(tf.cast(v.value, tf.float32), [-1]), places)
            for v, places in zip(self._variables, self._places, strict=True)
        ]
        return tf.concat(parts, axis=0)

    def measure(self) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Compares the weights with those at the last call.

        Returns:
            `update_cosine`, between this move and the last one, and `sign_flips`, the
            share of those coordinates that turned round among those that moved both
            times, float32 scalars, NaN at the first move; and |dw| / |w| of every
            variable, float32 [variables], not finite where that was zero.
        """
        before, last = tf.identity(self._weights), tf.identity(self._moves)
        after = self._sample()
        self._weights.assign(after)
        self._moves.assign(after - before)
        move, last = tf.cast(after - before, tf.float64), tf.cast(last, tf.float64)
        turns = self._stands_for * tf.sign(move * last)
        root = np.sqrt(self._stands_for)
        figures = {
            "update_cosine": _cosine(root * move, root * last),
            "sign_flips": tf.cast(
                tf.reduce_sum(tf.nn.relu(-turns)) / tf.reduce_sum(tf.abs(turns)),
                tf.float32,
            ),
        }
        ratios = tf.sqrt(self._energy(move) / self._energy(before))
        return figures, tf.cast(ratios, tf.float32)

    def _energy(self, values: tf.Tensor) -> tf.Tensor:
        squares = tf.square(tf.cast(values, tf.float64))
        sums = tf.math.segment_sum(squares, self._segments)
        return tf.ensure_shape(sums, [len(self.paths)])


class SpikeMeter:
    """How unusual the norm of a gradient is: the z-score of its logarithm.

    Mean and variance are moving averages over the steps that were made; NaN for the
    first `SPIKE_WARMUP_STEPS`.
    """

    def __init__(self) -> None:
        self._mean = tf.Variable(0.0, trainable=False)
        self._variance = tf.Variable(0.0, trainable=False)
        self._count = tf.Variable(0.0, trainable=False)
        self.variables = [self._mean, self._variance, self._count]

    def measure(self, norm: tf.Tensor) -> tf.Tensor:
        """The z-score of a norm against those before it."""
        std = tf.sqrt(self._variance) + 1e-6
        score = (tf.math.log(norm) - self._mean) / std
        return tf.where(self._count < SPIKE_WARMUP_STEPS, _NAN, score)

    def update(self, norm: tf.Tensor) -> None:
        """Takes in the norm of a step that was made, unless it is zero."""
        known = tf.cast(norm > _SMALLEST_NORM, tf.float32)
        rate = known * tf.maximum(1.0 - SPIKE_MOMENTUM, 1.0 / (self._count + 1.0))
        distance = tf.math.log(tf.maximum(norm, _SMALLEST_NORM)) - self._mean
        self._mean.assign_add(rate * distance)
        self._variance.assign(
            (1.0 - rate) * (self._variance + rate * tf.square(distance))
        )
        self._count.assign_add(known)


class StepDiagnostics:
    """All that is measured of the steps of some variables.

    Args of the constructor:
        variables: The weights.
        infos: What they are.

    Attributes:
        variables: All that it keeps from step to step.
    """

    def __init__(
        self, variables: Sequence[keras.Variable], infos: Sequence[VariableInfo]
    ) -> None:
        self._probe = UpdateProbe(variables, infos)
        self._spikes = SpikeMeter()
        self.variables = [*self._probe.variables, *self._spikes.variables]

    def gradient(self, raw: Gradients) -> dict[str, tf.Tensor]:
        """The `GRADIENT_FIGURES` of a step, made or not, before it is made."""
        norm = raw.global_norm
        return {"gradient_norm": norm, "norm_zscore": self._spikes.measure(norm)}

    def made(
        self, raw: Gradients, clipped: Gradients, step: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Measures a step after it has moved the weights.

        Args:
            raw: As it came from the tape.
            clipped: As it went to the optimizer.
            step: Number of the step, an integer scalar.

        Returns:
            The `UPDATE_FIGURES`; and |dw| / |w| of every variable, float32 [variables],
            not finite where it is not known.
        """
        found = clipping_figures(raw, clipped, step)
        self._spikes.update(raw.global_norm)
        moves, ratios = self._probe.measure()
        return found | moves, ratios

    def skipped(self) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Returns the figures of `made` for a step that was not made."""
        zero = {"clipped_norm", "clipped"}
        values = {name: 0.0 if name in zero else _NAN for name in UPDATE_FIGURES}
        figures = {name: tf.constant(value) for name, value in values.items()}
        return figures, tf.fill([len(self._probe.paths)], _NAN)

    def named_ratios(self, ratios: Sequence[float]) -> dict[str, float]:
        """The ratios of `made` by the path of the variable."""
        return dict(zip(self._probe.paths, ratios, strict=True))


@dataclasses.dataclass(frozen=True)
class WeightFigures:
    """How sparse weights are, counted over kernels and embeddings.

    Attributes:
        zeros: Share of weights that are exactly zero.
        small: Share of weights below `SMALL_WEIGHT` in size.
        zero_units: Share of units all of whose weights are exactly zero.
        effective_parameters: (sum |w|)^2 / sum w^2, as a share of the weights.
    """

    zeros: float
    small: float
    zero_units: float
    effective_parameters: float


def weight_figures(
    variables: Sequence[keras.Variable], infos: Sequence[VariableInfo]
) -> WeightFigures:
    """Counts over the values that the variables have now."""
    weights = [
        (np.abs(variable.numpy()), info.unit_axes)
        for variable, info in zip(variables, infos, strict=True)
        if info.kind in WEIGHT_KINDS
    ]
    if not weights:
        return WeightFigures(0.0, 0.0, 0.0, 0.0)
    sizes = np.concatenate([w.ravel() for w, _ in weights])
    units = np.concatenate([np.all(w == 0.0, axes).ravel() for w, axes in weights])
    energy = np.sum(np.square(sizes, dtype=np.float64)) * sizes.size
    effective = np.sum(sizes, dtype=np.float64) ** 2 / energy if energy else 0.0
    shares = (sizes == 0.0, sizes < SMALL_WEIGHT, units)
    return WeightFigures(*(float(np.mean(s)) for s in shares), float(effective))
