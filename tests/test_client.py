"""The client against servers that fail; `conformance` has one that serves."""

import http.server
import json
import socket
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
import soundfile
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    prediction_service_pb2_grpc,
)

from tfspeech import client
from tfspeech.audio.decode import decode_wav
from tfspeech.errors import AudioError, ServerError, SpecError, TextError
from tfspeech.serving.client import RemoteModel, wav_contents

HTTP_STATUS = {
    "UNAVAILABLE": 503,
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
}
SLOW_S = 3.0


class Rest:
    """A REST server that answers as it is told; the last answer goes on."""

    scheme = "http"

    def __init__(self, answers, port=0):
        self.requests = []
        script, requests = list(answers), self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(self.path)
                answer = script.pop(0) if len(script) > 1 else script[0]
                if answer == "SLOW":
                    time.sleep(SLOW_S)
                    return
                if answer == "OK":
                    answer = 200, json.dumps(METADATA)
                elif isinstance(answer, str):
                    answer = HTTP_STATUS[answer], json.dumps({"error": "the reason"})
                self.send_response(answer[0])
                self.end_headers()
                self.wfile.write(answer[1].encode())

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02])
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Grpc(prediction_service_pb2_grpc.PredictionServiceServicer):
    """A model server over gRPC, which answers by a script."""

    scheme = "grpc"

    def __init__(self, answers, port=0):
        self.requests = []
        self._script = list(answers)
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            self, self._server
        )
        port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.url = f"grpc://127.0.0.1:{port}"
        self._server.start()

    def GetModelMetadata(self, request, context):
        self.requests.append(request)
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if answer == "SLOW":
            time.sleep(SLOW_S)
        elif answer != "OK":
            context.abort(grpc.StatusCode[answer], "the reason")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        signatures.signature_def["synthesize"].inputs["text"].dtype = 7
        response.metadata["signature_def"].Pack(signatures)
        return response

    def close(self):
        self._server.stop(None).wait()


METADATA = {
    "metadata": {
        "signature_def": {
            "signature_def": {"synthesize": {"inputs": {"text": {"dtype": 7}}}}
        }
    }
}


@pytest.fixture(params=[Rest, Grpc])
def start(request):
    """Starts a server of either protocol with a script."""
    servers = []

    def run(*answers, port=0):
        servers.append(request.param(answers, port))
        return servers[-1]

    run.scheme = request.param.scheme
    yield run
    for server in servers:
        server.close()


@pytest.fixture
def waits(monkeypatch):
    """The waits between attempts, which take no time."""
    found = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_requests_are_sent_again_while_the_server_is_unavailable(start, waits):
    server = start("UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "OK")
    with RemoteModel(server.url, "voice") as model:
        assert list(model.signatures) == ["synthesize"]
        assert list(model.signatures) == ["synthesize"]
    assert len(server.requests) == 4
    assert len(waits) == 3
    # They double from 0.1 s on, give or take a fifth.
    for number, wait_s in enumerate(waits):
        assert 0.8 <= wait_s / (0.1 * 2**number) <= 1.2


def test_a_server_that_stays_unavailable_is_given_up(start, waits):
    server = start("UNAVAILABLE")
    with (
        RemoteModel(server.url, "voice", retries=2) as model,
        pytest.raises(ServerError, match=r"no server is available at .*the reason"),
    ):
        _ = model.signatures
    assert len(server.requests) == 3
    assert len(waits) == 2


def test_no_wait_goes_beyond_the_timeout(start, waits):
    server = start("UNAVAILABLE")
    with (
        RemoteModel(server.url, "voice", timeout_s=0.05) as model,
        pytest.raises(ServerError, match="no server is available"),
    ):
        _ = model.signatures
    assert waits == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("INVALID_ARGUMENT", "the reason"),
        ("RESOURCE_EXHAUSTED", "the reason"),
        ("INTERNAL", "the reason"),
        ("NOT_FOUND", "does not serve voice .the reason.: check the name"),
    ],
)
def test_other_errors_are_not_tried_again(code, reason, start, waits):
    server = start(code)
    with (
        RemoteModel(server.url, "voice") as model,
        pytest.raises(ServerError, match=reason),
    ):
        _ = model.signatures
    assert len(server.requests) == 1
    assert waits == []


def test_a_server_that_is_slow_is_not_asked_again(start):
    server = start("SLOW")
    with (
        RemoteModel(server.url, "voice", timeout_s=0.5) as model,
        pytest.raises(ServerError, match=r"did not answer within 0.5 s"),
    ):
        _ = model.signatures
    assert len(server.requests) == 1


