"""The train command: what it leaves behind, what it refuses, and that it resumes."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from saved_arrays import best_arrays, last_arrays
from small_flags import SMALL

from tfspeech import train
from tfspeech.errors import RunError
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.runs import load_config
from tfspeech.training.callbacks import read_metrics


def test_a_run_directory_holds_all_of_the_run(small_run):
    names = {str(p.relative_to(small_run)) for p in small_run.rglob("*") if p.is_file()}
    assert {
        "config.json",
        "metrics.jsonl",
        "results.json",
        "data_report.json",
        "checkpoints/best.npz",
        "plots/learning.png",
        "plots/diagnostics.png",
        "plots/confusion.png",
    } <= names
    assert len([n for n in names if n.startswith("checkpoints/last-")]) == 2
    assert any(n.startswith("tensorboard/events") for n in names)
    config = load_config(small_run)
    assert config.features.sample_rate_hz == 8000
    assert config.labels == ("high", "low", "middle")
    records = read_metrics(small_run / "metrics.jsonl")
    steps = [r["step"] for r in records if "loss" in r]
    assert steps == list(range(1, len(steps) + 1))
    assert [r["epoch"] for r in records if "validation" in r] == [1, 2, 3, 4, 5]


def test_the_results_are_those_of_the_test_split(small_run, tones):
    results = json.loads((small_run / "results.json").read_text())
    assert results["split"] == "test"
    low, high = results["accuracy_interval"]
    assert low <= results["accuracy"] <= high
    assert np.sum(results["confusion"]) == results["utterances"]


@pytest.mark.slow
@pytest.mark.headline
def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    small_run, tones, tmp_path
):
    for seed, same in ((0, True), (1, False)):
        config, *_ = train.parse(
            ["--data", f"folder:{tones}", "--seed", str(seed), *SMALL]
        )
        train.run(config, tmp_path / str(seed))
        assert (best_arrays(tmp_path / str(seed)) == best_arrays(small_run)) == same
        assert (last_arrays(tmp_path / str(seed)) == last_arrays(small_run)) == same


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=[pytest.mark.slow, pytest.mark.headline]),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, marks=[pytest.mark.slow, pytest.mark.headline]),
    ],
    ids=lambda n: n.name,
)
def test_an_interrupted_run_resumes_to_the_same_weights(
    number, small_run, tones, tmp_path
):
    run_dir = tmp_path / "run"
    arguments = ["--data", f"folder:{tones}", "--run-dir", str(run_dir), *SMALL]
    arguments += ["--checkpoint-steps", "2", "--steps-per-call", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tfspeech.train", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = run_dir / "metrics.jsonl"
    for _ in range(1200):
        if metrics.exists() and len(metrics.read_text().splitlines()) >= 10:
            break
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 2
        assert "Traceback" not in errors
        last = errors.splitlines()[-1]
        assert last.startswith("error: interrupted after step")
        assert f"--run-dir {run_dir} --resume" in last
    assert not (run_dir / "results.json").exists()
    config, _, resume, _ = train.parse(["--run-dir", str(run_dir), "--resume"])
    assert resume
    train.run(config, run_dir, resume=True)
    assert last_arrays(run_dir) == last_arrays(small_run)
    assert best_arrays(run_dir) == best_arrays(small_run)
    resumed, whole = (
        [r for r in read_metrics(d / "metrics.jsonl") if "loss" in r]
        for d in (run_dir, small_run)
    )
    for record in (*resumed, *whole):
        record.pop("update_ratio", None)  # Once per call, and the calls were shorter.
    assert resumed == whole


@pytest.mark.slow
@pytest.mark.headline
def test_a_finished_run_resumes_to_its_results_without_training(small_run, tones):
    before = last_arrays(small_run)
    config, *_ = train.parse(["--run-dir", str(small_run), "--resume"])
    assert train.run(config, small_run, resume=True)["accuracy"] > 0.9
    assert last_arrays(small_run) == before


@pytest.mark.slow
@pytest.mark.headline
def test_a_run_resumes_from_any_folder(small_run, tones, tmp_path, monkeypatch):
    monkeypatch.chdir(tones.parent)
    given = ["--data", f"folder:{tones.name}", "--run-dir", str(small_run), "--resume"]
    config, *_ = train.parse([*given, *SMALL])
    assert train.run(config, small_run, resume=True)["accuracy"] > 0.9
    monkeypatch.chdir(tmp_path)
    config, *_ = train.parse(["--run-dir", str(small_run), "--resume"])
    assert config.data.data == f"folder:{tones}"


def test_a_directory_that_holds_a_run_is_not_overwritten(small_run, tones, command):
    data = ["--data", f"folder:{tones}", "--run-dir", small_run]
    code, _, errors = command(train.main, *data, *SMALL)
    assert code == 2
    assert errors == [
        f"error: {small_run} holds a run already: go on with it by --resume, or choose "
        "another --run-dir"
    ]
    code, _, errors = command(train.main, *data, "--resume", "--units", 16)
    assert code == 2
    assert len(errors) == 1
    assert "holds a run with --units 8; resume it with that" in errors[0]


BAD = {
    "no such path": (["--data", "folder:/no/such"], "/no/such does not exist"),
    "unknown corpus": (
        ["--data", "librispeech:/x"],
        "the known ones are spoken_digits",
    ),
    "negative threshold": (["--clip", "global_norm(-1)"], "must be a number above 0"),
    "unknown strategy": (["--clip", "eval(1)"], "unknown clipping strategy 'eval'"),
    "match of nothing": (["--clip", "norm(1, match='x')"], "selects none of"),
    "unknown model": (
        ["tacotron9"],
        "the known ones are attention_tts, ctc_recognizer, dense_synthesis, frame_gan",
    ),
    "unknown flag": (["--unit", "8"], "unrecognized arguments: --unit"),
    "no number": (["--epochs", "many"], "invalid int value: 'many'"),
    "out of range": (["--dropout", "1.5"], "dropout must be in [0, 1)"),
    "unknown choice": (["--cell", "rnn"], "cell must be one of elman, lstm, gru"),
    "unknown optimizer": (
        ["--optimizer", "lion()"],
        "the known ones are sgd, adam, adamw, rmsprop",
    ),
    "unknown speaker": (["--test-speakers", "nobody"], "nobody"),
    "inexact hop": (["--hop-length-ms", "0.33"], "hop_length_ms"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, tones, tmp_path, command):
    arguments, reason = BAD[case]
    given = ["--data", f"folder:{tones}", *SMALL, "--run-dir", tmp_path / "run"]
    code, out, errors = command(train.main, *given, *arguments)
    assert code == 2
    assert out == ""
    # Before it, at most what is in the corpus.
    assert [line for line in errors if line.startswith("error: ")] == errors[-1:]
    assert "Traceback" not in "".join(errors)
    errors = errors[-1:]
    assert reason in errors[0]
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_corpus_with_fatal_problems_stops_before_the_first_step(
    tones, tmp_path, command
):
    rows = ["path,text,split"]
    for label in ("low", "high"):
        files = sorted((tones / label).glob("*.wav"))
        rows += [f"{f},{label},train" for f in files[:8]]
        rows += [f"{f},{label},validation" for f in files[8:12]]
        rows += [f"{f},{label},test" for f in files[12:16]]
    rows += [f"{sorted((tones / 'middle').glob('*.wav'))[0]},middle,test"]
    rows += [f"{tmp_path / 'text.wav'},low,train", f"{tmp_path / 'cut.wav'},low,train"]
    rows += [f"{tmp_path / 'empty.wav'},low,train", "gone.wav,low,train"]
    (tmp_path / "text.wav").write_text("no audio at all")
    (tmp_path / "empty.wav").touch()
    whole = (tones / "low" / "s00_nohash_0.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "list.csv").write_text("\n".join(rows))
    code, _, errors = command(
        train.main, "--data", f"manifest:{tmp_path / 'list.csv'}", *SMALL,
        "--run-dir", tmp_path / "run",
    )  # fmt: skip
    assert code == 2
    assert [line for line in errors if line.startswith("error: ")] == errors[-1:]
    assert "Traceback" not in "".join(errors)
    for kind in ("missing: 1", "unreadable: 2", "empty: 1", "unknown label: 1"):
        assert kind in errors[-1]
    report = json.loads((tmp_path / "run" / "data_report.json").read_text())
    fatal = [p for p in report["problems"] if p["level"] == "fatal"]
    assert len(fatal) == 5
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_corpus_with_one_label_is_refused(tones, tmp_path, command):
    files = sorted((tones / "low").glob("*.wav"))
    rows = [f"{f},low,{s}" for f, s in zip(files, ["train", "validation", "test"] * 4)]  # noqa: B905
    (tmp_path / "list.csv").write_text("path,text,split\n" + "\n".join(rows))
    code, _, errors = command(
        train.main, "--data", f"manifest:{tmp_path / 'list.csv'}", *SMALL,
        "--run-dir", tmp_path / "run",
    )  # fmt: skip
    assert code == 2
    assert "nothing to tell apart" in errors[-1]


@pytest.mark.slow
@pytest.mark.headline
def test_a_full_disk_is_one_line_and_the_run_can_go_on(tones, tmp_path, small_run):
    """Files may not grow beyond 20 kB, as if the disk were full from there on."""
    run_dir = tmp_path / "run"
    arguments = ["--data", f"folder:{tones}", "--run-dir", str(run_dir), *SMALL]
    limited = (
        "import resource, signal, sys; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "import runpy; sys.argv = sys.argv[1:]; "
        "runpy.run_module('tfspeech.train', run_name='__main__')"
    )
    # The audio is in the cache already, from the small run.
    done = subprocess.run(
        [sys.executable, "-c", limited, "tfspeech.train", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: cannot write a checkpoint to {run_dir}")
    assert "--resume" in last
    config, *_ = train.parse(["--run-dir", str(run_dir), "--resume"])
    train.run(config, run_dir, resume=True)
    assert last_arrays(run_dir) == last_arrays(small_run)


@pytest.mark.slow
@pytest.mark.headline
def test_a_loss_that_is_never_finite_stops_the_run(tones, tmp_path, command):
    code, _, errors = command(
        train.main, "--data", f"folder:{tones}", *SMALL, "--run-dir", tmp_path / "run",
        "--max-skipped-steps", 5, "--regularize", "l2(1e38)", "--epochs", 1,
    )  # fmt: skip
    assert code == 2
    assert "not finite for 5 steps in a row" in errors[-1]


def test_every_field_of_every_configuration_is_a_flag_with_default_and_unit(capsys):
    with pytest.raises(SystemExit):
        train.parse(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for section in default_config("rnn_recognizer").sections().values():
        for field in dataclasses.fields(section):
            assert f"--{field.name.replace('_', '-')} " in text.replace(",", " ")
            unit = field.metadata["unit"]
            if unit:
                assert f"(default: {field.default} {unit})" in text


def test_flags_reach_the_configuration(tmp_path):
    flags = "--clip value(0.1) --clip norm(1) --no-bidirectional --units 7 --json"
    flags += f" --regularize l1(1e-5) --run-dir {tmp_path}"
    config, run_dir, resume, asked = train.parse(flags.split())
    assert config.training.clip == ("value(0.1)", "norm(1)")
    assert config.training.regularize == ("l1(1e-5)",)
    assert config.architecture.units == 7
    assert not config.architecture.bidirectional
    assert (run_dir, resume, asked) == (tmp_path, False, {"json"})


def test_a_damaged_configuration_is_one_clear_error(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config.json is damaged"):
        load_config(tmp_path)
