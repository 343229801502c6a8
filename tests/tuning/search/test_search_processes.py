"""Searches that really train: by the command, killed, and in several processes."""

import json
import os
import random
import socket
import subprocess
import sys

import pytest
import tensorflow as tf
from small_flags import SMALL

from tuning.search import command as search
from tuning.search.trials import TrialRecord

pytestmark = pytest.mark.filterwarnings(
    # Keras Tuner's locks.
    "ignore:(currentThread|getName)\\(\\) is deprecated:DeprecationWarning"
)
TUNE = ["--tune=clip.kind=none,global_norm,value", "--tune=clip.threshold"]
TUNE += ["--tune=l2.lambda=1e-6,1e-4,1e38", "--max-skipped-steps=4"]


def flags(tones, directory, *more):
    given = [f"--data=folder:{tones}", *SMALL, "--epochs=2", "--steps-per-call=2"]
    return [*given, *TUNE, f"--run-dir={directory}", *more]


def start(arguments, **variables):
    return subprocess.Popen(
        [sys.executable, "-m", "tuning.search", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | variables,
    )


def finish(process):
    """Waits for a search to succeed, and returns what it has said."""
    _, errors = process.communicate(timeout=1800)
    assert process.returncode == 0, errors
    return errors


def outcomes(directory):
    """Everything about the trials of a search but the time it took."""
    found = {}
    for path in directory.glob("runs/*/record.json"):
        record = TrialRecord.load(path)
        runs = []
        for run in record.runs:
            steady = {k: v for k, v in run.figures.items() if not k.endswith("_ms")}
            steady.pop("score/train_seconds", None)
            runs.append((run.seed, run.status, run.score, steady))
        found[record.name] = record.values, record.status, record.reported, runs
    return found


@pytest.mark.slow
@pytest.mark.headline
def test_the_command_searches_trains_the_best_again_and_exports_it(
    tones, tmp_path, command, monkeypatch
):
    for name in search.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    models = tmp_path / "models"
    tune = ["--tune=clip.threshold=0.1,1.5", "--max-trials=1", "--engine=random"]
    given = [f"--data=folder:{tones}", *SMALL, "--epochs=1", *tune]
    given += [f"--run-dir={tmp_path / 'run'}", "--export", f"--output={models}"]
    code, out, errors = command(search.main, *given, "--json")
    assert code == 0, errors
    assert errors[0] == "baseline: the configuration as given, without a search"
    assert errors[-1] == f"exported {models / 'rnn_recognizer' / '1'}"
    report = json.loads(out.splitlines()[-1])
    (trial,) = report["trials"]
    assert trial["status"] == "finished"
    assert 0 <= trial["runs"][0]["figures"]["clipped"] <= 1
    best, baseline = report["best"], report["baseline"]
    assert best == (trial if trial["score"] > baseline["score"] else baseline)
    threshold = best["values"].get("clip.threshold", 5.0)
    assert report["best_config"]["training"]["clip"] == [f"global_norm({threshold})"]
    assert (tmp_path / "run" / "best" / best["name"] / "results.json").is_file()
    loaded = tf.saved_model.load(str(models / "rnn_recognizer" / "1"))
    assert "serving_default" in loaded.signatures


@pytest.mark.slow
def test_kill_9_ten_times_ends_with_the_trials_of_an_undisturbed_search(
    tones, tmp_path
):
    finish(start(flags(tones, tmp_path / "whole", "--max-trials=6")))
    arguments = flags(tones, tmp_path / "killed", "--max-trials=6")
    rng = random.Random(0)
    for _ in range(10):
        process = start(arguments)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=rng.uniform(2, 14))
        process.kill()
        process.communicate()
    finish(start(arguments))
    found = outcomes(tmp_path / "killed")
    assert found == outcomes(tmp_path / "whole")
    assert len(found) == 7
    assert "diverged" in {status for _, status, _, _ in found.values()}


@pytest.mark.slow
@pytest.mark.headline
def test_a_chief_and_two_workers_share_a_search(tones, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    arguments = flags(tones, tmp_path, "--max-trials=6")
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    names = ("chief", "worker0", "worker1")
    processes = {
        name: start(arguments, KERASTUNER_TUNER_ID=name, **address) for name in names
    }
    errors = {name: finish(process) for name, process in processes.items()}
    report = json.loads((tmp_path / "report.json").read_text())
    assert [trial["name"] for trial in report["trials"]] == list("012345")
    assert f"chief: assigns trials at 127.0.0.1:{port}" in errors["chief"]
    for worker in names[1:]:
        assert "trial " in errors[worker]
    assert "trial " not in errors["chief"].split("chief: ")[1].split("6 trials")[0]
