"""A stand-in for `tensorflow_model_server`, which no package index has.

It speaks TF Serving's gRPC and REST protocols on loopback for the models of a folder:
`models.config` names them, the greatest version of each is served, its warm-up requests
are run when it is loaded, and TensorFlow's C library runs it. Neither TensorFlow's
Python nor anything of ours is in the process.

    python model_server.py FOLDER

prints one JSON object with the two ports, and serves until its standard input ends.
"""

from __future__ import annotations

import http.server
import inspect
import json
import re
import struct
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from urllib.parse import unquote

import grpc
import rest_json
from c_api import SavedModel, TensorFlowError
from google.protobuf import json_format, text_format
from tensor_protos import from_proto, to_proto
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION = 3, 5, 9
HTTP_STATUS = {2: 500, INVALID_ARGUMENT: 400, NOT_FOUND: 404, FAILED_PRECONDITION: 400}
DEFAULT = "serving_default"
MOUNT = Path("/models")
"""Where the Docker image has the folder."""

_TARGET = r"/v1/models/([^/:]+)(?:/versions/(\d+))?"
_MAX_WARMUP_RECORDS = 1000


class Models:
    """The models of a folder, which is looked at anew in every request.

    Args of the constructor:
        folder: With `models.config`, a `ModelServerConfig` as text.
    """

    def __init__(self, folder: Path) -> None:
        text = (folder / "models.config").read_text()
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        self._configs = {c.name: c for c in config.model_config_list.config}
        for each in self._configs.values():
            if each.model_platform != "tensorflow":
                raise ValueError(f"unknown platform {each.model_platform!r}")
        self._folder = folder
        self._loaded: dict[Path, SavedModel] = {}
        self._lock = threading.Lock()
        for name in self._configs:
            self.find(model_pb2.ModelSpec(name=name))

    def versions(self, name: str) -> dict[int, Path]:
        """The versions of a model that are served."""
        if name not in self._configs:
            return {}
        config = self._configs[name]
        base = self._folder / Path(config.base_path).relative_to(MOUNT)
        there = {int(p.name): p for p in base.iterdir() if p.name.isdecimal()}
        policy = config.model_version_policy
        if policy.HasField("specific"):
            return {v: there[v] for v in policy.specific.versions if v in there}
        return {max(there): there[max(there)]} if there else {}

    def find(self, spec: model_pb2.ModelSpec) -> tuple[int, SavedModel]:
        """The version that a request means, loaded and warmed up.

        Raises:
            TensorFlowError: There is none.
        """
        versions = self.versions(spec.name)
        wanted = spec.version.value if spec.HasField("version") else None
        version = max(versions, default=None) if wanted is None else wanted
        if version not in versions:
            place = f"Latest({spec.name})"
            if wanted is not None:
                place = f"Specific({spec.name}, {wanted})"
            raise TensorFlowError(NOT_FOUND, f"Servable not found for request: {place}")
        path = versions[version]
        with self._lock:
            if path not in self._loaded:
                model = SavedModel(path)
                for request in _warmup_requests(path):
                    _run(model, request)
                self._loaded[path] = model
            return version, self._loaded[path]

    def predict(
        self, request: predict_pb2.PredictRequest
    ) -> predict_pb2.PredictResponse:
        """Answers a request.

        Raises:
            TensorFlowError: There is no such model, or it refuses the inputs.
        """
        version, model = self.find(request.model_spec)
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        response.model_spec.version.value = version
        for name, value in _run(model, request).items():
            response.outputs[name].CopyFrom(to_proto(value))
        return response

    def metadata(
        self, spec: model_pb2.ModelSpec
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a model.

        Raises:
            TensorFlowError: There is no such model.
        """
        version, model = self.find(spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in model.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.metadata["signature_def"].Pack(signatures)
        return response


def _run(model: SavedModel, request: predict_pb2.PredictRequest) -> dict:
    """Runs what a request asks for, and refuses what TF Serving refuses."""
    name = request.model_spec.signature_name or DEFAULT
    if name not in model.signatures:
        raise TensorFlowError(
            FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
        )
    signature = model.signatures[name]
    extra = set(request.inputs) - set(signature.inputs)
    missing = set(signature.inputs) - set(request.inputs)
    if extra or missing:
        raise TensorFlowError(
            INVALID_ARGUMENT,
            f"input size does not match signature: {len(request.inputs)}!="
            f"{len(signature.inputs)}. Sent extra: {{{','.join(sorted(extra))}}}. "
            f"Missing but required: {{{','.join(sorted(missing))}}}.",
        )
    for output in request.output_filter:
        if output not in signature.outputs:
            raise TensorFlowError(
                INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {output}",
            )
    inputs = {key: from_proto(value) for key, value in request.inputs.items()}
    return model.run(name, inputs, request.output_filter)


def _warmup_requests(path: Path) -> Iterator[predict_pb2.PredictRequest]:
    """The requests in the TFRecord file that goes with a model."""
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    contents = file.read_bytes() if file.exists() else b""
    start = count = 0
    while start < len(contents):
        (size,) = struct.unpack_from("<Q", contents, start)
        record = contents[start + 12 : start + 12 + size]
        log = prediction_log_pb2.PredictionLog.FromString(record)
        yield log.predict_log.request
        start += 12 + size + 4
        count += 1
        if count > _MAX_WARMUP_RECORDS:
            raise ValueError(f"{file} has more than {_MAX_WARMUP_RECORDS} requests")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The gRPC protocol."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def Predict(self, request, context):
        return self._answer(context, lambda: self._models.predict(request))

    def GetModelMetadata(self, request, context):
        if list(request.metadata_field) != ["signature_def"]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "metadata_field")
        return self._answer(context, lambda: self._models.metadata(request.model_spec))

    def _answer(self, context, make):
        try:
            return make()
        except TensorFlowError as error:
            codes = {code.value[0]: code for code in grpc.StatusCode}
            return context.abort(codes[error.code], str(error))


def rest_handler(models: Models) -> type[http.server.BaseHTTPRequestHandler]:
    """The REST protocol."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(f"{_TARGET}:predict", _predict, body)

        def do_GET(self):
            if self.path.endswith("/metadata"):
                self._answer(f"{_TARGET}/metadata", _describe)
            else:
                self._answer(_TARGET, _status)

        def _answer(self, pattern, make, *content):
            try:
                status, body = 200, make(models, self._spec(pattern), *content)
            except TensorFlowError as error:
                status = HTTP_STATUS[error.code]
                body = json.dumps({"error": str(error)}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _spec(self, pattern):
            found = re.fullmatch(pattern, self.path)
            if not found:
                message = f"Malformed request: {self.command} {self.path}"
                raise TensorFlowError(INVALID_ARGUMENT, message)
            spec = model_pb2.ModelSpec(name=unquote(found[1]))
            if found[2]:
                spec.version.value = int(found[2])
            return spec

        def log_message(self, *_):
            pass

    return Handler


def _predict(models: Models, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
    asked = rest_json.parse_request(body)
    spec.signature_name = asked.get("signature_name") or DEFAULT
    _, model = models.find(spec)
    if spec.signature_name not in model.signatures:
        raise TensorFlowError(
            INVALID_ARGUMENT,
            f'Serving signature name: "{spec.signature_name}" not found in signature '
            "def",
        )
    infos = model.signatures[spec.signature_name].inputs
    types = {name: info.dtype for name, info in infos.items()}
    request = predict_pb2.PredictRequest(model_spec=spec)
    for name, value in rest_json.read_inputs(asked, types).items():
        request.inputs[name].CopyFrom(to_proto(value))
    outputs = models.predict(request).outputs
    arrays = {name: from_proto(value) for name, value in outputs.items()}
    return rest_json.write_outputs(arrays, "instances" in asked)


def _describe(models: Models, spec: model_pb2.ModelSpec) -> bytes:
    response = models.metadata(spec)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    # Protobuf 5 gave the argument another name.
    known = inspect.signature(json_format.MessageToDict).parameters
    names = ("always_print_fields_with_no_presence", "including_default_value_fields")
    as_dict = {
        "preserving_proto_field_name": True,
        next(name for name in names if name in known): True,
    }
    answer = {
        "model_spec": json_format.MessageToDict(response.model_spec, **as_dict),
        "metadata": {"signature_def": json_format.MessageToDict(signatures, **as_dict)},
    }
    return json.dumps(answer).encode()


def _status(models: Models, spec: model_pb2.ModelSpec) -> bytes:
    versions = sorted(models.versions(spec.name), reverse=True)
    if spec.HasField("version"):
        versions = [v for v in versions if v == spec.version.value]
    if not versions:
        raise TensorFlowError(
            NOT_FOUND, f"Could not find any versions of model {spec.name}"
        )
    fine = {"error_code": "OK", "error_message": ""}
    states = [
        {"version": str(version), "state": "AVAILABLE", "status": fine}
        for version in versions
    ]
    return json.dumps({"model_version_status": states}).encode()


def foreign_modules() -> list[str]:
    """Modules that must not be in this process: TensorFlow's Python and all of ours."""
    ours = {"keras", "models", "tensorflow_io", "tfspeech"}
    return [
        name
        for name in sys.modules
        if name.partition(".")[0] in ours or name.startswith("tensorflow.python")
    ]


def main(folder: Path) -> None:
    models = Models(folder)
    unlimited = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=unlimited)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(models), server
    )
    grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), rest_handler(models))
    rest.daemon_threads = True
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    ready = {"grpc": grpc_port, "rest": rest.server_port, "foreign": foreign_modules()}
    print(json.dumps(ready), flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
