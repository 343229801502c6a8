"""Evaluate, synthesize, transcribe and export, on a small synthesiser."""

import io
import json
import shutil

import numpy as np
import pytest
import soundfile

from tfspeech import evaluate, export, synthesize, transcribe
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.speech.speaking import speak_ssml

TEXTS = ["the red box.", "The old hat!"]


def test_evaluate_repeats_the_scores_of_the_run(small_voice, command):
    code, out, _ = command(evaluate.main, small_voice, "--json")
    assert code == 0
    scores = json.loads(out.splitlines()[-1])
    saved = json.loads((small_voice / "results.json").read_text())
    assert {"loss", "mcd_db", "vocoder_mcd_db", "other_voice_mcd_db"} <= set(scores)
    hard = scores.pop("hard_sentences")
    assert hard == pytest.approx(saved["hard_sentences"], rel=1e-4)
    for name, score in scores.items():
        assert (score is None) == (saved[name] is None)
        assert score is None or score == pytest.approx(saved[name], rel=1e-4)


@pytest.mark.slow
@pytest.mark.headline
def test_evaluate_prints_a_table_with_both_references(small_voice, command):
    code, out, _ = command(evaluate.main, small_voice, "--split", "validation")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("4 sentences, loss ")
    head = next(i for i, line in enumerate(lines) if "vocoder" in line)
    assert lines[head].split() == ["model", "vocoder", "other", "voice"]
    row = lines[head + 1].split()
    assert row[:2] == ["mel-cepstral", "distortion"]
    assert row[-1] == "dB"
    assert all(float(figure) > 0 for figure in row[2:5])


def test_one_text_becomes_one_file(small_voice, tmp_path, command):
    output = tmp_path / "x.wav"
    code, out, lines = command(
        synthesize.main, small_voice, TEXTS[0], "--output", output
    )
    assert (code, out, len(lines)) == (0, "", 1)
    assert lines[0].startswith(f"{output}: ")
    assert "real-time factor" in lines[0]
    waveform, rate_hz = soundfile.read(output)
    assert rate_hz == 8000
    assert 0 < np.abs(waveform).max() <= 1
    assert f" {waveform.size / rate_hz:.2f} s of speech" in lines[0]


