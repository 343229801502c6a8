"""The commands on a recogniser of connected speech."""

import dataclasses
import io
import json

import keras
import numpy as np
import pytest
import soundfile

import tfspeech
from models import CtcRecognizerConfig
from tfspeech import evaluate, transcribe
from tfspeech.audio.decode import read_audio
from tfspeech.tasks.limits import RecognitionLimits
from tfspeech.tasks.registry import build_task, default_config
from tfspeech.tasks.runs import load_task


@pytest.fixture(scope="module")
def recording(tones, tmp_path_factory):
    """Three tones with pauses between them."""
    path = tmp_path_factory.mktemp("recording") / "three.wav"
    pause = np.zeros(1600)
    tones_ = [read_audio(tones / n / "s01_nohash_0.wav")[0] for n in ("high", "low")]
    soundfile.write(path, np.concatenate([tones_[0], pause, tones_[1]]), 8000)
    return path


@pytest.mark.slow
@pytest.mark.headline
def test_evaluate_prints_rates_and_errors(small_transcriber, command):
    code, out, errors = command(evaluate.main, small_transcriber, "--json")
    assert (code, errors) == (0, [])
    scores = json.loads(out)
    assert {"loss", "wer", "cer"} <= set(scores)
    results = json.loads((small_transcriber / "results.json").read_text())
    assert {name: results[name] for name in scores} == scores
    code, out, _ = command(evaluate.main, small_transcriber)
    assert code == 0
    assert f"word error rate     {scores['wer']:.2%}" in out
    assert scores["errors"][0]["utterance"] in out
    assert f"and {len(scores['errors']) - 10} more; --json lists all" in out


def test_the_run_has_its_plots(small_transcriber):
    plots = {path.name for path in (small_transcriber / "plots").glob("*.png")}
    assert {"errors.png", "learning.png"} <= plots


def test_transcribe_prints_text_json_and_subtitles(
    small_transcriber, recording, command
):
    code, out, errors = command(transcribe.main, small_transcriber, recording)
    assert (code, errors) == (0, [])
    name, text, confidence = out.rstrip("\n").split("\t")
    assert name == str(recording)
    assert set(text.split()) <= {"high", "low", "middle"}
    assert 0 < float(confidence) <= 1
    _, out, _ = command(transcribe.main, small_transcriber, recording, "--json")
    (found,) = json.loads(out)["files"]
    assert (found["file"], found["text"]) == (name, text)
    (segment,) = found["segments"]
    assert [word["word"] for word in segment["words"]] == text.split()
    assert segment["words"][0].keys() == {"word", "start_s", "end_s"}
    _, out, _ = command(
        transcribe.main, small_transcriber, recording, "--subtitles", "vtt"
    )
    header, _, times, line = out.splitlines()
    assert (header, line) == ("WEBVTT", text)
    assert times.startswith("00:00:00.000 --> 00:00:00.")


@pytest.mark.parametrize(
    ("run_name", "more", "reason"),
    [
        ("small_transcriber", ["{file}"], "--subtitles are of one FILE"),
        ("small_transcriber", ["--json"], "--subtitles are of one FILE"),
        ("small_run", [], "of single words, which have no times"),
    ],
)
def test_subtitles_that_cannot_be_are_one_line(
    run_name, more, reason, recording, small_run, small_transcriber, command
):
    run_dir = {"small_run": small_run}.get(run_name, small_transcriber)
    more = [each.format(file=recording) for each in more]
    arguments = (run_dir, recording, *more, "--subtitles", "srt")
    code, out, errors = command(transcribe.main, *arguments)
    assert (code, out, len(errors)) == (2, "", 1)
    assert reason in errors[0]


def test_python_has_the_same(small_transcriber, recording):
    found = tfspeech.load_run(small_transcriber).transcribe(recording)
    (here,) = transcribe.run(small_transcriber, [recording])
    assert found.text == here["text"]
    assert found.segments[0].words[0].word == here["segments"][0]["words"][0]["word"]


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory):
    """Almost three minutes, in a file that is not read whole."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, 170 * 16000)
    soundfile.write(path, noise, 16000, subtype="DOUBLE")
    assert path.stat().st_size > RecognitionLimits().max_audio_bytes
    return path


def test_a_long_recording_does_not_fit_a_recogniser_of_words(
    small_run, long_recording, command
):
    code, _, errors = command(transcribe.main, small_run, long_recording)
    assert code == 2
    assert errors == [
        f"error: {long_recording}: max_audio_bytes of this model is 20000000. "
        f"Received: {long_recording.stat().st_size}"
    ]


@pytest.mark.slow
@pytest.mark.headline
def test_a_long_recording_is_transcribed_in_blocks(small_transcriber, long_recording):
    (found,) = transcribe.run(small_transcriber, [long_recording])
    ends = [segment["end_s"] for segment in found["segments"]]
    assert ends == sorted(ends)
    assert 150 < ends[-1] <= 170
    samples = soundfile.read(long_recording, dtype="float32")[0]
    whole = load_task(small_transcriber)[1].transcribe(samples, 16000)
    assert found["text"] == whole.text


class Pcm(io.BytesIO):
    """A stream of which not all is there at once, nor whole samples."""

    def read1(self, size=-1):
        return super().read1(min(size, 1001))


def test_a_stream_is_transcribed_while_it_comes(recording, command, monkeypatch):
    config = default_config("ctc_recognizer")
    features = dataclasses.replace(
        config.features,
        sample_rate_hz=8000,
        dynamic_range_db=0.0,
        utterance_normalization="running_mean",
    )
    small = CtcRecognizerConfig(causal=True, units=8, conv_filters=8)
    config = dataclasses.replace(
        config, architecture=small, features=features, symbol_names=("high", "low")
    )
    keras.utils.set_random_seed(0)
    task = build_task(config)
    monkeypatch.setattr(transcribe, "load_task", lambda run_dir: (config, task))
    samples = (read_audio(recording)[0] * 2**15).astype("<i2")
    wanted = task.transcribe(samples.astype(np.float32) / 2**15, 8000).text
    assert wanted
    standard = io.TextIOWrapper(Pcm(samples.tobytes()))
    monkeypatch.setattr("sys.stdin", standard)
    code, out, errors = command(transcribe.main, "run", "--stream", "-")
    assert (code, out, errors) == (0, f"{wanted}\n", [])


@pytest.mark.parametrize(
    ("run_name", "arguments", "reason"),
    [
        ("small_hybrid", ["--stream", "-"], "which transcribes no speech while it"),
        ("small_transcriber", ["--stream", "-"], "train one with --causal"),
        ("small_hybrid", ["--stream", "-", "x.wav"], "--stream is of one FILE"),
        ("small_hybrid", ["--stream", "-", "--json"], "--stream is of one FILE"),
        ("small_hybrid", ["--stream", "{missing}"], "No such file"),
    ],
)
def test_streams_that_cannot_be_are_one_line(
    run_name, arguments, reason, small_hybrid, small_transcriber, tmp_path, command
):
    run_dir = {"small_hybrid": small_hybrid}.get(run_name, small_transcriber)
    arguments = [each.format(missing=tmp_path / "missing") for each in arguments]
    code, _, errors = command(transcribe.main, run_dir, *arguments)
    assert (code, len(errors)) == (2, 1)
    assert reason in errors[0]
