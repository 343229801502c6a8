"""Common interface of REST and gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2

UNAVAILABLE = "UNAVAILABLE"
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
NOT_FOUND = "NOT_FOUND"


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


class Target(NamedTuple):
    """Model and version that a request is for.

    Attributes:
        name: The model's.
        version: None for the one that the server prefers, the latest by default.
    """

    name: str
    version: int | None = None


class Signature(NamedTuple):
    """A function that a model serves.

    Attributes:
        inputs: Name -> type.
        outputs: Name -> type.
    """

    inputs: Mapping[str, tf.DType]
    outputs: Mapping[str, tf.DType]


class Transport(Protocol):
    """Connection to a server; all methods raise `StatusError`."""

    def signatures(self, target: Target, timeout_s: float) -> dict[str, Signature]:
        """Asks for the signatures of a model."""

    def predict(
        self,
        target: Target,
        signature_name: str,
        signature: Signature,
        inputs: Mapping[str, np.ndarray | Sequence[bytes] | Sequence[str]],
        outputs: Sequence[str],
        timeout_s: float,
    ) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            target: The model.
            signature_name: Which of its signatures.
            signature: The same.
            inputs: Name -> batch.
            outputs: Those wanted.
            timeout_s: How long it may take.

        Returns:
            Name -> array; strings are `str`, in arrays of objects.
        """

    def close(self) -> None:
        """Ends the connection."""


def to_signatures(
    served: get_model_metadata_pb2.SignatureDefMap,
) -> dict[str, Signature]:
    """The signatures in a server's answer, without TensorFlow's own."""
    return {
        name: Signature(
            *(
                {key: tf.dtypes.as_dtype(info.dtype) for key, info in infos.items()}
                for infos in (signature.inputs, signature.outputs)
            )
        )
        for name, signature in served.signature_def.items()
        if not name.startswith("__")
    }
