"""Descriptions of trainable variables, computed once for all strategies."""

from __future__ import annotations

import collections
import dataclasses
import gc
import math
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from tfspeech.errors import SpecError

_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
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
        kind: `kernel`, `recurrent_kernel`, `embedding`, `bias`, `norm`, or `parameter`
            for what a regularization strategy has added to the model.
        unit_axes: The axes whose values together make one unit: for a kernel all that
            lead into one output, for an embedding one row, for biases none.
        fan_in: Values per unit; for a bias those of its kernel.
        input_dim: Features per frame of the whole model.
        shape: Of the variable.
        output: Whether it belongs to an output layer of the model.
        initial_variance: Of the values its initialiser gave it, measured; 1 / fan_in
            where they are all the same.
    """

    path: str
    kind: str
    unit_axes: tuple[int, ...]
    fan_in: int
    input_dim: int
    shape: tuple[int, ...]
    output: bool = False
    initial_variance: float = 1.0

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


def describe_variables(*models: keras.Model) -> list[VariableInfo]:
    """Describes the `trainable_variables` of one or several models, in their order.

    Layers of our own whose weights Keras's names do not describe say which axes make a
    unit in `unit_axes`, by the name of the weight.

    Args:
        *models: Freshly built models. `feature_dim`, if a model has it, is its features
            per frame, and `output_layers` its output layers.

    Raises:
        SpecError: Two variables have the same path.
    """
    return _distinct([info for model in models for info in _describe_model(model)])


def describe_lone_variables(variables: Sequence[keras.Variable]) -> list[VariableInfo]:
    """Describes variables whose layers are not known, by their names and shapes.

    Kernels are taken to be laid out as those of `Dense` and `Conv`, biases to stand
    alone: what looks at units needs `describe_variables`.

    Raises:
        SpecError: Two variables have the same path.
    """
    return _distinct([_describe(v, None, 1, set()) for v in variables])


def find_model(variables: Sequence[keras.Variable]) -> keras.Model | None:
    """The model that has these `trainable_variables`; None where no model has.

    A variable does not know its layer, and Keras tells optimizers no more than
    variables: so all models that are alive are asked.
    """
    wanted = [id(variable) for variable in variables]
    # By their types: proxies do what they like when asked for their class.
    models = (o for o in gc.get_objects() if issubclass(type(o), keras.Model))
    for model in models:
        if [id(v) for v in model.trainable_variables] == wanted:
            return model
    return None


def _distinct(infos: list[VariableInfo]) -> list[VariableInfo]:
    counts = collections.Counter(info.path for info in infos)
    repeated = [path for path, count in counts.items() if count > 1]
    if repeated:
        raise SpecError(
            "variables that are trained together need paths of their own; give the "
            f"models different names. Received more than once: {', '.join(repeated)}"
        )
    return infos


def _describe_model(model: keras.Model) -> list[VariableInfo]:
    owners = {id(v): layer for layer in _layers(model) for v in _own_variables(layer)}
    outputs = {
        id(layer)
        for output in getattr(model, "output_layers", ())
        for layer in _layers(output)
    }
    input_dim = getattr(model, "feature_dim", 1)
    return [
        _describe(v, owners.get(id(v)), input_dim, outputs)
        for v in model.trainable_variables
    ]


def _layers(root: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """A layer and all layers that it holds, in lists and dictionaries too."""
    waiting: list[object] = [root]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, keras.layers.Layer) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting.extend(vars(item).values())


def _own_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    return [v for v in vars(layer).values() if isinstance(v, keras.Variable)]


def _describe(
    variable: keras.Variable,
    layer: keras.layers.Layer | None,
    input_dim: int,
    outputs: set[int],
) -> VariableInfo:
    shape = tuple(variable.shape)
    kind = _KINDS.get(variable.name, "kernel" if len(shape) > 1 else "bias")
    unit_axes = _unit_axes(variable.name, kind, len(shape), layer)
    fan_in = math.prod(shape[axis] for axis in unit_axes)
    if kind == "bias":
        fan_in = _fan_in_of_kernel(layer)
    values = variable.numpy()
    # There are none yet where `fit` creates the weights, while it traces its step.
    variance = float(np.var(values, dtype=np.float64)) if values.shape == shape else 0.0
    return VariableInfo(
        variable.path,
        kind,
        unit_axes,
        fan_in,
        input_dim,
        shape,
        id(layer) in outputs,
        variance or 1.0 / fan_in,
    )


def _unit_axes(
    name: str, kind: str, rank: int, layer: keras.layers.Layer | None
) -> tuple[int, ...]:
    """The axes that lead into one output, which depend on the layer's layout."""
    declared = getattr(layer, "unit_axes", {})
    if name in declared:
        return declared[name]
    if kind in ("bias", "norm"):
        return ()
    if kind == "embedding":
        return (1,)
    if isinstance(layer, keras.layers.EinsumDense):
        inputs, output = layer.equation.replace(" ", "").split("->")
        letters = inputs.split(",")[1]
        return tuple(i for i, letter in enumerate(letters) if letter not in output)
    if isinstance(layer, _TRANSPOSED):
        return (*range(rank - 2), rank - 1)
    if isinstance(layer, _DEPTHWISE) or name == "depthwise_kernel":
        return tuple(range(rank - 2))
    return tuple(range(rank - 1))


def _fan_in_of_kernel(layer: keras.layers.Layer | None) -> int:
    """Values that lead into a unit with this bias; 1 where no kernel stands beside."""
    for name in ("kernel", "pointwise_kernel"):
        kernel = getattr(layer, name, None)
        if kernel is not None:
            axes = _unit_axes(name, "kernel", len(kernel.shape), layer)
            return math.prod(kernel.shape[axis] for axis in axes)
    return 1
