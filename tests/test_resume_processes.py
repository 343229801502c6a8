"""Runs that were killed go on as processes, to the bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from saved_arrays import saved_arrays

pytestmark = pytest.mark.slow

KILLS = 5
EVERY_STEP = ["--checkpoint-steps=1", "--steps-per-call=1", "--epochs=3"]


def start(run_dir, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tfspeech.train", *arguments, "--run-dir", run_dir],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(metrics, count, process):
    """Waits until a run has written so many lines of metrics."""
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


def records(run_dir):
    """All lines of the metrics, without the times that were taken."""
    lines = map(json.loads, (run_dir / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "step_ms"} for line in lines]


@pytest.mark.parametrize("flags", ["voice_flags", "dense_flags"])
def test_a_synthesiser_may_be_killed_at_any_moment(flags, tmp_path, request):
    """At moments of a fixed seed: after some lines of metrics, and a little later."""
    flags = [*request.getfixturevalue(flags), "--epochs=6", "--checkpoint-steps=3"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start(whole, *flags)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    expected = records(whole)
    rng = random.Random(flags[0])
    moments = sorted(rng.randrange(len(expected) - 1) for _ in range(KILLS))
    for count in moments:
        process = start(killed, *flags, "--resume")
        wait_for_lines(killed / "metrics.jsonl", count, process)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = start(killed, *flags, "--resume")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert saved_arrays(killed) == saved_arrays(whole)
    assert records(killed) == expected
    results = [json.loads((d / "results.json").read_text()) for d in (killed, whole)]
    for each in results:
        del each["train_seconds"]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param("parallel_flags", marks=pytest.mark.headline),
        "voice_flags",
        "dense_flags",
        "transcriber_flags",
    ],
)
def test_a_killed_run_resumes_to_the_bit(flags, tmp_path, request):
    flags = [*request.getfixturevalue(flags), *EVERY_STEP]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start(whole, *flags)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    process = start(killed, *flags)
    metrics = killed / "metrics.jsonl"
    # In the second epoch, after a validation.
    while not (metrics.exists() and '"epoch": 1' in metrics.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "results.json").exists()
    process = start(killed, "--resume")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert saved_arrays(killed) == saved_arrays(whole)
