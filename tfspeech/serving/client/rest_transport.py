"""TF Serving's REST protocol: https://www.tensorflow.org/tfx/serving/api_rest."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from tfspeech.serving.client.transport import (
    DEADLINE_EXCEEDED,
    NOT_FOUND,
    UNAVAILABLE,
    Inputs,
    Signature,
    StatusError,
    to_signatures,
)

_CODES = {
    400: "INVALID_ARGUMENT",
    404: NOT_FOUND,
    429: "RESOURCE_EXHAUSTED",
    503: UNAVAILABLE,
    504: DEADLINE_EXCEEDED,
}
_NO_SERVER = "what answers is no REST of TF Serving, whose port is 8501 by default"


class RestTransport:
    """Talks to `/v1/models`: see `Transport`.

    Args of the constructor:
        url: `http://host:port`, or `https`; what stands in front of `/v1`.
        model: The model's name.
        version: None for the one that the server prefers, the latest by default.
    """

    def __init__(self, url: str, model: str, version: int | None) -> None:
        self._url = f"{url.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}"
        if version is not None:
            self._url += f"/versions/{version}"

    def signatures(self, timeout_s: float) -> dict[str, Signature]:
        """Asks for the signatures of the model: see `Transport`."""
        answer = self._request("/metadata", None, timeout_s)
        served = get_model_metadata_pb2.SignatureDefMap()
        try:
            found = answer["metadata"]["signature_def"]
            json_format.ParseDict(found, served, ignore_unknown_fields=True)
        except (KeyError, TypeError, json_format.ParseError) as error:
            raise StatusError("UNKNOWN", _NO_SERVER) from error
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
        rows = self._request(":predict", request, timeout_s)["predictions"]
        if len(signature.outputs) == 1:
            # One output alone comes without its name.
            rows = [dict.fromkeys(signature.outputs, row) for row in rows]
        return {
            name: np.array(
                [row[name] for row in rows], signature.outputs[name].as_numpy_dtype
            )
            for name in outputs
        }

    def close(self) -> None:
        """There is no connection to be ended: each request has its own."""

    def _request(self, what: str, content: Any, timeout_s: float) -> dict[str, Any]:
        """Sends `content`, or asks where there is none; returns the JSON object."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(  # noqa: S310 -- The scheme was checked.
            self._url + what, body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read()) from error
        except urllib.error.URLError as error:
            raise _no_answer(error.reason) from error
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(error) from error
        except (ValueError, TypeError) as error:
            raise StatusError("UNKNOWN", _NO_SERVER) from error


def _to_json(value: np.ndarray | Sequence[bytes] | Sequence[str]) -> list:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [
        {"b64": base64.b64encode(each).decode()} if isinstance(each, bytes) else each
        for each in value
    ]


def _refusal(status: int, body: bytes) -> StatusError:
    """Translates an HTTP status with a message to a gRPC status."""
    code = _CODES.get(status, "UNKNOWN")
    try:
        return StatusError(code, str(json.loads(body)["error"]))
    except (ValueError, KeyError, TypeError):
        # A gateway says in words of its own that the server behind it is away.
        code = code if code in (UNAVAILABLE, DEADLINE_EXCEEDED) else "UNKNOWN"
        return StatusError(code, f"{_NO_SERVER} (HTTP status {status})")


def _no_answer(reason: object) -> StatusError:
    """Translates an error below HTTP to a gRPC status."""
    if isinstance(reason, TimeoutError):
        return StatusError(DEADLINE_EXCEEDED, str(reason))
    if isinstance(reason, OSError):
        return StatusError(UNAVAILABLE, reason.strerror or str(reason))
    return StatusError("UNKNOWN", _NO_SERVER)
