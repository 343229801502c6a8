"""The client's command, and curl, against a server with models of every kind."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tfspeech import client, transcribe
from tfspeech.errors import ServerError, SpecError
from tfspeech.serving.client import RemoteModel
from tfspeech.text.normalize import normalize

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """One high tone in every format, at other rates."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, rate_hz in (("a.wav", 8000), ("b.flac", 48000), ("c.mp3", 16000)):
        time = np.arange(int(rate_hz * 0.3)) / rate_hz
        soundfile.write(folder / name, 0.3 * np.sin(9425 * time), rate_hz)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def heard_here(small_run, recordings):
    return list(transcribe.run(small_run, recordings))


def test_files_are_transcribed_as_here(url, recordings, heard_here, command):
    arguments = ["--url", url, "--model", "rnn_recognizer", *recordings]
    code, out, errors = command(client.main, *arguments)
    assert (code, errors) == (0, [])
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[:2] for row in rows] == [[str(path), "high"] for path in recordings]
    _, out, _ = command(client.main, *arguments, "--json")
    found = json.loads(out)["files"]
    for each, row, here in zip(found, rows, heard_here, strict=True):
        assert (each["file"], each["label"]) == (here["file"], here["label"])
        assert row[2] == f"{each['probability']:.3f}"
        # Other formats are sent as 16 bits.
        assert each["probability"] == pytest.approx(here["probability"], abs=1e-3)
        assert each["scores"] == pytest.approx(here["scores"], abs=1e-3)


def test_connected_speech_is_transcribed_as_here(
    url, recordings, small_transcriber, command
):
    heard = list(transcribe.run(small_transcriber, recordings))
    arguments = ["--url", url, "--model", "ctc_recognizer", *recordings]
    code, out, errors = command(client.main, *arguments)
    assert (code, errors) == (0, [])
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[:2] for row in rows] == [[each["file"], each["text"]] for each in heard]
    _, out, _ = command(client.main, *arguments, "--json")
    for each, here in zip(json.loads(out)["files"], heard, strict=True):
        assert set(each) == {"file", "text", "confidence"}
        assert each["confidence"] == pytest.approx(here["confidence"], abs=1e-2)