def test_several_texts_become_numbered_files_and_one_json_object(
    small_voice, tmp_path, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, out, _ = command(synthesize.main, small_voice, "--json", *TEXTS)
    assert code == 0
    files = json.loads(out)["files"]
    assert [each["file"] for each in files] == ["speech_1.wav", "speech_2.wav"]
    assert [each["text"] for each in files] == TEXTS
    for each in files:
        waveform, rate_hz = soundfile.read(each["file"])
        assert each["seconds"] == pytest.approx(waveform.size / rate_hz, abs=1e-3)
        assert each["real_time_factor"] > 0


@pytest.mark.slow
@pytest.mark.headline
def test_a_file_of_ssml_is_one_document(small_dense, tmp_path, command):
    output, file = tmp_path / "x.wav", tmp_path / "x.ssml"
    file.write_text(
        '<speak>the <prosody pitch="+3st">old\nhat.</prosody><break time="1500ms"/>'
        "the box.</speak>"
    )
    arguments = ("--ssml", "--file", file, "--output", output, "--rate", 2)
    code, _, lines = command(synthesize.main, small_dense, *arguments)
    assert (code, len(lines)) == (0, 1)
    waveform, rate_hz = soundfile.read(output)
    silent = np.flatnonzero(np.abs(waveform) > 0)
    assert np.diff(silent).max() >= 1.5 * rate_hz
    _, task = load_task(small_dense)
    pieces = list(speak_ssml(task, [file.read_text()], rate=2.0))
    assert [piece.last for piece in pieces] == [False, True]
    assert waveform.size == sum(piece.waveform.size for piece in pieces)
    file.write_text(
        "<speak>the <emphasis>hat</emphasis> <prosody volume='+3dB'/></speak>"
    )
    code, _, lines = command(synthesize.main, small_dense, *arguments)
    assert (code, len(lines)) == (2, 1)
    assert "column 37: the model has no energy, which volume would change" in lines[0]


def test_what_has_no_prosody_speaks_no_ssml(small_voice, command):
    code, _, lines = command(synthesize.main, small_voice, "<speak>a</speak>", "--ssml")
    assert (code, len(lines)) == (2, 1)
    assert "attention_tts speaks no SSML" in lines[0]


@pytest.mark.parametrize(("bias", "stopped"), [(50.0, True), (-50.0, False)])
def test_speech_without_an_end_is_told_from_other(
    bias, stopped, small_voice, tmp_path, command
):
    run_dir = tmp_path / "run"
    (run_dir / "checkpoints").mkdir(parents=True)
    shutil.copy(small_voice / "config.json", run_dir)
    with np.load(small_voice / "checkpoints" / "best.npz") as arrays:
        best = dict(arrays)
    best["model:attention_tts/decoder/output/bias"][-1] = bias
    np.savez(run_dir / "checkpoints" / "best.npz", **best)
    output = tmp_path / "x.wav"
    arguments = [run_dir, TEXTS[0], "--output", output, "--json"]
    code, out, lines = command(synthesize.main, *arguments)
    assert code == 0
    assert json.loads(out)["files"][0]["stopped"] is stopped
    assert lines[0].endswith("it did not find the end") is not stopped


def test_a_file_has_a_text_per_line(small_voice, tmp_path, command):
    (tmp_path / "texts.txt").write_text("the red box.\n\n  the old hat.  \n")
    output = tmp_path / "y.wav"
    code, _, _ = command(
        synthesize.main, small_voice, "--file", tmp_path / "texts.txt", "--output",
        output,
    )  # fmt: skip
    assert code == 0
    assert sorted(p.name for p in tmp_path.glob("*.wav")) == ["y_1.wav", "y_2.wav"]


def test_standard_output_gets_the_wav_file_alone(small_voice, capfdbinary):
    synthesize.main([str(small_voice), TEXTS[0], "--output", "-"])
    waveform, rate_hz = soundfile.read(io.BytesIO(capfdbinary.readouterr().out))
    assert rate_hz == 8000
    assert waveform.size > 0


NO_SPEECH = {
    "unknown symbol": (["the ж box"], "unknown symbol 'ж' at character 5"),
    "empty text": ([""], "there is nothing to say"),
    "no words": (["?!"], "there is nothing to say"),
    "no text": ([], "give either TEXT or --file"),
    "two sources": (["a", "--file", "x.txt"], "give either TEXT or --file"),
    "no such file": (["--file", "/no/such.txt"], "/no/such.txt"),
    "empty file": (["--file", "{empty}"], "holds no text"),
    "no text file": (["--file", "{binary}"], "is no UTF-8 text"),
    "two to one stream": (["a", "b", "--output", "-"], "--output - takes one text"),
    "json beside audio": (["a", "--json", "--output", "-"], "and no --json"),
    "no such folder": (["a", "--output", "/no/such/x.wav"], "/no/such/x.wav"),
}


@pytest.mark.parametrize("case", NO_SPEECH)
def test_bad_input_is_one_line_and_exit_code_2(
    case, small_voice, tmp_path, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    arguments, reason = NO_SPEECH[case]
    arguments = [a.format(empty="empty", binary="binary") for a in arguments]
    code, out, errors = command(synthesize.main, small_voice, *arguments)
    assert (code, out, len(errors)) == (2, "", 1)
    assert errors[0].startswith("error: ")
    assert reason in errors[0]
    assert not list(tmp_path.glob("*.wav"))


def test_nothing_is_spoken_where_a_later_text_cannot_be(
    small_voice, tmp_path, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, _, errors = command(synthesize.main, small_voice, TEXTS[0], "ж")
    assert code == 2
    assert len(errors) == 1
    assert list(tmp_path.iterdir()) == []


def test_runs_that_do_not_speak_or_do_not_exist_are_one_clear_line(
    small_run, tmp_path, command
):
    code, _, errors = command(synthesize.main, tmp_path, "a")
    assert (code, len(errors)) == (2, 1)
    assert errors[0].startswith(f"error: {tmp_path} holds no run")
    code, _, errors = command(synthesize.main, small_run, "a")
    assert code == 2
    assert errors == [
        f"error: {small_run} holds a run of rnn_recognizer, which does not speak"
    ]


def test_a_synthesiser_recognises_no_speech(small_voice, sentences, command):
    code, out, errors = command(
        transcribe.main, small_voice, sentences.parent / "the_red_box.wav"
    )
    assert (code, out) == (2, "")
    assert errors == [
        f"error: {small_voice} holds a run of attention_tts, which recognises no speech"
    ]


def test_export_says_how_to_speak_and_serve(
    small_voice, tmp_path, command, monkeypatch
):
    version = tmp_path / "attention_tts" / "1"
    monkeypatch.setattr(export, "run", lambda *_, **__: version)
    monkeypatch.setattr(export, "read_description", lambda _: {"tflite": {}})
    code, out, _ = command(export.main, small_voice, "--output", tmp_path)
    assert code == 0
    assert f'tfspeech synthesize {small_voice} "TEXT"' in out
    assert f"{tmp_path}:/models tensorflow/serving" in out
    assert "--model_config_file=/models/models.config" in out
    assert "transcribe" not in out
