"""What a step did to the gradient and to the weights, measured in the graph.

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

from tfspeech.strategies import Gradients, VariableInfo, vector_norm
from tfspeech.strategies.variables import WEIGHT_KINDS

SAMPLED_COORDINATES = 4096
COORDINATES_PER_VARIABLE = 64
SAMPLING_STEPS = 50
SPIKE_MOMENTUM = 0.98
SPIKE_WARMUP_STEPS = 10
SMALL_WEIGHT = 1e-3

_NAN = float("nan")


def clipping_figures(
    raw: Gradients, clipped: Gradients, step: tf.Tensor
) -> dict[str, tf.Tensor]:
    """What clipping did to one gradient; float32 scalars, NaN where not measured.

    `cosine` is that between the raw and the clipped gradient, `retained_energy` is
    |g'|^2 / |g|^2, and `clipped_tensors` and `clipped_elements` are shares. Where
    strategies only scaled whole tensors, the norms G_k before and G'_k after give the
    cosine exactly: sum G_k G'_k / (|G| |G'|). Elsewhere it takes a pass over the
    gradient, in one step of `SAMPLING_STEPS`.

    Args:
        raw: As it came from the tape.
        clipped: As it goes to the optimizer.
        step: Number of the step, an integer scalar.
    """
    before, after = raw.global_norm, clipped.global_norm
    sizes = tf.constant([float(info.size) for info in raw.infos])
    touched = tf.cast(clipped.clipped, tf.float32)

    def of_norms() -> tuple[tf.Tensor, tf.Tensor]:
        cosine = tf.reduce_sum((raw.norms / before) * (clipped.norms / after))
        return cosine, tf.reduce_sum(sizes * touched) / tf.reduce_sum(sizes)

    def of_elements() -> tuple[tf.Tensor, tf.Tensor]:
        products, changed = [], []
        for a, b in zip(raw.values, clipped.values, strict=True):
            products.append(tf.reduce_sum((a / before) * (b / after)))
            changed.append(tf.math.count_nonzero(a != b, dtype=tf.float32))
        return tf.add_n(products), tf.add_n(changed) / tf.reduce_sum(sizes)

    if clipped.only_scales(raw):
        cosine, elements = of_norms()
    else:
        cosine, elements = tf.cond(
            step % SAMPLING_STEPS == 0,
            of_elements,
            lambda: (tf.constant(_NAN), tf.constant(_NAN)),
        )
    return {
        "clipped_norm": after,
        "threshold": clipped.threshold,
        "clipped": tf.reduce_max(touched),
        "clipped_tensors": tf.reduce_mean(touched),
        "clipped_elements": elements,
        "cosine": tf.clip_by_value(cosine, -1.0, 1.0),
        "retained_energy": tf.square(after / before),
    }


class UpdateProbe:
    """Watches a fixed sample of the weights: how far each step moves them, which way.

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
        total = sum(info.size for info in infos)
        shares = [SAMPLED_COORDINATES * info.size // total for info in infos]
        counts = [
            min(info.size, max(share, COORDINATES_PER_VARIABLE))
            for info, share in zip(infos, shares, strict=True)
        ]
        self._places = [
            np.sort(rng.choice(info.size, count, replace=False)).astype(np.int32)
            for info, count in zip(infos, counts, strict=True)
        ]
        self._segments = np.repeat(np.arange(len(infos)), counts)
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
            share of coordinates that turned round, float32 scalars; and |dw| / |w| of
            every variable, float32 [variables].
        """
        before, last = tf.identity(self._weights), tf.identity(self._moves)
        after = self._sample()
        move = after - before
        norms = vector_norm(move) * vector_norm(last)
        figures = {
            "update_cosine": tf.reduce_sum(move * last) / norms,
            "sign_flips": tf.reduce_mean(tf.cast(move * last < 0.0, tf.float32)),
        }
        moved = self._energy(move)
        ratios = tf.sqrt(moved / tf.maximum(self._energy(before), 1e-30))
        self._weights.assign(after)
        self._moves.assign(move)
        return figures, ratios

    def _energy(self, values: tf.Tensor) -> tf.Tensor:
        sums = tf.math.segment_sum(tf.square(values), self._segments)
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
        deviation = tf.sqrt(self._variance) + 1e-6
        score = (tf.math.log(norm) - self._mean) / deviation
        return tf.where(self._count < SPIKE_WARMUP_STEPS, _NAN, score)

    def update(self, norm: tf.Tensor) -> None:
        """Takes in the norm of a step that was made."""
        rate = tf.maximum(1.0 - SPIKE_MOMENTUM, 1.0 / (self._count + 1.0))
        logarithm = tf.math.log(tf.maximum(norm, 1e-38))
        distance = logarithm - self._mean
        self._mean.assign_add(rate * distance)
        self._variance.assign(
            (1.0 - rate) * (self._variance + rate * tf.square(distance))
        )
        self._count.assign_add(1.0)


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
    size = zeros = small = units = zero_units = 0
    total = energy = 0.0
    for variable, info in zip(variables, infos, strict=True):
        if info.kind not in WEIGHT_KINDS:
            continue
        sizes = np.abs(variable.numpy())
        size += sizes.size
        zeros += int(np.count_nonzero(sizes == 0.0))
        small += int(np.count_nonzero(sizes < SMALL_WEIGHT))
        whole = np.all(sizes == 0.0, axis=info.unit_axes)
        units += whole.size
        zero_units += int(np.count_nonzero(whole))
        total += float(np.sum(sizes, dtype=np.float64))
        energy += float(np.sum(np.square(sizes, dtype=np.float64)))
    if not size:
        return WeightFigures(0.0, 0.0, 0.0, 0.0)
    effective = total**2 / (energy * size) if energy else 0.0
    return WeightFigures(zeros / size, small / size, zero_units / units, effective)
