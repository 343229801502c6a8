"""TF Serving's gRPC protocol."""

from __future__ import annotations

import math
import urllib.parse
from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfspeech.serving.client.transport import (
    Inputs,
    Signature,
    StatusError,
    reading_answer,
    to_signatures,
)

Answer = TypeVar("Answer")

_OPTIONS = [
    # Who retries is the caller, who must meet a new connection then.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_MAX_TEXTS = 2**20  # They take many times their bytes as Python's objects.
_NO_SERVER = "what answers is no gRPC of TF Serving, whose port is 8500 by default"


class GrpcTransport:
    """Talks to `PredictionService`: see `Transport`.

    Args of the constructor:
        url: `grpc://host:port`.
        model: The model's name.
        version: None for the one that the server prefers, the latest by default.
        max_answer_bytes: The longest answer that is read.
    """

    def __init__(
        self, url: str, model: str, version: int | None, max_answer_bytes: int
    ) -> None:
        self._spec = model_pb2.ModelSpec(name=model)
        if version is not None:
            self._spec.version.value = version
        self._max_bytes = max_answer_bytes
        address = urllib.parse.urlsplit(url).netloc
        limit = ("grpc.max_receive_message_length", max_answer_bytes)
        self._channel = grpc.insecure_channel(address, options=[*_OPTIONS, limit])
        self._service = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def signatures(self, timeout_s: float) -> dict[str, Signature]:
        """Asks for the signatures of the model: see `Transport`."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        answer = _call(self._service.GetModelMetadata, request, timeout_s)
        served = get_model_metadata_pb2.SignatureDefMap()
        with reading_answer(_NO_SERVER):
            if not answer.metadata["signature_def"].Unpack(served):
                raise ValueError("it names no signatures")
            return to_signatures(served)

    def predict(
        self,
        signature: Signature,
        inputs: Inputs,
        outputs: Sequence[str],
        timeout_s: float,
    ) -> dict[str, np.ndarray]:
        """Calls a signature: see `Transport`."""
        request = predict_pb2.PredictRequest(
            model_spec=self._spec, output_filter=outputs
        )
        request.model_spec.signature_name = signature.name
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(_to_proto(name, value, signature))
        answer = _call(self._service.Predict, request, timeout_s)
        with reading_answer(_NO_SERVER):
            return {
                name: _to_array(answer.outputs[name], self._max_bytes)
                for name in outputs
            }

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()


def _call(method: Callable[..., Answer], request: object, timeout_s: float) -> Answer:
    try:
        return method(request, timeout=timeout_s)
    except grpc.RpcError as error:
        raise StatusError(
            error.code().name, error.details() or "no reason given"
        ) from error


def _to_proto(
    name: str, value: object, signature: Signature
) -> tf.compat.v1.TensorProto:
    dtype = signature.inputs[name]
    try:
        return tf.make_tensor_proto(value, dtype)
    except (TypeError, ValueError) as error:
        raise StatusError(
            "INVALID_ARGUMENT", f"{signature.name} takes {dtype.name} as {name}"
        ) from error


def _to_array(proto: tf.compat.v1.TensorProto, max_bytes: int) -> np.ndarray:
    """Reads a tensor.

    Raises:
        ValueError: It claims to be larger than an answer may be: one value can stand
            for all; or it is damaged.
    """
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    itemsize = np.dtype(tf.dtypes.as_dtype(proto.dtype).as_numpy_dtype).itemsize
    if min(shape, default=0) < 0 or math.prod(shape) * itemsize > max_bytes:
        raise ValueError(f"a tensor of shape {shape}, where {max_bytes} bytes fit")
    is_text = proto.dtype == tf.string.as_datatype_enum
    if max(len(proto.string_val), is_text and math.prod(shape)) > _MAX_TEXTS:
        raise ValueError(f"more than {_MAX_TEXTS} texts")
    array = tf.make_ndarray(proto)
    if array.dtype != object:
        return array
    texts = [text.decode() for text in array.flat]
    return np.array(texts, object).reshape(array.shape)