def test_texts_become_numbered_files(url, voice, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = ["The red box!", "Dr. Lee paid $5."]
    code, out, lines = command(
        client.main, "--url", url, "--model", "attention_tts", *texts, "--json"
    )
    assert (code, len(lines)) == (0, 2)
    files = json.loads(out)["files"]
    assert [each["file"] for each in files] == ["speech_1.wav", "speech_2.wav"]
    assert [each["text"] for each in files] == texts
    spoken = voice.speak([normalize(text) for text in texts])
    for each, line, speech in zip(files, lines, spoken, strict=True):
        waveform, rate_hz = soundfile.read(each["file"])
        wanted = voice.waveform(speech.frames)
        assert rate_hz == 8000
        np.testing.assert_allclose(waveform, wanted, atol=1e-3)
        assert each["seconds"] == pytest.approx(len(wanted) / 8000, abs=1e-3)
        assert each["stopped"] == speech.stopped
        assert line.startswith(f"{each['file']}: {each['seconds']:.2f} s of speech")


def test_a_long_text_is_spoken_in_pieces(url, tmp_path, command):
    sentence = "the red box and the white door."
    path = tmp_path / "x.wav"

    def speak(text):
        code, out, _ = command(
            *(client.main, "--url", url, "--model", "dense_synthesis", "--json", text),
            *("--output", path),
        )
        assert code == 0
        waveform, rate_hz = soundfile.read(path)
        (found,) = json.loads(out)["files"]
        assert found["seconds"] == pytest.approx(len(waveform) / rate_hz, abs=1e-3)
        assert found["text"] == text
        return waveform

    # 9 sentences of 32 characters fit into 300.
    first, second = (speak(" ".join([sentence] * count)) for count in (9, 3))
    pause = np.zeros(2400)
    wanted = np.concatenate([first, pause, second])
    np.testing.assert_array_equal(speak(" ".join([sentence] * 12)), wanted)


def test_what_a_model_refuses_is_named_by_limit_or_sample(url, recordings, tmp_path):
    bad = np.zeros(1000)
    bad[17] = np.nan
    soundfile.write(tmp_path / "bad.wav", bad, 8000, subtype="FLOAT")
    good, bad = recordings[0].read_bytes(), (tmp_path / "bad.wav").read_bytes()
    with RemoteModel(url, "rnn_recognizer") as model:
        assert model.limits["max_rows"] == 16
        assert model.limits["max_seconds"] == 30.0
        words = model.transcribe([good, bad])
        assert [word.label for word in words] == ["high", ""]
        assert words[0].error == ""
        assert words[1].error.startswith("sample 17 is not finite")
        with pytest.raises(ServerError, match="row 0: sample 17 is not finite"):
            model.transcribe([bad])
        with pytest.raises(ServerError, match=r"max_rows of this model is 16\. Rec"):
            model.transcribe([good] * 17)


def test_speech_can_be_faster(url, tmp_path, command):
    def seconds(*flags):
        output = ("--output", tmp_path / "x.wav", "--json")
        arguments = ("--url", url, "--model", "dense_synthesis", "the red box.")
        code, out, _ = command(client.main, *arguments, *output, *flags)
        assert code == 0
        return json.loads(out)["files"][0]["seconds"]

    usual = seconds()
    assert seconds("--rate", 2, "--pitch", 3) < 0.8 * usual
    assert seconds("--rate", 1, "--pitch", 0) == usual


@pytest.mark.parametrize(
    ("model", "given", "reasons"),
    [
        ("nothing", ["a"], ["does not serve nothing", "Latest(nothing)"]),
        (
            "rnn_recognizer",
            ["--model-version", "7", "a.wav"],
            ["Specific(rnn_recognizer, 7)"],
        ),
        ("rnn_recognizer", ["/no/such.wav"], ["/no/such.wav"]),
        ("rnn_recognizer", ["{riff}"], ["{riff}: ", "RIFF/WAVE", "INVALID_ARGUMENT"]),
        ("rnn_recognizer", ["{text}"], ["{text}: Expected wav, flac"]),
        ("rnn_recognizer", ["{riff}", "--output", "x.wav"], ["leave out --output"]),
        ("rnn_recognizer", ["{riff}", "--rate", "2"], ["leave out --rate"]),
        ("attention_tts", ["a", "--rate", "2"], ["no rate that could be changed"]),
        ("dense_synthesis", ["the box.", "--rate", "9"], ["rate must be", ": 9"]),
        ("attention_tts", ["the ж box"], ["unknown symbol 'ж'"]),
        ("attention_tts", ["a", "--output", "/no/such/x.wav"], ["/no/such/x.wav"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    model, given, reasons, url, tmp_path, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    places = {"riff": tmp_path / "riff", "text": tmp_path / "text"}
    places["riff"].write_bytes(b"RIFF1234WAVEfmt ")
    places["text"].write_text("no audio")
    given = [each.format(**places) for each in given]
    code, out, errors = command(client.main, "--url", url, "--model", model, *given)
    assert (code, out, len(errors)) == (2, "", 1)
    assert errors[0].startswith("error: ")
    for reason in reasons:
        assert reason.format(**places) in errors[0]
    assert "{{node" not in errors[0]


@pytest.mark.parametrize(
    ("shape", "length", "error", "reason"),
    [
        ((1, 8), 9, ServerError, "waveform_length must not be more than the samples"),
        ((1, 8, 1), 8, ServerError, "is not compatible with expected shape"),
        ((2, 8), 8, SpecError, "as many rows. Received: {'waveform': 2, 'waveform_l"),
        ((1, 8), None, SpecError, "takes waveform, waveform_length. Received: wavef"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_the_reason(
    shape, length, error, reason, url
):
    inputs = {"waveform": np.zeros(shape, np.float32)}
    if length:
        inputs["waveform_length"] = np.array([length], np.int32)
    with (
        RemoteModel(url, "rnn_recognizer") as model,
        pytest.raises(error, match=reason) as caught,
    ):
        model.predict("serving_default", inputs)
    assert "Condition" not in str(caught.value)


def test_a_new_version_is_rolled_in_and_back(url, exports, recordings):
    def serves(version):
        with RemoteModel(url, "rnn_recognizer", version) as model:
            (word,) = model.transcribe([recordings[0].read_bytes()])
            return word.label == "high"

    models = exports / "rnn_recognizer"
    shutil.copytree(models / "1", models / "12")
    try:
        assert serves(None)
        assert serves(12)
        with pytest.raises(ServerError, match=r"Specific.rnn_recognizer, 1."):
            serves(1)
    finally:
        shutil.rmtree(models / "12")
    assert serves(None)
    assert serves(1)


def readme_commands():
    """The curl commands of the README, with the lines they go on in."""
    section = README.read_text().partition("\n## Serve\n")[2].partition("\n## ")[0]
    blocks = section.split("```")[1::2]
    lines = "".join(blocks).replace("\\\n", " ").replace("|\n", "|").splitlines()
    return [line for line in lines if "curl" in line]


def curl(line, server, folder):
    """Runs a command of the README against another server; returns its answer."""
    line = line.replace("localhost:8501", f"127.0.0.1:{server['rest']}")
    done = subprocess.run(
        ["bash", "-c", line.replace("curl", "curl --silent")],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_the_curl_commands_of_the_readme_do_what_it_says(
    server, recordings, heard_here, voice, tmp_path
):
    shutil.copy(recordings[0], tmp_path / "recording.wav")
    state, heard, spoken = (curl(line, server, tmp_path) for line in readme_commands())
    assert state["model_version_status"][0]["state"] == "AVAILABLE"
    (answer,) = heard["predictions"]
    assert answer["label"] == heard_here[0]["label"]
    scores = dict(zip(answer["labels"], answer["scores"], strict=True))
    assert scores == pytest.approx(heard_here[0]["scores"], abs=1e-4)
    (speech,) = voice.speak(["the old man closed the door."])
    (length,) = spoken["outputs"]["waveform_length"]
    waveform = spoken["outputs"]["waveform"][0][:length]
    np.testing.assert_allclose(waveform, voice.waveform(speech.frames), atol=1e-3)
