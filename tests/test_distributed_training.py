"""`--distribute multi_worker`: two processes train one run over loopback."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from small_flags import SMALL

from tfspeech import train

FLAGS = [*SMALL, "--dropout=0.2", "--epochs=2"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
@pytest.mark.headline
def test_two_workers_train_the_model_of_one(tones, tmp_path):
    workers = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": workers}, "task": task}
        arguments = ["--data", f"folder:{tones}", "--run-dir", tmp_path / "two"]
        arguments += [*FLAGS, "--distribute=multi_worker", "--json"]
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


def test_without_a_cluster_it_is_one_line(command, tones, tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    arguments = ["--data", f"folder:{tones}", "--run-dir", tmp_path / "run"]
    code, _, errors = command(train.main, *arguments, "--distribute", "multi_worker")
    assert code == 2
    assert len(errors) == 1
    assert "$TF_CONFIG" in errors[0]
    assert not (tmp_path / "run").exists()
