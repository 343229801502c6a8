"""`TensorProto` from and to arrays, as TF Serving reads and writes them."""

from __future__ import annotations

import numpy as np
from c_api import DTYPES, STRING
from tensorflow.core.framework import tensor_pb2

_FIELDS = {
    1: "float_val",
    2: "double_val",
    3: "int_val",
    4: "int_val",
    STRING: "string_val",
    9: "int64_val",
    10: "bool_val",
}


def from_proto(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """The array of a proto; strings are bytes, in an array of objects."""
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, DTYPES[proto.dtype]).reshape(shape)
    values = list(getattr(proto, _FIELDS[proto.dtype]))
    missing = int(np.prod(shape)) - len(values)
    # The format's rule: the last value stands for all that are not given.
    values += values[-1:] * missing
    return np.array(values, DTYPES[proto.dtype]).reshape(shape)


def to_proto(value: np.ndarray) -> tensor_pb2.TensorProto:
    """The proto of an array, one field per value, which is what TF Serving sends."""
    numbers = {np.dtype(name): number for number, name in DTYPES.items()}
    proto = tensor_pb2.TensorProto(dtype=numbers[value.dtype])
    for size in value.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, _FIELDS[proto.dtype]).extend(value.ravel().tolist())
    return proto
