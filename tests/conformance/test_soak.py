"""Seconds of the soak, which is to last for hours, and what it finds."""

import numpy as np
import pytest

from benchmarks.soak import Request, good_requests, judge, send
from tfspeech.serving.client.transport import Signature


@pytest.fixture(scope="module")
def requests(exports):
    found = good_requests(exports)
    assert {request.model for request in found} >= {
        *("rnn_recognizer", "attention_tts", "dense_synthesis"),
    }
    return found


def test_a_server_answers_what_is_good_and_refuses_what_is_not(requests, server):
    tallies = send(requests, server, seconds=4.0, requests_per_s=50.0)
    assert {"good", "hostile numbers", "hostile shapes", "hostile rows"} <= set(tallies)
    for kind, tally in tallies.items():
        assert tally.failures == [], kind
    assert tallies["good"].answered > 5
    assert tallies["good"].refused == 0
    assert sum(tally.refused for tally in tallies.values()) > 10


def test_other_answers_than_the_right_ones_are_failures(requests, server):
    wrong = [
        r._replace(answer={n: a + a.dtype.type(1) for n, a in r.answer.items()})
        for r in requests
        if r.signature.name == "limits"
    ]
    tallies = send(wrong, server, seconds=0.5, requests_per_s=20.0)
    assert tallies["good"].answered == 0
    assert "limits, " in tallies["good"].failures[0]
    assert "is wrong" in tallies["good"].failures[0]


def test_a_server_that_is_gone_is_a_failure(requests):
    nobody = {"grpc": 9, "rest": 9}
    tallies = send(requests, nobody, seconds=0.1, requests_per_s=100.0)
    for tally in tallies.values():
        assert not tally.answered + tally.refused
        assert "UNAVAILABLE" in tally.failures[0]


def test_answers_are_compared_by_type():
    right = {"scores": np.array([[0.5, 0.5]]), "label": np.array(["one"], object)}
    request = Request("good", "m", Signature("s", {}, {}), {}, right)
    assert judge(request, right) == ""
    close = {**right, "scores": np.array([[0.5001, 0.4999]])}
    assert judge(request, close) == ""
    other = {**right, "scores": np.array([[0.6, 0.4]])}
    assert judge(request, other) == "scores is wrong"
    assert judge(request, {**right, "label": np.array(["two"], object)}) != ""
    assert judge(request, {**right, "scores": np.zeros([2, 2])}) != ""
    bad = {**right, "scores": np.array([[np.nan, 0.5]])}
    assert judge(request._replace(answer=None), bad) == "scores is not finite"
