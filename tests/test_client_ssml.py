"""SSML to a server: what it says is what the model says here."""

import itertools

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from tiny_servers import RATE_HZ, Local, attention, dense, served

from tfspeech import client
from tfspeech.errors import ServerError, SpecError, TextError
from tfspeech.serving.client import RemoteModel, connection
from tfspeech.tasks.speech.speaking import speak_ssml

DOCUMENTS = (
    '<speak>The <prosody rate="60%" pitch="+4st">old</prosody> man, <emphasis>closed'
    '</emphasis> the door.<break time="250ms"/>Slowly!<break strength="weak"/></speak>',
    '<speak><break time="100ms"/><prosody rate="x-fast">a box.</prosody></speak>',
)


@pytest.fixture(scope="module")
def task():
    return dense(frames_per_phoneme=6)


@pytest.fixture(scope="module")
def signatures(task):
    return served(task)


@pytest.fixture
def connected(signatures, monkeypatch):
    """A client's transport is one to the model."""
    monkeypatch.setattr(connection, "RestTransport", lambda *_: Local(signatures))


@pytest.fixture
def remote(connected):
    return RemoteModel("http://localhost:1", "voice")


def test_a_server_says_what_is_said_here(task, remote):
    usual = {"rate": 1.25, "semitones": -2.0}
    here = speak_ssml(task, DOCUMENTS, **usual)
    there = remote.synthesize_ssml(DOCUMENTS, **usual)
    with pytest.raises(SpecError, match="rate must be between"):
        next(speak_ssml(task, DOCUMENTS, rate=9.0))
    count = 0
    for piece, answer in itertools.zip_longest(here, there):
        assert answer.sample_rate_hz == piece.sample_rate_hz == RATE_HZ
        assert answer.last == piece.last
        wanted = piece.waveform.clip(-1, 1)
        np.testing.assert_allclose(answer.waveform, wanted, atol=1e-5)
        assert np.abs(wanted).max() > 0.01
        count += 1
    assert count == 3


def test_the_command_writes_documents_with_their_breaks(
    task, connected, tmp_path, command
):
    flags = ("--url", "http://localhost:1", "--model", "voice", "--ssml")
    output = ("--output", tmp_path / "x.wav", "--pitch", 3)
    code, _, _ = command(client.main, *flags, *output, *DOCUMENTS)
    assert code == 0
    pieces = list(speak_ssml(task, DOCUMENTS, semitones=3.0))
    for number, spoken in ((1, pieces[:2]), (2, pieces[2:])):
        found, _ = soundfile.read(tmp_path / f"x_{number}.wav")
        wanted = np.concatenate([piece.waveform for piece in spoken]).clip(-1, 1)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    code, _, lines = command(client.main, *flags, "<speak>a<sub/></speak>")
    assert (code, len(lines)) == (2, 1)
    assert "column 9: an element must be prosody, emphasis or break" in lines[0]


def test_nothing_is_sent_before_all_documents_are_read(remote):
    with pytest.raises(TextError, match="it is no XML"):
        next(remote.synthesize_ssml([DOCUMENTS[0], "<speak>"]))
    louder = '<speak><prosody volume="loud">a</prosody></speak>'
    with pytest.raises(TextError, match="the model has no energy"):
        next(remote.synthesize_ssml([louder]))
    with pytest.raises(SpecError, match="has no energy"):
        next(remote.synthesize_ssml(DOCUMENTS, energy=1.0))


def test_a_model_without_prosody_by_the_word_is_named(monkeypatch):
    voice = Local(served(attention(stop_bias=50.0)))
    monkeypatch.setattr(connection, "RestTransport", lambda *_: voice)
    with pytest.raises(ServerError, match=r"whisper at .* speaks no SSML"):
        next(RemoteModel("http://x", "whisper").synthesize_ssml(DOCUMENTS))


def request(**changed):
    """Three segments in a request, with a value for each."""
    symbols = {"symbols": [[2, 20, 1]], "symbols_length": [3]}
    prosody = {"symbol_rate": [[1.0] * 3], "symbol_semitones": [[0.0] * 3]}
    return {k: tf.constant(v) for k, v in (symbols | prosody | changed).items()}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"symbol_rate": [[1.0, 0.0, 1.0]]}, "rate must be between 0.25 and 4"),
        ({"symbol_rate": [[1.0, np.nan, 1.0]]}, "rate must be between 0.25 and 4"),
        ({"symbol_semitones": [[0.0, 0.0, 25.0]]}, "semitones must be between -24"),
        ({"symbol_rate": [[1.0] * 4]}, "symbol_rate must have as many values as ther"),
        ({"symbol_rate": [[1.0]]}, "symbol_rate must have as many values as there"),
        ({"symbol_rate": [[1.0] * 3] * 2}, "must have as many rows"),
        ({"symbols_length": [4]}, "symbols_length must not be more than the symbols"),
        ({"symbols": [[2, 999, 1]]}, "symbols"),
    ],
)
def test_values_out_of_range_are_refused_with_the_reason(signatures, changed, reason):
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        signatures["synthesize_segments"](**request(**changed))


def test_what_is_beyond_the_segments_changes_nothing(signatures):
    speak = signatures["synthesize_segments"]
    alone = speak(**request())
    more = {"symbols": [[2, 20, 1, 999]], "symbol_rate": [[1.0, 1.0, 1.0, np.nan]]}
    padded = speak(**request(**more, symbol_semitones=[[0.0, 0.0, 0.0, 99.0]]))
    for name in ("waveform_length", "frame_length"):
        np.testing.assert_array_equal(padded[name], alone[name])
    np.testing.assert_allclose(padded["waveform"], alone["waveform"], atol=1e-6)


def test_limits_hold_for_segments_too(task, signatures):
    size = task.limits.max_symbols + 1
    long = request(
        symbols=np.full([1, size], 20, np.int32),
        symbol_rate=np.ones([1, size], np.float32),
        symbol_semitones=np.zeros([1, size], np.float32),
    )
    reason = "max_symbols of this model is 400. Received: 401"
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        signatures["synthesize_segments"](**long)
