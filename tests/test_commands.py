"""Evaluate, transcribe and export, on a small model of tones."""

import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tfspeech import evaluate, export, train, transcribe


def test_evaluate_repeats_the_scores_of_the_run(small_run, command):
    code, out, errors = command(evaluate.main, small_run, "--json")
    assert (code, errors) == (0, [])  # Nothing is decoded anew.
    scores = json.loads(out.splitlines()[-1])
    saved = json.loads((small_run / "results.json").read_text())
    assert scores == {key: saved[key] for key in scores}
    assert {"loss", "accuracy", "accuracy_interval", "per_speaker", "confusion"} <= set(
        scores
    )


def test_evaluate_prints_speakers_and_confusions(small_run, command):
    code, out, _ = command(evaluate.main, small_run)
    assert code == 0
    assert "95 % interval" in out
    lines = out.splitlines()
    assert lines[-4].split() == ["high", "low", "middle"]
    assert [line.split()[0] for line in lines[-3:]] == ["high", "low", "middle"]
    assert any(line.startswith("s0") for line in lines)


def test_evaluate_takes_any_split_and_any_speakers(small_run, tones, command):
    wanted = ["--data", f"folder:{tones}", "--test-speakers", "s00,s03", "--json"]
    code, out, _ = command(evaluate.main, small_run, *wanted)
    assert code == 0
    speakers = json.loads(out)["per_speaker"]
    assert {name: s["utterances"] for name, s in speakers.items()} == {
        "s00": 6,
        "s03": 6,
    }
    _, out, _ = command(evaluate.main, small_run, "--split", "train", "--json")
    assert json.loads(out)["utterances"] > 24


def test_evaluate_refuses_labels_that_the_model_does_not_know(
    small_run, tones, tmp_path, command
):
    file = next((tones / "low").glob("*.wav"))
    (tmp_path / "x.csv").write_text(f"path,text,split\n{file},deep,test\n")
    code, _, errors = command(
        evaluate.main, small_run, "--data", f"manifest:{tmp_path / 'x.csv'}"
    )
    assert code == 2
    assert "'deep'" in errors[-1]
    assert "high, low, middle" in errors[-1]


@pytest.mark.parametrize("main", [evaluate.main, export.main])
def test_a_directory_without_a_run_is_one_clear_line(main, tmp_path, command):
    code, _, errors = command(main, tmp_path)
    assert code == 2
    assert errors == [
        f"error: {tmp_path} holds no run (config.json is missing); train one with "
        f"tfspeech train --run-dir {tmp_path}"
    ]


def test_a_run_without_a_whole_epoch_says_how_to_go_on(small_run, tmp_path, command):
    (tmp_path / "config.json").write_text((small_run / "config.json").read_text())
    code, _, errors = command(evaluate.main, tmp_path)
    assert code == 2
    assert f"--run-dir {tmp_path} --resume" in errors[0]


def test_damaged_weights_are_one_clear_line(small_run, tmp_path, command):
    (tmp_path / "config.json").write_text((small_run / "config.json").read_text())
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.npz").write_bytes(b"PK damaged")
    code, _, errors = command(evaluate.main, tmp_path)
    assert code == 2
    assert "best.npz is damaged" in errors[0]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """One high tone in other formats and at other rates."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, rate_hz, subtype in (
        ("a.wav", 8000, "PCM_16"),
        ("b.wav", 44100, "PCM_24"),
        ("c.flac", 48000, "PCM_16"),
        ("d.ogg", 22050, "VORBIS"),
        ("e.mp3", 16000, None),
        ("f.wav", 11025, "FLOAT"),
    ):
        time = np.arange(int(rate_hz * 0.3)) / rate_hz
        tone = 0.3 * np.sin(2 * np.pi * 1500 * time)
        stereo = np.stack([tone, tone], axis=1)
        soundfile.write(folder / name, stereo, rate_hz, subtype=subtype)
    return sorted(folder.iterdir())


def test_transcribe_takes_every_format_and_rate(small_run, recordings, command):
    code, out, errors = command(transcribe.main, small_run, *recordings)
    assert (code, errors) == (0, [])
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == [str(path) for path in recordings]
    assert [row[1] for row in rows] == ["high"] * 6
    assert all(0.4 < float(row[2]) <= 1 for row in rows)


def test_transcribe_prints_json(small_run, recordings, command):
    _, out, _ = command(transcribe.main, small_run, recordings[0], "--json")
    (found,) = json.loads(out)["files"]
    assert found["label"] == "high"
    assert found["probability"] == max(found["scores"].values())
    assert sum(found["scores"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("gone.wav", None, "gone.wav"),
        ("text.wav", b"no audio", "text.wav"),
        ("empty.wav", b"", "empty.wav"),
    ],
)
def test_transcribe_names_the_file_that_is_wrong(
    name, contents, reason, small_run, tmp_path, command
):
    if contents is not None:
        (tmp_path / name).write_bytes(contents)
    code, out, errors = command(transcribe.main, small_run, tmp_path / name)
    assert code == 2
    assert out == ""
    assert len(errors) == 1
    assert reason in errors[0]


def test_export_takes_the_next_version_and_leaves_nothing_half(
    small_run, tmp_path, command
):
    models = tmp_path / "models"
    (models / "rnn_recognizer" / "7").mkdir(parents=True)
    code, out, _ = command(export.main, small_run, "--output", models, "--json")
    assert code == 0
    assert json.loads(out.splitlines()[-1]) == {"model": "rnn_recognizer", "version": 8}
    assert sorted(p.name for p in (models / "rnn_recognizer").iterdir()) == ["7", "8"]
    assert (models / "rnn_recognizer" / "8" / "saved_model.pb").is_file()


def test_an_export_that_fails_leaves_nothing(small_run, tmp_path, monkeypatch, command):
    def fail(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", fail)
    code, _, errors = command(export.main, small_run, "--output", tmp_path)
    assert code == 2
    assert "make room" in errors[0]
    assert "No space left" in errors[0]
    assert list((tmp_path / "rnn_recognizer").iterdir()) == []


def test_a_name_that_is_a_model_and_a_value_is_told_apart(tmp_path):
    config, run_dir, *_ = train.parse(["--run-dir", str(tmp_path / "rnn_recognizer")])
    assert config.model == "rnn_recognizer"
    assert run_dir.name == "rnn_recognizer"
