import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from phoneme_models import export_phoneme_models

from tfspeech import export
from tfspeech.tasks.runs import load_task

SERVER = Path(__file__).with_name("model_server.py")


@contextlib.contextmanager
def serve(folder, tmp_path):
    """Runs the stand-in for TF Serving on a folder of exports; yields its ports."""
    log = tmp_path / "server.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(SERVER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=tmp_path,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            text=True,
        ) as process,
    ):
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"the server did not start: {log.read_text()}")
        yield json.loads(line)
        process.stdin.close()


RUNS = (
    *("small_run", "small_transcriber", "small_hybrid", "small_hmm"),
    *("small_voice", "small_dense", "small_parallel"),
    *("small_vocoder", "small_gan", "small_wavenet", "small_generator"),
)


@pytest.fixture(scope="session")
def exports(request, build_once):
    """One folder with every model, and some of other symbols."""

    def fill(folder):
        for name in RUNS:
            export.run(request.getfixturevalue(name), folder)
        export_phoneme_models(folder)

    return build_once("exports", fill)


@pytest.fixture(scope="session")
def server(exports, tmp_path_factory):
    with serve(exports, tmp_path_factory.mktemp("server")) as ready:
        yield ready


@pytest.fixture(scope="session", params=["rest", "grpc"])
def url(request, server):
    """Where the server is, for both protocols."""
    scheme = {"rest": "http", "grpc": "grpc"}[request.param]
    return f"{scheme}://127.0.0.1:{server[request.param]}"


@pytest.fixture(scope="session")
def recognizer(small_run):
    return load_task(small_run)[1]


@pytest.fixture(
    scope="session",
    params=[
        ("ctc_recognizer", "small_transcriber"),
        ("hmm_recognizer", "small_hmm"),
        ("hybrid_recognizer", "small_hybrid"),
    ],
)
def transcriber(request):
    """A recogniser of connected speech: its name, its run and its task."""
    name, fixture = request.param
    run_dir = request.getfixturevalue(fixture)
    return name, run_dir, load_task(run_dir)[1]


@pytest.fixture(scope="session")
def voice(small_voice):
    return load_task(small_voice)[1]


@pytest.fixture(scope="session")
def dense(small_dense):
    return load_task(small_dense)[1]


@pytest.fixture(scope="session")
def parallel(small_parallel):
    return load_task(small_parallel)[1]


@pytest.fixture(scope="session")
def vocoder(small_vocoder):
    return load_task(small_vocoder)[1]
