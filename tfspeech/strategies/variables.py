"""What each trainable variable is, worked out once for all strategies."""

from __future__ import annotations

import dataclasses
import math

import keras

_KINDS = {
    "kernel": "kernel",
    "depthwise_kernel": "kernel",
    "pointwise_kernel": "kernel",
    "recurrent_kernel": "recurrent_kernel",
    "embeddings": "embedding",
    "bias": "bias",
    "gamma": "norm",
    "beta": "norm",
}
"""Keras's names of weights -> kinds."""

WEIGHT_KINDS = frozenset({"kernel", "recurrent_kernel", "embedding"})
"""The kinds that regularization acts on unless `match` says otherwise."""


@dataclasses.dataclass(frozen=True)
class VariableInfo:
    """One trainable variable.

    Attributes:
        path: Its Keras path, such as `rnn_recognizer/classifier/kernel`.
        kind: `kernel`, `recurrent_kernel`, `embedding`, `bias` or `norm`.
        unit_axes: The axes whose values together make one unit: for a kernel all that
            lead into one output, for an embedding one row, for biases none.
        fan_in: Values per unit; for a bias those of its kernel.
        input_dim: Features per frame of the whole model.
    """

    path: str
    kind: str
    unit_axes: tuple[int, ...]
    fan_in: int
    input_dim: int


def describe_variables(model: keras.Model) -> list[VariableInfo]:
    """Describes `model.trainable_variables`, in their order.

    Args:
        model: A built model of the zoo; it has the attribute `feature_dim`.
    """
    variables = model.trainable_variables
    kernels = {v.path: v for v in variables if v.name == "kernel"}
    return [_describe(v, kernels, model.feature_dim) for v in variables]


def _describe(
    variable: keras.Variable, kernels: dict[str, keras.Variable], input_dim: int
) -> VariableInfo:
    rank = len(variable.shape)
    kind = _KINDS.get(variable.name, "kernel" if rank > 1 else "bias")
    unit_axes = _unit_axes(kind, rank)
    measured = variable
    if kind == "bias":
        layer = variable.path.rpartition("/")[0]
        measured = kernels.get(f"{layer}/kernel", variable)
    axes = unit_axes if measured is variable else _unit_axes("kernel", measured.ndim)
    fan_in = math.prod(measured.shape[axis] for axis in axes)
    return VariableInfo(variable.path, kind, unit_axes, fan_in, input_dim)


def _unit_axes(kind: str, rank: int) -> tuple[int, ...]:
    if kind in ("bias", "norm"):
        return ()
    return (1,) if kind == "embedding" else tuple(range(rank - 1))
