"""Magnitude pruning: weights or units that become and stay exactly zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import tensorflow as tf

from models.config import argument
from tfspeech.errors import SpecError
from tfspeech.strategies.regularization.base import Regularization, Run, Update
from tfspeech.strategies.regularization.units import has_spare_units, unit_norms
from tfspeech.strategies.strategy import COUNT, COUNT_OR_0, FRACTION, State
from tfspeech.strategies.variables import VariableInfo


@dataclasses.dataclass(frozen=True)
class Prune(Regularization):
    """Constraint: the smallest weights, or units, of every tensor are exactly zero.

    After update k the share of zeros is sparsity (1 - (1 - p)^3), p = (k - begin) /
    (end - begin) within [0, 1]; it grows every `every` updates and at the last, `end`.
    In between, what was pruned is set to zero again after each update. A weight that
    was pruned never comes back. Units are those whose weights have the smallest norm;
    by default, units of hidden layers alone. Source: Zhu, Gupta 2017, "To prune, or not
    to prune" (arXiv 1710.01878), equation 1 with an initial sparsity of 0.
    """

    sparsity: float = argument(0.8, FRACTION)
    begin: int = argument(0, COUNT_OR_0)
    end: int = argument(500, COUNT)
    every: int = argument(100, COUNT)
    of: str = argument("weights", choices=("weights", "units"))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.begin < self.end, "begin", f"below end, {self.end!r}")

    @property
    def settled_after(self) -> int:
        """The update after which the whole share is zero."""
        return self.end

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects kernels and embeddings; of units, kernels with some to spare."""
        if self.of == "units":
            return has_spare_units(info)
        return super().selects_by_default(info)

    def check(self, models: Sequence[keras.Model], run: Run) -> None:
        """Raises a `SpecError` for a run that ends before pruning does."""
        if self.end > run.updates:
            raise SpecError(
                f"prune ends after update {self.end}, and the run after "
                f"{run.updates}: choose a smaller end= or a longer run"
            )

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """Mask of what is kept, bool in the weight's shape, 1 along axes of a unit."""
        (info,) = infos
        kept = tf.ones(self._sizes(tf.zeros(info.shape), info).shape, tf.bool)
        return {"kept": tf.Variable(kept, trainable=False)}

    def updated(
        self, weight: tf.Tensor, info: VariableInfo, update: Update, state: State
    ) -> tf.Tensor:
        """Returns the weight with zeros where it is pruned."""
        begin, end, every = int(self.begin), int(self.end), int(self.every)
        number = update.number + 1
        pruned = tf.where(tf.convert_to_tensor(state["kept"]), weight, 0.0)
        on_schedule = ((number - begin) % every == 0) | (number == end)
        due = (number >= begin) & (number <= end) & on_schedule

        def prune_more() -> tf.Tensor:
            done = tf.cast(number - begin, tf.float64) / (end - begin)
            share = self.sparsity * (1.0 - (1.0 - done) ** 3)
            kept = _largest(self._sizes(pruned, info), 1.0 - share)
            state["kept"].assign(kept)
            return tf.where(kept, pruned, 0.0)

        return tf.cond(due, prune_more, lambda: pruned)

    def _sizes(self, weight: tf.Tensor, info: VariableInfo) -> tf.Tensor:
        """The norms of what is pruned as a whole."""
        return unit_norms(weight, info) if self.of == "units" else tf.abs(weight)


def _largest(sizes: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Whether a value is among the largest, bool in the shape of the values.

    Exactly so many, also where values tie; zeros are the last to be among them.
    """
    size = sizes.shape.num_elements()
    count = tf.cast(tf.round(share * size), tf.int32)
    order = tf.argsort(tf.reshape(sizes, [-1]), direction="DESCENDING", stable=True)
    kept = tf.scatter_nd(order[:, tf.newaxis], tf.range(size) < count, [size])
    return tf.reshape(kept, sizes.shape)
