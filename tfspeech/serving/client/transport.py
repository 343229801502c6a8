"""Common interface of REST and gRPC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from google.protobuf import json_format, message
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

UNAVAILABLE = "UNAVAILABLE"
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
NOT_FOUND = "NOT_FOUND"
UNKNOWN = "UNKNOWN"

# What readers of JSON, of protobuf and of arrays raise where a server sends nonsense.
_MALFORMED = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError),
    *(SystemError, TypeError, ValueError, message.Error, json_format.Error),
)
_EXCERPT = 200


class StatusError(Exception):
    """A request that failed.

    Attributes:
        code: The name of a gRPC status code; see https://grpc.io/docs/guides/status-codes
        message: The server's own.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Signature(NamedTuple):
    """A function that a model serves.

    Attributes:
        name: The signature's.
        inputs: Name -> type.
        outputs: Name -> type.
    """

    name: str
    inputs: Mapping[str, tf.DType]
    outputs: Mapping[str, tf.DType]


Inputs = Mapping[str, np.ndarray | Sequence[bytes] | Sequence[str]]


class Transport(Protocol):
    """Connection to a model on a server; all methods raise `StatusError`."""

    def signatures(self, timeout_s: float) -> dict[str, Signature]:
        """Asks for the signatures of the model."""

    def predict(
        self,
        signature: Signature,
        inputs: Inputs,
        outputs: Sequence[str],
        timeout_s: float,
    ) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature: One of `signatures`.
            inputs: Name -> batch.
            outputs: Those wanted.
            timeout_s: How long it may take.

        Returns:
            Name -> array; strings are `str`, in arrays of objects.
        """

    def close(self) -> None:
        """Ends the connection."""


@contextlib.contextmanager
def reading_answer(no_server: str) -> Iterator[None]:
    """Raises a `StatusError` for whatever a malformed answer raises in the block.

    Args:
        no_server: Says that what answers is no TF Serving.
    """
    try:
        yield
    except _MALFORMED as error:
        reason = str(error).partition("\n")[0][:_EXCERPT] or type(error).__name__
        raise StatusError(UNKNOWN, f"{no_server} ({reason})") from error


def to_signatures(
    served: get_model_metadata_pb2.SignatureDefMap,
) -> dict[str, Signature]:
    """The signatures in a server's answer, without TensorFlow's own."""
    return {
        name: Signature(name, _dtypes(signature.inputs), _dtypes(signature.outputs))
        for name, signature in served.signature_def.items()
        if not name.startswith("__")
    }


def _dtypes(infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, tf.DType]:
    return {name: tf.dtypes.as_dtype(info.dtype) for name, info in infos.items()}
