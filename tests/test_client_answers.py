"""The client against servers whose answers are no answers."""

import contextlib
import http.client
import json
import socket
import threading
import time

import numpy as np
import pytest
from hostile_servers import (
    OUTPUTS,
    HostileGrpc,
    HostileRest,
    json_answer,
    json_metadata,
    proto_answer,
    proto_metadata,
)

from tfspeech import client
from tfspeech.errors import ServerError, SpecError
from tfspeech.serving.client import RemoteModel

CALLS = {
    "transcribe_bytes": lambda model: model.transcribe([b"RIFF"]),
    "synthesize": lambda model: model.synthesize(["the red box."]),
    "symbol_table": lambda model: model.symbols,
}


@pytest.fixture
def rest():
    server = HostileRest()
    yield server
    server.close()


@pytest.fixture
def grpc_server():
    server = HostileGrpc()
    yield server
    server.close()


def test_good_answers_are_read(rest, grpc_server):
    for name, call in CALLS.items():
        rest.answer = json.dumps(json_answer(name)).encode()
        grpc_server.answer = proto_answer(name).SerializeToString()
        answers = []
        for server in (rest, grpc_server):
            with RemoteModel(server.url, "voice") as model:
                answers.append(call(model))
        if name == "transcribe_bytes":
            assert answers[0] == answers[1]
            assert answers[0][0].scores == {"no": 0.25, "yes": 0.75}
        elif name == "synthesize":
            np.testing.assert_array_equal(answers[0][0].waveform, [0, 0.5, -0.5])
            np.testing.assert_array_equal(*(each[0].waveform for each in answers))
        else:
            assert answers == [{"": 0, "a": 1, "b": 2}] * 2


