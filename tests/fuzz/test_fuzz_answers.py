"""Mutated answers of servers: the client understands them, or says one error."""

import json

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from fuzzing import bounded, mutated_bytes, mutated_json, outcome
from hostile_servers import (
    OUTPUTS,
    HostileGrpc,
    HostileRest,
    json_answer,
    json_metadata,
    proto_answer,
    proto_metadata,
)

from tfspeech.errors import TfspeechError
from tfspeech.serving.client import RemoteModel

CALLS = {
    "transcribe_bytes": lambda model: model.transcribe([b"RIFF"]),
    "synthesize": lambda model: model.synthesize(["the red box."]),
    "symbol_table": lambda model: model.symbols,
}


@pytest.fixture(scope="module")
def rest():
    server = HostileRest()
    yield server
    server.close()


@pytest.fixture(scope="module")
def grpc_server():
    server = HostileGrpc()
    yield server
    server.close()


def check_understood_or_refused(url, name):
    with RemoteModel(url, "voice", timeout_s=60, retries=0) as model:
        answer, refusal = outcome(TfspeechError, CALLS[name], model)
    assert "\n" not in refusal
    if refusal:
        return
    if name == "transcribe_bytes":
        assert answer[0].label in answer[0].scores
    elif name == "synthesize":
        assert np.isfinite(answer[0].waveform).all()
        assert answer[0].length_s >= 0


names = st.sampled_from(sorted(OUTPUTS))


@hypothesis.given(name=names, data=st.data())
@bounded
def test_json(name, data, rest):
    which = data.draw(st.sampled_from(["metadata", "answer"]))
    good = {"metadata": json_metadata(), "answer": json_answer(name)}
    rest.metadata, rest.answer = (json.dumps(each).encode() for each in good.values())
    setattr(rest, which, json.dumps(data.draw(mutated_json([good[which]]))).encode())
    check_understood_or_refused(rest.url, name)


@hypothesis.given(name=names, data=st.data())
@bounded
def test_bytes_over_rest(name, data, rest):
    rest.metadata = json.dumps(json_metadata()).encode()
    rest.answer = data.draw(mutated_bytes([json.dumps(json_answer(name)).encode()]))
    check_understood_or_refused(rest.url, name)


@hypothesis.given(name=names, data=st.data())
@bounded
def test_messages(name, data, grpc_server):
    which = data.draw(st.sampled_from(["metadata", "answer"]))
    grpc_server.metadata = proto_metadata().SerializeToString()
    grpc_server.answer = proto_answer(name).SerializeToString()
    good = getattr(grpc_server, which)
    setattr(grpc_server, which, data.draw(mutated_bytes([good])))
    check_understood_or_refused(grpc_server.url, name)
