"""The gradient of a step as strategies see it: dense, in float32, with its norms."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import tensorflow as tf

from tfspeech.strategies.variables import VariableInfo

Raw = tf.Tensor | tf.IndexedSlices | None


class Gradients:
    """The gradients of all variables that have one, with a norm for each.

    Norms are computed once. Strategies that only scale leave the tensors alone and
    multiply the scales; the product is taken once, when `values` is asked for.

    Args of the constructor:
        tensors: Dense gradients, float32.
        infos: What each tensor's variable is.
        weights: The variables' values, float32; for strategies that compare with them.

    Attributes:
        infos: What each tensor's variable is.
        weights: The variables' values.
        norms: L2 norms of the tensors, float32 [tensors], scales included.
        global_norm: The L2 norm of all values together, a float32 scalar.
        raw_norms: The same before any strategy acted.
        clipped: Whether a strategy has changed the tensor, bool [tensors].
        threshold: What the last strategy that bounds the global norm bounds it to, a
            float32 scalar; NaN where none does.
        element_threshold: The smallest bound on an element, by the last strategy that
            has one, a float32 scalar; NaN where none does.
    """

    def __init__(
        self,
        tensors: Sequence[tf.Tensor],
        infos: Sequence[VariableInfo],
        weights: Sequence[tf.Tensor] = (),
    ) -> None:
        self._tensors = list(tensors)
        self._scales: tf.Tensor | None = None
        self.infos = list(infos)
        self.weights = list(weights)
        self._set_norms(tensor_norms(self._tensors))
        self.raw_norms = self.norms
        self.clipped = tf.zeros(len(self.infos), tf.bool)
        self.threshold = self.element_threshold = tf.constant(float("nan"))

    @property
    def values(self) -> list[tf.Tensor]:
        """The tensors, float32, in the shapes of their variables."""
        if self._scales is None:
            return list(self._tensors)
        scales = tf.unstack(self._scales, len(self._tensors))
        return [g * s for g, s in zip(self._tensors, scales, strict=True)]

    def _set_norms(self, norms: tf.Tensor) -> None:
        self.norms = norms
        # Once for all who ask; a graph leaves out what nobody does.
        self.global_norm = vector_norm(norms)

    def only_scales(self, raw: Gradients) -> bool:
        """Whether these are the tensors of `raw`, each times a factor."""
        pairs = zip(self._tensors, raw._tensors, strict=True)
        return raw._scales is None and all(a is b for a, b in pairs)

    def scaled(
        self, scales: tf.Tensor, threshold: tf.Tensor | float | None = None
    ) -> Gradients:
        """Returns the gradient with tensor `k` multiplied by `scales[k]`.

        Args:
            scales: float32 [tensors], or a scalar for all.
            threshold: What the global norm is bounded to, if it is.
        """
        scales = tf.broadcast_to(scales, tf.shape(self.norms))
        after = copy.copy(self)
        after._scales = scales if self._scales is None else self._scales * scales
        after._set_norms(self.norms * scales)
        after.clipped = self.clipped | (scales < 1.0)
        if threshold is not None:
            after.threshold = tf.cast(threshold, tf.float32)
        return after

    def bounded(self, c: tf.Tensor | float) -> Gradients:
        """Returns the gradient scaled to a global norm of at most c: g min(1, c / n).

        Args:
            c: The bound, a scalar; NaN for none.
        """
        n = self.global_norm
        return self.scaled(tf.where(n > c, c / n, 1.0), threshold=c)

    def replaced(
        self, values: Sequence[tf.Tensor], threshold: float | None = None
    ) -> Gradients:
        """Returns other values in place of these, with their norms computed anew.

        Args:
            values: float32, in the shapes of the variables.
            threshold: The smallest bound on an element, if there is one.
        """
        after = copy.copy(self)
        after._tensors, after._scales = list(values), None
        after._set_norms(tensor_norms(after._tensors))
        # The norm of an unchanged tensor may move by its last bit: see tensor_norms.
        moved = tf.abs(after.norms - self.norms) > 1e-6 * self.norms
        after.clipped = self.clipped | moved
        if threshold is not None:
            after.element_threshold = tf.constant(threshold, tf.float32)
        return after

    def select(self, indices: Sequence[int]) -> Gradients:
        """Returns the gradients at `indices` alone."""
        part = copy.copy(self)
        part._tensors = [self._tensors[i] for i in indices]
        part.infos = [self.infos[i] for i in indices]
        part.weights = [self.weights[i] for i in indices] if self.weights else []
        if self._scales is not None:
            part._scales = tf.gather(self._scales, indices)
        part._set_norms(tf.gather(self.norms, indices))
        part.raw_norms = tf.gather(self.raw_norms, indices)
        part.clipped = tf.gather(self.clipped, indices)
        return part

    def merge(self, indices: Sequence[int], part: Gradients) -> Gradients:
        """Returns these gradients with `part` at `indices`."""
        where = tf.constant(indices)[:, tf.newaxis]
        whole = copy.copy(self)
        whole._tensors = list(self._tensors)
        for index, tensor in zip(indices, part._tensors, strict=True):
            whole._tensors[index] = tensor
        if self._scales is not None or part._scales is not None:
            scales = tf.ones_like(self.norms) if self._scales is None else self._scales
            new = tf.ones_like(part.norms) if part._scales is None else part._scales
            whole._scales = tf.tensor_scatter_nd_update(scales, where, new)
        whole._set_norms(tf.tensor_scatter_nd_update(self.norms, where, part.norms))
        whole.clipped = tf.tensor_scatter_nd_update(self.clipped, where, part.clipped)
        whole.element_threshold = part.element_threshold
        return whole


def densify(gradient: Raw) -> tf.Tensor | None:
    """Returns a float32 tensor; rows that `IndexedSlices` repeat are added up.

    The norm of the slices themselves would be wrong where a row occurs twice.
    """
    if gradient is None:
        return None
    return tf.cast(tf.convert_to_tensor(gradient), tf.float32)


def tensor_norms(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """L2 norms, float32 [tensors], right for every finite float32 value.

    Squares overflow above 1e19 and vanish below 1e-19; a tensor that is near that is
    measured again, divided by its largest value.
    """
    squares = tf.stack([2.0 * tf.nn.l2_loss(tensor) for tensor in tensors])
    safe = (squares > 1e-20) & (squares < 1e37)

    def measured_again() -> tf.Tensor:
        # Of a tensor that is safe nothing is read: large ones would cost a good deal.
        norms = [
            vector_norm(tf.reshape(t, [-1])[: tf.where(known, 0, tf.size(t))])
            for t, known in zip(tensors, tf.unstack(safe), strict=True)
        ]
        return tf.where(safe, tf.sqrt(squares), tf.stack(norms))

    return tf.cond(tf.reduce_all(safe), lambda: tf.sqrt(squares), measured_again)


def vector_norm(values: tf.Tensor) -> tf.Tensor:
    """The L2 norm of all values of a float32 tensor, scaled by the largest."""
    return tf.reshape(unit_norms(values, None), [])


def unit_norms(values: tf.Tensor, axes: Sequence[int] | None) -> tf.Tensor:
    """L2 norms over `axes`, which stay with size 1; None for all of them.

    Each is scaled by its largest value, so that no square overflows or vanishes.
    """
    largest = tf.reduce_max(tf.abs(values), axes, keepdims=True)
    divisor = tf.where(largest > 0.0, largest, 1.0)
    squares = tf.square(values / divisor)
    return largest * tf.sqrt(tf.reduce_sum(squares, axes, keepdims=True))
