"""TF Serving's protocols as anyone may speak them: raw protos and plain JSON."""

import base64
import json
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from tfspeech.tasks.registry import MODELS


@pytest.fixture(scope="module")
def service(server):
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{server['grpc']}", options) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def post(server):
    """Sends a JSON object to a model; returns HTTP status and answer."""

    def send(name, content, what=":predict"):
        url = f"http://127.0.0.1:{server['rest']}/v1/models/{name}{what}"
        body = content if content is None else json.dumps(content).encode()
        try:
            with urllib.request.urlopen(url, body) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    return send


def warmup_requests(version):
    """The requests with one row that go with a model, by signature."""
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    found = {}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        found.setdefault(request.model_spec.signature_name, request)
    return found


def to_json(value):
    """The first row of an input."""
    row = value[0]
    return {"b64": base64.b64encode(row).decode()} if value.dtype == object else row


@pytest.mark.parametrize("name", MODELS)
def test_every_signature_answers_alike_in_every_format(name, exports, service, post):
    requests = warmup_requests(exports / name / "1")
    assert "serving_default" in requests
    for signature, request in requests.items():
        outputs = service.Predict(request).outputs
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        row = {
            key: value if isinstance(value, dict) else value.tolist()
            for key, value in ((key, to_json(v)) for key, v in inputs.items())
        }
        asked = {"signature_name": signature, "instances": [row, row]}
        status, by_rows = post(name, asked)
        assert status == 200, by_rows
        columns = {key: [value, value] for key, value in row.items()}
        asked = {"signature_name": signature, "inputs": columns}
        status, by_columns = post(name, asked)
        assert status == 200, by_columns
        rows, columns = by_rows["predictions"], by_columns["outputs"]
        if len(outputs) == 1:  # It comes without its name.
            rows = [dict.fromkeys(outputs, row) for row in rows]
            columns = dict.fromkeys(outputs, columns)
        for key, proto in outputs.items():
            wanted = tf.make_ndarray(proto)[0]
            for place, found in enumerate(rows):
                same((name, key) == PITCHED, found[key], wanted)
                same((name, key) == PITCHED, columns[key][place], wanted)


PITCHED = ("parallel_tts", "waveform")


def same(by_energy, found, wanted):
    if isinstance(wanted, bytes):
        assert found == wanted.decode()
    elif wanted.dtype == object:
        assert found == [each.decode() for each in wanted]
    elif by_energy:
        # The phase of pulses adds up what rounding does to a predicted pitch.
        difference = np.linalg.norm(np.subtract(found, wanted))
        assert difference <= 0.05 * np.linalg.norm(wanted)
    else:
        np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_outputs_can_be_chosen(exports, service):
    request = warmup_requests(exports / "rnn_recognizer" / "1")["serving_default"]
    request.output_filter.append("label")
    assert list(service.Predict(request).outputs) == ["label"]


def test_one_input_needs_no_name(exports, post):
    request = warmup_requests(exports / "rnn_recognizer" / "1")["transcribe_bytes"]
    contents = to_json(tf.make_ndarray(request.inputs["audio_bytes"]))
    asked = {"signature_name": "transcribe_bytes", "instances": [contents]}
    status, answer = post("rnn_recognizer", asked)
    assert status == 200
    assert set(answer["predictions"][0]) == {"label", "labels", "scores", "error"}


WAVEFORM = {"waveform": [0.0, 0.1], "waveform_length": 2}


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        ([], 400, "Is not object"),
        ({}, 400, "Missing 'inputs' or 'instances'"),
        ({"inputs": 1, "instances": [1]}, 400, "only one of"),
        ({"instances": []}, 400, "'instances'"),
        ({"instances": [1]}, 400, "multiple input tensors"),
        ({"instances": [{"waveform": [0.0]}]}, 400, "keys must be equal to"),
        (
            {"instances": [WAVEFORM, {**WAVEFORM, "waveform": [0.0]}]},
            400,
            "Expecting tensor size: 2 but got: 1",
        ),
        (
            {"instances": [{**WAVEFORM, "waveform_length": 1.5}]},
            400,
            "not of expected type: int32",
        ),
        ({"instances": [WAVEFORM], "signature_name": "x"}, 400, 'name: "x" not found'),
    ],
)
def test_json_that_is_wrong_is_refused_as_tf_serving_does(
    content, status, reason, post
):
    found, answer = post("rnn_recognizer", content)
    assert found == status
    assert reason in answer["error"]


@pytest.mark.parametrize("what", ["", "/metadata", ":predict"])
def test_a_model_that_is_not_there_is_404(what, post):
    content = {"instances": [1]} if what == ":predict" else None
    status, answer = post("nothing", content, what)
    assert status == 404
    assert "nothing" in answer["error"]


@pytest.mark.parametrize("what", ["/versions/1", ""])
def test_versions_have_a_state(what, post):
    status, answer = post("attention_tts", None, what)
    assert status == 200
    (state,) = answer["model_version_status"]
    assert (state["version"], state["state"]) == ("1", "AVAILABLE")