def test_a_server_that_comes_up_late_is_met(start, monkeypatch):
    port = free_port()
    sleep = time.sleep

    def wake(seconds):
        monkeypatch.setattr(time, "sleep", sleep)
        start("OK", port=port)
        sleep(max(seconds, 0.2))  # A connection that failed is not tried at once.

    monkeypatch.setattr(time, "sleep", wake)
    with RemoteModel(f"{start.scheme}://127.0.0.1:{port}", "voice") as model:
        assert list(model.signatures) == ["synthesize"]


def test_no_server_is_one_line_and_exit_code_2(start, command, waits):
    url = f"{start.scheme}://127.0.0.1:{free_port()}"
    arguments = ("--url", url, "--model", "voice", "--retries", 1, "the red box.")
    code, out, errors = command(client.main, *arguments)
    assert (code, out, len(errors)) == (2, "", 1)
    assert errors[0].startswith(f"error: no server is available at {url} (")
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ((200, "<html>"), 1),
        ((200, "[1]"), 1),
        ((200, '{"metadata": 3}'), 1),
        ((404, "<html>"), 1),
        ((503, "<html>"), 2),
    ],
)
def test_what_is_no_tf_serving_is_said_to_be_none(answer, sent, waits):
    server = Rest([answer])
    with (
        RemoteModel(server.url, "voice", retries=1) as model,
        pytest.raises(ServerError, match="is no REST of TF Serving"),
    ):
        _ = model.signatures
    server.close()
    assert len(server.requests) == sent


def test_rest_at_the_port_of_grpc_is_told_so():
    server = Grpc(["OK"])
    with (
        RemoteModel(server.url.replace("grpc", "http"), "voice") as model,
        pytest.raises(ServerError, match="8501"),
    ):
        _ = model.signatures
    server.close()


def test_names_and_versions_are_in_the_request(start):
    server = start("OK")
    with RemoteModel(server.url, "a voice", version=3) as model:
        assert not model.recognizes
    (request,) = server.requests
    if start.scheme == "http":
        assert request == "/v1/models/a%20voice/versions/3/metadata"
    else:
        assert (request.model_spec.name, request.model_spec.version.value) == (
            *("a voice", 3),
        )


def test_a_path_before_v1_is_kept():
    server = Rest(["OK"])
    with RemoteModel(f"{server.url}/speech/", "voice") as model:
        assert list(model.signatures) == ["synthesize"]
    server.close()
    assert server.requests == ["/speech/v1/models/voice/metadata"]


@pytest.mark.parametrize(
    "url", ["", "localhost:8501", "ftp://x:1", "http://", "grpc://x", "grpc://x:y"]
)
def test_urls_that_are_none_are_refused(url):
    with pytest.raises(SpecError, match="the URL must be like"):
        RemoteModel(url, "voice")


@pytest.mark.parametrize("settings", [{"timeout_s": 0.0}, {"retries": -1}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(SpecError, match="must"):
        RemoteModel("http://x", "voice", **settings)


@pytest.mark.parametrize("text", ["the ж box", "?!"])
def test_texts_that_cannot_be_spoken_are_not_sent(text, start):
    server = start("OK")
    with RemoteModel(server.url, "voice") as model, pytest.raises(TextError):
        model.synthesize(["the red box.", text])
    assert server.requests == []


def test_a_model_without_the_signature_says_which_it_has(start):
    server = start("OK")
    with (
        RemoteModel(server.url, "voice") as model,
        pytest.raises(ServerError, match="no signature transcribe_bytes; it has synth"),
    ):
        model.transcribe([b"RIFF"])


@pytest.fixture
def tone():
    return 0.3 * np.sin(np.arange(16000) * 0.3)


def test_wav_files_are_sent_as_they_are(tone, tmp_path):
    path = tmp_path / "tone.mp3"  # Its name does not matter.
    soundfile.write(path, tone, 44100, format="WAV", subtype="PCM_24")
    assert wav_contents(path) == path.read_bytes()


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_other_formats_are_sent_as_wav(suffix, tone, tmp_path):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone, 16000)
    samples, rate_hz = decode_wav(wav_contents(path))
    assert rate_hz == 16000
    if suffix == "flac":
        np.testing.assert_allclose(samples, tone, atol=1e-4)
    assert 0.2 < np.abs(samples).max() < 0.4


def test_what_is_no_audio_is_named(tmp_path):
    (tmp_path / "x.wav").write_text("no audio")
    with pytest.raises(AudioError, match=r"x\.wav"):
        wav_contents(tmp_path / "x.wav")
