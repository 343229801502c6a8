"""Servers that send whatever they are told, as REST and gRPC of TF Serving."""

import http.server
import json
import threading
from concurrent import futures

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

FLOAT, INT32, STRING, BOOL = 1, 3, 7, 10
SERVED = {
    "transcribe_bytes": (
        {"audio_bytes": STRING},
        {"label": STRING, "labels": STRING, "scores": FLOAT, "error": STRING},
    ),
    "synthesize": (
        {"text": STRING},
        {
            "waveform": FLOAT,
            "waveform_length": INT32,
            "sample_rate_hz": INT32,
            "stopped": BOOL,
        },
    ),
    "symbol_table": ({"row": INT32}, {"symbol_names": STRING}),
}
OUTPUTS = {
    "transcribe_bytes": {
        "label": np.array(["yes"], object),
        "labels": np.array([["no", "yes"]], object),
        "scores": np.array([[0.25, 0.75]], np.float32),
        "error": np.array([""], object),
    },
    "synthesize": {
        "waveform": np.array([[0.0, 0.5, -0.5, 0.0]], np.float32),
        "waveform_length": np.array([3], np.int32),
        "sample_rate_hz": np.array([8000], np.int32),
        "stopped": np.array([True]),
    },
    "symbol_table": {"symbol_names": np.array([["", "a", "b"]], object)},
}


def signature_map():
    served = get_model_metadata_pb2.SignatureDefMap()
    for name, (inputs, outputs) in SERVED.items():
        signature = served.signature_def[name]
        for key, dtype in inputs.items():
            signature.inputs[key].dtype = dtype
        for key, dtype in outputs.items():
            signature.outputs[key].dtype = dtype
    return served


def json_metadata():
    served = json_format.MessageToDict(signature_map())
    return {"metadata": {"signature_def": {"signature_def": served["signatureDef"]}}}


def json_answer(name):
    found = {key: value.tolist()[0] for key, value in OUTPUTS[name].items()}
    return {"predictions": [found if len(found) > 1 else next(iter(found.values()))]}


def proto_metadata():
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.metadata["signature_def"].Pack(signature_map())
    return answer


def proto_answer(name):
    answer = predict_pb2.PredictResponse()
    for key, value in OUTPUTS[name].items():
        answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
    return answer


class HostileRest:
    """Sends `metadata` and `answer`, bytes, with a status; both can be changed."""

    def __init__(self):
        self.metadata = json.dumps(json_metadata()).encode()
        self.answer = b""
        self.status = 200
        self.headers = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self._send(outer.metadata)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self._send(outer.answer)

            def _send(self, body):
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """Clients that hang up are what is tested."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02])
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class HostileGrpc:
    """Sends `metadata` and `answer`, the bytes of messages; both can be changed."""

    def __init__(self):
        self.metadata = proto_metadata().SerializeToString()
        self.answer = b""
        handlers = {
            "GetModelMetadata": grpc.unary_unary_rpc_method_handler(
                lambda request, context: self.metadata
            ),
            "Predict": grpc.unary_unary_rpc_method_handler(
                lambda request, context: self.answer
            ),
        }
        service = "tensorflow.serving.PredictionService"
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, handlers),)
        )
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.url = f"grpc://127.0.0.1:{port}"
        self._server.start()

    def close(self):
        self._server.stop(None).wait()