BODIES = {
    "nothing": b"",
    "no JSON": b"<html>",
    "invalid UTF-8": b'{"predictions": ["\xff"]}',
    "a list": b"[1]",
    "a number": b"3",
    "null": b"null",
    "no predictions": b'{"outputs": []}',
    "predictions are a number": b'{"predictions": 3}',
    "predictions are null": b'{"predictions": null}',
    "rows are null": b'{"predictions": [null]}',
    "no rows": b'{"predictions": []}',
    "deep": b'{"predictions": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"predictions": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
    "many lists": b'{"predictions": [' + b"[]," * 2_000_000 + b"[]]}",
    "many texts": b'{"predictions": [' + b'"",' * 2_000_000 + b'""]}',
    "a long number": b'{"predictions": [' + b"9" * 10_000 + b"]}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("name", CALLS)
def test_a_body_that_is_no_answer_is_one_error(name, body, rest):
    rest.answer = body
    with RemoteModel(rest.url, "voice") as model, pytest.raises(ServerError):
        CALLS[name](model)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("status", [200, 400])
def test_metadata_that_are_none_are_one_error(body, status, rest):
    rest.metadata, rest.status = body, status
    with RemoteModel(rest.url, "voice") as model, pytest.raises(ServerError):
        CALLS["transcribe_bytes"](model)


WRONG = {
    "label": [None, 3, [], "maybe", ["yes"]],
    "labels": [None, "no", ["no"], ["no", "yes", "no"], [["no", "yes"]], [1, 2]],
    "scores": [None, [1.0], [0.5, "x"], [0.5, None], [[0.5, 0.5]], [0.5, 1e999]],
    "waveform": [None, 0.5, ["x"], [[0.0] * 4], [0.0, float("nan"), 0.0, 0.0]],
    "waveform_length": [None, -1, 5, 10**30, [3], "x", 2.5e300],
    "sample_rate_hz": [None, 0, -8000, 2**31 - 1, [8000], 10**30],
}


@pytest.mark.parametrize(
    ("output", "value"), [(key, each) for key, all_ in WRONG.items() for each in all_]
)
def test_an_output_that_makes_no_sense_is_one_error(output, value, rest):
    (name,) = (name for name in OUTPUTS if output in OUTPUTS[name])
    answer = json_answer(name)
    for row in ({**answer["predictions"][0], output: value}, {}):
        rest.answer = json.dumps({"predictions": [row]}).encode()
        with RemoteModel(rest.url, "voice") as model, pytest.raises(ServerError):
            CALLS[name](model)


def test_rows_that_nobody_asked_for_are_refused(rest):
    answer = json_answer("transcribe_bytes")
    rest.answer = json.dumps({"predictions": answer["predictions"] * 2}).encode()
    with RemoteModel(rest.url, "voice") as model, pytest.raises(ServerError):
        model.transcribe([b"RIFF"])


@pytest.mark.parametrize("dtype", ["DT_NOTHING", 0, 99, -1, "DT_RESOURCE", [], None])
def test_types_that_are_none_are_refused(dtype, rest):
    metadata = json_metadata()
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    signatures["transcribe_bytes"]["outputs"]["scores"]["dtype"] = dtype
    rest.metadata = json.dumps(metadata).encode()
    rest.answer = json.dumps(json_answer("transcribe_bytes")).encode()
    with RemoteModel(rest.url, "voice") as model, pytest.raises(ServerError):
        model.transcribe([b"RIFF"])


def changed(name, change):
    answer = proto_answer(name)
    change(answer.outputs)
    return answer.SerializeToString()


def grow(outputs):
    """One value stands for three thousand million."""
    del outputs["waveform"].float_val[:]
    outputs["waveform"].tensor_content = b""
    outputs["waveform"].float_val.append(0.5)
    outputs["waveform"].tensor_shape.dim[1].size = 3_000_000_000


def repeat(outputs):
    """Texts without letters, two million of them."""
    outputs["waveform"].CopyFrom(proto_answer("transcribe_bytes").outputs["labels"])
    outputs["waveform"].string_val.extend([b""] * 2_000_000)


PROTOS = {
    "many texts": lambda: changed("synthesize", repeat),
    "no message": lambda: b"\xff\xff\xff",
    "no outputs": lambda: b"",
    "an output is missing": lambda: changed("synthesize", lambda o: o.pop("waveform")),
    "of another type": lambda: changed(
        "synthesize", lambda o: o["waveform"].CopyFrom(o["waveform_length"])
    ),
    "of no type": lambda: changed(
        "synthesize", lambda o: setattr(o["waveform"], "dtype", 0)
    ),
    "of an unknown type": lambda: changed(
        "synthesize", lambda o: setattr(o["waveform"], "dtype", 9999)
    ),
    "12 GB": lambda: changed("synthesize", grow),
    "negative": lambda: changed(
        "synthesize", lambda o: setattr(o["waveform"].tensor_shape.dim[1], "size", -4)
    ),
    "cut off": lambda: changed(
        "synthesize", lambda o: setattr(o["waveform"], "tensor_content", b"123")
    ),
}


@pytest.mark.parametrize("make", PROTOS.values(), ids=PROTOS)
def test_a_message_that_is_no_answer_is_one_error(make, grpc_server):
    grpc_server.answer = make()
    with RemoteModel(grpc_server.url, "voice") as model, pytest.raises(ServerError):
        model.synthesize(["the red box."])


def test_labels_that_are_no_utf_8_are_one_error(grpc_server):
    grpc_server.answer = changed(
        "transcribe_bytes", lambda o: o["label"].string_val.__setitem__(0, b"\xff")
    )
    with RemoteModel(grpc_server.url, "voice") as model, pytest.raises(ServerError):
        model.transcribe([b"RIFF"])


@pytest.mark.parametrize("metadata", [b"", b"\xff\xff", b"\n\x00"])
def test_grpc_metadata_that_are_none_are_one_error(metadata, grpc_server):
    grpc_server.metadata = metadata
    with RemoteModel(grpc_server.url, "voice") as model, pytest.raises(ServerError):
        _ = model.signatures


def test_signatures_without_a_message_are_one_error(grpc_server):
    metadata = proto_metadata()
    metadata.metadata["signature_def"].value = b"\xff\xff"
    grpc_server.metadata = metadata.SerializeToString()
    with RemoteModel(grpc_server.url, "voice") as model, pytest.raises(ServerError):
        _ = model.signatures


def test_long_answers_are_not_read(rest, grpc_server):
    rest.answer = b" " * 3000
    grpc_server.answer = bytes(3000)
    for server in (rest, grpc_server):
        with (
            RemoteModel(server.url, "voice", max_answer_bytes=2000) as model,
            pytest.raises(ServerError, match="RESOURCE_EXHAUSTED"),
        ):
            CALLS["transcribe_bytes"](model)


def test_endless_answers_are_read_up_to_the_limit(rest, monkeypatch):
    """The server says that a gigabyte follows, and sends it."""
    rest.metadata = bytes(2**22)
    rest.headers["Content-Length"] = str(2**30)
    read = []
    original = http.client.HTTPResponse.read

    def count(self, amount=None):
        read.append(amount)
        return original(self, amount)

    monkeypatch.setattr(http.client.HTTPResponse, "read", count)
    with (
        RemoteModel(rest.url, "voice", max_answer_bytes=2**20) as model,
        pytest.raises(ServerError, match="more than 1048576 bytes"),
    ):
        _ = model.signatures
    assert read == [2**20 + 1]


def test_answers_that_take_longer_to_parse_than_there_is_time_are_not_parsed(rest):
    rest.answer = b'{"predictions": [' + b"1e1," * 5_000_000 + b"0]}"
    with (
        RemoteModel(rest.url, "voice", timeout_s=1.5) as model,
        pytest.raises(ServerError, match=r"did not answer within 1\.5 s"),
    ):
        CALLS["transcribe_bytes"](model)


def test_servers_that_send_elsewhere_are_not_followed(rest):
    rest.status, rest.headers["Location"] = 302, "http://127.0.0.1:9/"
    with (
        RemoteModel(rest.url, "voice") as model,
        pytest.raises(ServerError, match="HTTP status 302"),
    ):
        _ = model.signatures


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_a_drip_of_bytes_does_not_outlast_the_timeout(start):
    """In the status line, in a header, or in the body."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip():
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(start)
                for _ in range(200):
                    connection.sendall(b"1")
                    if stop.wait(0.05):
                        break

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        started = time.monotonic()
        try:
            with (
                RemoteModel(url, "voice", timeout_s=0.4) as model,
                pytest.raises(ServerError, match=r"did not answer within 0\.4 s"),
            ):
                _ = model.signatures
        finally:
            taken_s = time.monotonic() - started
            stop.set()
            thread.join()
    assert taken_s < 5  # The drip goes on for 10 s.


@pytest.mark.parametrize(
    "url",
    [
        *("http://a b:1", "http://a:0", "http://a:99999", "http://[::1", "http://a?x"),
        *("http://a#x", "http://me@a", "http://a\n:1", "http://ä:1", "http://a\\b"),
        *(
            "http://" + "a" * 70 + ".de",
            "grpc://a:1/path",
            "grpc://me@a:1",
            "file:///x",
        ),
        *("http://a/\ud800", "http://a/\x00"),
    ],
)
def test_urls_that_mean_something_else_are_refused(url):
    with pytest.raises(SpecError, match="the URL must be like"):
        RemoteModel(url, "voice")


@pytest.mark.parametrize("name", ["", "a\x00b", "a\nb", "\ud800"])
@pytest.mark.parametrize("url", ["http://x:1", "grpc://x:1"])
def test_names_that_are_none_are_refused(name, url):
    with pytest.raises(SpecError, match="a model's name must be printable"):
        RemoteModel(url, name)


@pytest.mark.parametrize(
    "settings",
    [
        *({"timeout_s": float(x)} for x in ("nan", "inf", "-1", "0", "1e12")),
        *({"retries": x} for x in (-1, 10**30, 1.5)),
        *({"version": x} for x in (-1, 2**63, 1.5)),
    ],
)
@pytest.mark.parametrize("url", ["http://x:1", "grpc://x:1"])
def test_numbers_that_are_none_are_refused(settings, url):
    with pytest.raises(SpecError, match="must be"):
        RemoteModel(url, "voice", **settings)


def test_what_a_server_says_cannot_control_the_terminal(rest, command):
    rest.status = 400
    rest.metadata = json.dumps({"error": "a\x1b[2J\u202eb" + "c" * 10**6}).encode()
    code, out, errors = command(client.main, "--url", rest.url, "--model", "m", "text")
    assert (code, out, len(errors)) == (2, "", 1)
    assert errors[0].isprintable()
    assert len(errors[0]) < 3000
