"""The gradient of a step as strategies see it: dense, in float32, with its norms."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfspeech.strategies.variables import VariableInfo

Raw = tf.Tensor | tf.IndexedSlices | None


class Gradients:
    """The gradients of all variables that have one, with a norm for each.

    Norms are computed once. Strategies that only scale leave the tensors alone and
    multiply `scales`; the product is taken once, when `values` is asked for.

    Attributes:
        infos: What each tensor's variable is.
        norms: L2 norms of the tensors, float32 [tensors], scales included.
        clipped: Whether a strategy has changed the tensor, bool [tensors].
    """

    def __init__(
        self,
        tensors: Sequence[tf.Tensor],
        infos: Sequence[VariableInfo],
        norms: tf.Tensor | None = None,
        scales: tf.Tensor | None = None,
        clipped: tf.Tensor | None = None,
    ) -> None:
        self._tensors = list(tensors)
        self.infos = list(infos)
        self.norms = tensor_norms(self._tensors) if norms is None else norms
        self._scales = scales
        self.clipped = tf.zeros(len(infos), tf.bool) if clipped is None else clipped

    @property
    def values(self) -> list[tf.Tensor]:
        """The tensors, float32, in the shapes of their variables."""
        if self._scales is None:
            return list(self._tensors)
        scales = tf.unstack(self._scales, len(self._tensors))
        return [g * s for g, s in zip(self._tensors, scales, strict=True)]

    @property
    def global_norm(self) -> tf.Tensor:
        """The L2 norm of all values together, a float32 scalar."""
        return vector_norm(self.norms)

    def scaled(self, scales: tf.Tensor) -> Gradients:
        """Returns the gradient with tensor `k` multiplied by `scales[k]`.

        Args:
            scales: float32 [tensors], or a scalar for all.
        """
        scales = tf.broadcast_to(scales, tf.shape(self.norms))
        return Gradients(
            self._tensors,
            self.infos,
            self.norms * scales,
            scales if self._scales is None else self._scales * scales,
            self.clipped | (scales < 1.0),
        )

    def replaced(self, values: Sequence[tf.Tensor]) -> Gradients:
        """Returns other values in place of these, with their norms computed anew."""
        after = Gradients(values, self.infos)
        after.clipped = self.clipped | (after.norms < self.norms)
        return after

    def select(self, indices: Sequence[int]) -> Gradients:
        """Returns the gradients at `indices` alone."""
        values = self.values
        return Gradients(
            [values[i] for i in indices],
            [self.infos[i] for i in indices],
            tf.gather(self.norms, indices),
            clipped=tf.gather(self.clipped, indices),
        )

    def merge(self, indices: Sequence[int], part: Gradients) -> Gradients:
        """Returns these gradients with `part` at `indices`."""
        values = self.values
        for index, value in zip(indices, part.values, strict=True):
            values[index] = value
        where = tf.constant(indices)[:, tf.newaxis]
        return Gradients(
            values,
            self.infos,
            tf.tensor_scatter_nd_update(self.norms, where, part.norms),
            clipped=tf.tensor_scatter_nd_update(self.clipped, where, part.clipped),
        )


def densify(gradient: Raw) -> tf.Tensor | None:
    """Returns a float32 tensor; rows that `IndexedSlices` repeat are added up.

    The norm of the slices themselves would be wrong where a row occurs twice.
    """
    if gradient is None:
        return None
    return tf.cast(tf.convert_to_tensor(gradient), tf.float32)


def tensor_norms(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """L2 norms, float32 [tensors], right for every finite float32 value.

    Squares overflow above 1e19 and vanish below 1e-19; where a tensor is near that,
    all are measured again, each divided by its largest value.
    """
    squares = tf.stack([2.0 * tf.nn.l2_loss(tensor) for tensor in tensors])

    def rescaled() -> tf.Tensor:
        return tf.stack([vector_norm(tf.reshape(t, [-1])) for t in tensors])

    safe = tf.reduce_all((squares > 1e-20) & (squares < 1e37))
    return tf.cond(safe, lambda: tf.sqrt(squares), rescaled)


def vector_norm(values: tf.Tensor) -> tf.Tensor:
    """The L2 norm of a float32 vector, scaled by its largest value."""
    largest = tf.reduce_max(tf.abs(values))
    divisor = tf.where(largest > 0.0, largest, 1.0)
    return largest * tf.sqrt(tf.reduce_sum(tf.square(values / divisor)))
