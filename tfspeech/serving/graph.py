"""Checks whether TF Serving can run a graph, and guards on the shapes of requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tfspeech.errors import RunError
from tfspeech.serving.tensors import meaning, shape_text
from tfspeech.tasks.limits import Limits

ConcreteFunction = tf.types.experimental.ConcreteFunction

_NEED_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
_NEED_GPU = "Cudnn"


def check_signatures(signatures: Mapping[str, ConcreteFunction]) -> None:
    """Raises a `RunError` where a server could not split an output by requests.

    All inputs and outputs must have their rows, of any number, in front.
    """
    for name, function in signatures.items():
        outputs = function.structured_outputs
        for tensor, spec in (*_inputs(function).items(), *outputs.items()):
            dims = meaning(tensor).dims
            if spec.shape.rank != len(dims) or spec.shape[0] is not None:
                raise RunError(
                    f"{tensor!r} of the signature {name!r} must be "
                    f"{shape_text(tensor, spec.dtype)} for any number of rows. "
                    f"Received: {spec.shape}"
                )


def guarded(function: ConcreteFunction, limits: Limits) -> ConcreteFunction:
    """Wraps a function to refuse other ranks, and no, too many or unequal rows.

    A server hands on whatever shape a request has. The error says what was expected.

    Args:
        function: Of inputs by name, whose meaning is known.
        limits: Of the rows.
    """
    specs = _inputs(function)

    def checked(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        # It looks at the tensor that comes, where a specification only describes it.
        inputs = {n: tf.ensure_shape(t, specs[n].shape) for n, t in inputs.items()}
        checks = [_check_rows(name, tensor) for name, tensor in inputs.items()]
        (first, rows), *others = ((n, tf.shape(t)[0]) for n, t in inputs.items())
        checks.append(limits.check_in_graph("max_rows", rows))
        checks += [
            tf.debugging.assert_equal(
                rows, other, f"{first} and {name} must have as many rows"
            )
            for name, other in others
        ]
        with tf.control_dependencies(checks):
            return function(**{n: tf.identity(t) for n, t in inputs.items()})

    return tf.function(checked).get_concrete_function(**specs)


def _check_rows(name: str, tensor: tf.Tensor) -> tf.Operation:
    wanted = f"{name} must be {shape_text(name, tensor.dtype)}, with at least one row"
    return tf.debugging.assert_positive(tf.shape(tensor)[0], wanted)


def _inputs(function: ConcreteFunction) -> dict[str, tf.TensorSpec]:
    arguments, keywords = function.structured_input_signature
    return {spec.name: spec for spec in (*arguments, *keywords.values())}


def check_operations(model: Path) -> None:
    """Checks that a SavedModel has no operations but TensorFlow's own.

    Args:
        model: The folder of its `saved_model.pb`.

    Raises:
        RunError: TF Serving's binary does not have an operation of the graph.
    """
    contents = (model / "saved_model.pb").read_bytes()
    proto = saved_model_pb2.SavedModel.FromString(contents)
    for meta_graph in proto.meta_graphs:
        own = {f.signature.name for f in meta_graph.graph_def.library.function}
        for where, node in _nodes(meta_graph.graph_def):
            reason = None if node.op in own else _why_not_served(node.op)
            if reason:
                raise RunError(
                    f"TF Serving cannot run the operation {node.op} ({node.name} in "
                    f"{where}): {reason}"
                )


def _nodes(graph: tf.compat.v1.GraphDef) -> Iterator[tuple[str, node_def_pb2.NodeDef]]:
    yield from (("the graph", node) for node in graph.node)
    for function in graph.library.function:
        yield from ((function.signature.name, node) for node in function.node_def)


def _why_not_served(operation: str) -> str | None:
    if operation in _NEED_PYTHON:
        return "it calls Python; use TensorFlow's operations instead"
    if operation.startswith(_NEED_GPU):
        return "it needs a GPU; export with CUDA_VISIBLE_DEVICES= on the command line"
    if not hasattr(tf.raw_ops, operation):
        return "it is not TensorFlow's own; use TensorFlow's operations instead"
    return None
