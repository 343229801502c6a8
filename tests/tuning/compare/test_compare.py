"""The command: it is interrupted, goes on, survives a divergence, and refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_flags import SMALL

from tfspeech.training.callbacks import read_metrics
from tuning.compare import command as compare


def flags(tones, directory):
    """One candidate that trains and one whose penalty is infinite."""
    return [
        *("--data", f"folder:{tones}", *SMALL, "--epochs", "8"),
        *("--steps-per-call", "2", "--max-skipped-steps", "4", "--seeds", "1"),
        *("--clip", "norm(0.1) + global_norm(0.2)"),
        *("--regularize", "none()", "--regularize", "l2(1e38)"),
        *("--vary", "layers=1 + cell=gru", "--run-dir", str(directory)),
    ]


def interrupt(arguments, metrics):
    """Starts a comparison and presses Ctrl-C in its first run; returns its errors."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tuning.compare", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    for _ in range(4800):
        if metrics() and len(metrics()[0].read_text().splitlines()) >= 6:
            break
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    return errors.splitlines()


@pytest.mark.slow
@pytest.mark.headline
def test_a_comparison_is_interrupted_goes_on_and_survives_a_divergence(
    tones, tmp_path, command
):
    arguments = flags(tones, tmp_path)
    lines = interrupt(arguments, lambda: list(tmp_path.glob("runs/*/*/metrics.jsonl")))
    label = "layers=1, cell=gru, norm(0.1) + global_norm(0.2)"
    assert lines == [
        f"run 1 of 2: {label}, seed 0",
        "error: interrupted in run 1 of 2; the same command resumes the comparison",
    ]
    code, out, errors = command(compare.main, *arguments, "--json")
    assert code == 0, errors
    assert "diverged: the loss or its gradient was not finite" in "\n".join(errors)
    assert f"tables and plots: {tmp_path / 'report.md'}" in errors
    report = json.loads(out.splitlines()[-1])
    assert "--vary 'layers=1 + cell=gru'" in report["command"]
    trained, diverged = report["candidates"]
    assert (trained["label"], diverged["label"]) == (label, f"{label} with l2(1e+38)")
    (run,), (other,) = trained["runs"], diverged["runs"]
    assert (run["outcome"]["status"], other["outcome"]["status"]) == (
        "finished",
        "diverged",
    )
    assert other["diverged_step"] == 1
    assert trained["figures"]["metric"]["mean"] > 0.9
    assert 0 < trained["figures"]["clipped"]["mean"] <= 1
    # The first run went on: it began once, and its steps are there once.
    folder = Path(run["run_dir"])
    log = (folder / "log.txt").read_text().splitlines()
    begun = [line for line in log if "steps done" in line]
    assert len(begun) == 2
    assert "; 0 of" in begun[0]
    assert "; 0 of" not in begun[1]
    steps = [r["step"] for r in read_metrics(folder / "metrics.jsonl") if "loss" in r]
    assert steps == list(range(1, len(steps) + 1))

    times = {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/*")}
    code, _, errors = command(compare.main, *arguments)
    assert code == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/*")} == times
    code, _, errors = command(compare.main, *arguments, "--units", "9")
    assert code == 2
    assert len(errors) == 1
    assert "holds a run with --units 8" in errors[0]


BAD = {
    "no seeds": (["--seeds", "0"], "--seeds must be at least 1. Received: 0"),
    "negative threshold": (["--clip", "norm(-1)"], "must be a number above 0"),
    "twins": (["--clip", "none()", "--clip", "none()"], "are the same candidate"),
    "unknown flag": (["--unit", "8"], "unrecognized arguments: --unit"),
    "no resume": (["--resume"], "unrecognized arguments: --resume"),
    "no number": (["--target-loss", "nan"], "--target-loss must be a number"),
    "unknown model": (["tacotron9"], "unknown model 'tacotron9'"),
    "out of range": (["--dropout", "1.5"], "dropout must be in [0, 1)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, tones, tmp_path, command):
    arguments, reason = BAD[case]
    given = ["--data", f"folder:{tones}", *SMALL, "--run-dir", tmp_path / "run"]
    code, out, errors = command(compare.main, *given, *arguments)
    assert code == 2
    assert out == ""
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert reason in errors[0]
    assert not (tmp_path / "run").exists()


def test_flags_of_training_pass_through(tmp_path):
    words = "--clip norm(1) --clip value(1)+norm(2) --units 7 --seed 5 --epochs 3"
    comparison, as_json = compare.parse(
        [*words.split(), "--run-dir", str(tmp_path), "--target-loss", "0.5", "--json"]
    )
    assert comparison.clips == ("norm(1)", "value(1)+norm(2)")
    assert comparison.regularizations == ("none()",)
    assert comparison.config.architecture.units == 7
    assert (comparison.config.training.seed, comparison.seeds) == (5, 3)
    assert (comparison.directory, comparison.target_loss) == (tmp_path, 0.5)
    assert as_json


def test_candidates_that_are_not_given_are_those_of_training():
    comparison, _ = compare.parse([])
    assert comparison.clips == ("global_norm(5.0)",)
    assert comparison.directory == Path("runs/compare_rnn_recognizer")
