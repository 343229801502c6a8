"""TF Serving's gRPC protocol."""

from __future__ import annotations

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
    to_signatures,
)

Answer = TypeVar("Answer")

_OPTIONS = [
    # Batches of speech are longer than the 4 MiB that gRPC receives by default.
    ("grpc.max_receive_message_length", -1),
    # Who retries is the caller, who must meet a new connection then.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcTransport:
    """Talks to `PredictionService`: see `Transport`.

    Args of the constructor:
        address: `host:port`.
        model: The model's name.
        version: None for the one that the server prefers, the latest by default.
    """

    def __init__(self, address: str, model: str, version: int | None) -> None:
        self._spec = model_pb2.ModelSpec(name=model)
        if version is not None:
            self._spec.version.value = version
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._service = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def signatures(self, timeout_s: float) -> dict[str, Signature]:
        """Asks for the signatures of the model: see `Transport`."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        answer = _call(self._service.GetModelMetadata, request, timeout_s)
        served = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(served)
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
            proto = tf.make_tensor_proto(value, signature.inputs[name])
            request.inputs[name].CopyFrom(proto)
        answer = _call(self._service.Predict, request, timeout_s)
        return {name: _to_array(proto) for name, proto in answer.outputs.items()}

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


def _to_array(proto: tf.compat.v1.TensorProto) -> np.ndarray:
    array = tf.make_ndarray(proto)
    if array.dtype != object:
        return array
    texts = [text.decode() for text in array.flat]
    return np.array(texts, object).reshape(array.shape)
