"""`--distribute multi_worker`: two processes train one run over loopback."""

import json
import os
import random
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from small_flags import SMALL

from tfspeech import train

FLAGS = [*SMALL, "--dropout=0.2", "--epochs=2"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_workers(tones, tmp_path, name, *more):
    """Starts the two processes of a run, the chief first."""
    workers = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": workers}, "task": task}
        arguments = ["--data", f"folder:{tones}", "--run-dir", tmp_path / name]
        arguments += [*FLAGS, "--distribute=multi_worker", "--json", *more]
        environment = {
            "TF_CONFIG": json.dumps(config),
            "TFSPEECH_CACHE": str(tmp_path / f"cache_{index}"),
        }
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tfspeech.train", *arguments],
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


@pytest.mark.slow
@pytest.mark.headline
def test_two_workers_train_the_model_of_one(tones, tmp_path):
    processes = start_workers(tones, tmp_path, "two")
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    chief, other = (json.loads(out.splitlines()[-1]) for out, _ in outputs)
    assert 0 <= chief["accuracy"] <= 1
    assert other == {}
    config, *_ = train.parse(["--data", f"folder:{tones}", *FLAGS])
    train.run(config, tmp_path / "one")
    with (
        np.load(tmp_path / "one" / "checkpoints" / "best.npz") as one,
        np.load(tmp_path / "two" / "checkpoints" / "best.npz") as two,
    ):
        assert set(one) == set(two)
        for path in one:
            np.testing.assert_allclose(two[path], one[path], atol=2e-5, err_msg=path)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["chief", "other"])
def test_a_run_whose_worker_was_killed_goes_on(which, tones, tmp_path):
    """The worker that is left says so and ends; both are started again."""
    more = ("--epochs=6", "--checkpoint-steps=3", "--resume")
    for process in start_workers(tones, tmp_path, "whole", *more):
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    metrics = tmp_path / "killed" / "metrics.jsonl"
    rng = random.Random(which)
    for count in sorted(rng.randrange(1, 20) for _ in range(2)):
        processes = start_workers(tones, tmp_path, "killed", *more)
        while not metrics.exists() or metrics.read_bytes().count(b"\n") < count:
            assert [process.poll() for process in processes] == [None, None]
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        victim, left = processes if which == "chief" else reversed(processes)
        victim.kill()
        victim.communicate()
        _, errors = left.communicate(timeout=240)
        assert left.returncode == 2, errors
        assert errors.count("error: another worker is gone") == 1, errors
        assert "Traceback" not in errors, errors
    for process in start_workers(tones, tmp_path, "killed", *more):
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    with (
        np.load(tmp_path / "whole" / "checkpoints" / "best.npz") as whole,
        np.load(tmp_path / "killed" / "checkpoints" / "best.npz") as killed,
    ):
        assert set(whole) == set(killed)
        for path in whole:
            np.testing.assert_array_equal(killed[path], whole[path], err_msg=path)


def test_without_a_cluster_it_is_one_line(command, tones, tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    arguments = ["--data", f"folder:{tones}", "--run-dir", tmp_path / "run"]
    code, _, errors = command(train.main, *arguments, "--distribute", "multi_worker")
    assert code == 2
    assert len(errors) == 1
    assert "$TF_CONFIG" in errors[0]
    assert not (tmp_path / "run").exists()
