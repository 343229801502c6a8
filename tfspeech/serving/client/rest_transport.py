"""TF Serving's REST protocol: https://www.tensorflow.org/tfx/serving/api_rest."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from tfspeech.serving.client.transport import (
    DEADLINE_EXCEEDED,
    NOT_FOUND,
    UNAVAILABLE,
    UNKNOWN,
    Inputs,
    Signature,
    StatusError,
    reading_answer,
    to_signatures,
)

_CODES = {
    400: "INVALID_ARGUMENT",
    404: NOT_FOUND,
    429: "RESOURCE_EXHAUSTED",
    503: UNAVAILABLE,
    504: DEADLINE_EXCEEDED,
}
_CONNECTIONS = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}
# Of lists, objects and texts, which take many times their bytes as Python's objects.
_MAX_OBJECTS = 2**20
# At least so many are parsed, whatever they are; what parses them cannot be stopped.
_JSON_BYTES_PER_S = 10_000_000
_NO_SERVER = "what answers is no REST of TF Serving, whose port is 8501 by default"


class RestTransport:
    """Talks to `/v1/models`: see `Transport`.

    Args of the constructor:
        url: `http://host:port`, or `https`; what stands in front of `/v1`.
        model: The model's name.
        version: None for the one that the server prefers, the latest by default.
        max_answer_bytes: The longest answer that is read.
    """

    def __init__(
        self, url: str, model: str, version: int | None, max_answer_bytes: int
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        self._connection = _CONNECTIONS[parts.scheme]
        self._host, self._port = parts.hostname, parts.port
        name = urllib.parse.quote(model, safe="")
        self._path = f"{parts.path.rstrip('/')}/v1/models/{name}"
        if version is not None:
            self._path += f"/versions/{version}"
        self._max_bytes = max_answer_bytes

    def signatures(self, timeout_s: float) -> dict[str, Signature]:
        """Asks for the signatures of the model: see `Transport`."""
        answer = self._request("/metadata", None, timeout_s)
        served = get_model_metadata_pb2.SignatureDefMap()
        with reading_answer(_NO_SERVER):
            found = answer["metadata"]["signature_def"]
            json_format.ParseDict(found, served, ignore_unknown_fields=True)
            return to_signatures(served)

    def predict(
        self,
        signature: Signature,
        inputs: Inputs,
        outputs: Sequence[str],
        timeout_s: float,
    ) -> dict[str, np.ndarray]:
        """Calls a signature: see `Transport`."""
        columns = [_to_json(value) for value in inputs.values()]
        # By rows, since TF Serving puts every number of a column on a line of its own.
        request = {
            "signature_name": signature.name,
            "instances": [
                dict(zip(inputs, row, strict=True))
                for row in zip(*columns, strict=True)
            ],
        }
        answer = self._request(":predict", request, timeout_s)
        with reading_answer(_NO_SERVER):
            rows = answer["predictions"]
            if len(signature.outputs) == 1:
                # One output alone comes without its name.
                rows = [dict.fromkeys(signature.outputs, row) for row in rows]
            return {
                name: _to_array([row[name] for row in rows], signature.outputs[name])
                for name in outputs
            }

    def close(self) -> None:
        """There is no connection to be ended: each request has its own."""

    def _request(self, what: str, content: Any, timeout_s: float) -> dict[str, Any]:
        """Sends `content`, or asks where there is none; returns the JSON object."""
        deadline = time.monotonic() + timeout_s
        method, body = "GET", None
        if content is not None:
            method, body = "POST", json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        connection = self._connection(self._host, self._port, timeout=timeout_s)
        try:
            with _open_until(deadline, connection):
                connection.request(method, self._path + what, body, headers)
                with connection.getresponse() as response:
                    received = response.read(self._max_bytes + 1)
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(error, deadline) from error
        if len(received) >= _JSON_BYTES_PER_S * (deadline - time.monotonic()):
            raise StatusError(DEADLINE_EXCEEDED, "no time is left to read it")
        if len(received) > self._max_bytes:
            raise StatusError(
                "RESOURCE_EXHAUSTED",
                f"its answer has more than {self._max_bytes} bytes; send less at once",
            )
        if response.status != http.HTTPStatus.OK:
            raise _refusal(response.status, received)
        with reading_answer(_NO_SERVER):
            return dict(_from_json(received))


@contextlib.contextmanager
def _open_until(
    deadline: float, connection: http.client.HTTPConnection
) -> Iterator[None]:
    """Connects, and disconnects at the deadline, however slowly the server sends.

    The timeout of a socket alone begins anew with every byte.
    """
    connection.connect()
    connected = connection.sock  # The connection forgets it with the last request.

    def disconnect() -> None:
        with contextlib.suppress(OSError):  # It is closed.
            # Not that of `SSLSocket`, which takes the keys from whoever reads.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(max(deadline - time.monotonic(), 0.0), disconnect)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()


def _to_json(value: np.ndarray | Sequence[bytes] | Sequence[str]) -> list:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [
        {"b64": base64.b64encode(each).decode()} if isinstance(each, bytes) else each
        for each in value
    ]


def _to_array(rows: list[Any], dtype: tf.DType) -> np.ndarray:
    array = np.array(rows, dtype.as_numpy_dtype)
    if array.dtype == object and not all(isinstance(each, str) for each in array.flat):
        raise TypeError("a text was expected")
    return array


def _from_json(body: bytes) -> Any:
    if body.count(b"[") + body.count(b"{") + body.count(b'"') // 2 > _MAX_OBJECTS:
        raise ValueError(f"more than {_MAX_OBJECTS} lists, objects and texts")
    return json.loads(body)


def _refusal(status: int, body: bytes) -> StatusError:
    """Translates an HTTP status with a message to a gRPC status."""
    code = _CODES.get(status, UNKNOWN)
    try:
        with reading_answer(_NO_SERVER):
            return StatusError(code, str(_from_json(body)["error"]))
    except StatusError:
        # A gateway says in words of its own that the server behind it is away.
        code = code if code in (UNAVAILABLE, DEADLINE_EXCEEDED) else UNKNOWN
        return StatusError(code, f"{_NO_SERVER} (HTTP status {status})")


def _no_answer(error: Exception, deadline: float) -> StatusError:
    """Translates an error below HTTP to a gRPC status."""
    if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
        return StatusError(DEADLINE_EXCEEDED, str(error))
    if isinstance(error, OSError):
        return StatusError(UNAVAILABLE, error.strerror or str(error))
    return StatusError(UNKNOWN, _NO_SERVER)
