"""Runs that were killed go on as processes, to the bit."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

pytestmark = [pytest.mark.slow, pytest.mark.headline]

EVERY_STEP = ["--checkpoint-steps=1", "--steps-per-call=1", "--epochs=3"]


def start(run_dir, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tfspeech.train", *arguments, "--run-dir", run_dir],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.PIPE,
        text=True,
    )


def state(run_dir):
    """All arrays of the last checkpoint and of the best weights, by name."""
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    found = {
        name: np.asarray(reader.get_tensor(name)).tobytes()
        for name in reader.get_variable_to_shape_map()
        if name.startswith("variables")
    }
    with np.load(run_dir / "checkpoints" / "best.npz") as arrays:
        return found | {name: arrays[name].tobytes() for name in arrays}


@pytest.mark.parametrize("flags", ["voice_flags", "dense_flags", "transcriber_flags"])
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
    assert state(killed) == state(whole)
