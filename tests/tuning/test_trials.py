"""Runs in processes of their own, with a script in the place of Python."""

import subprocess
import sys

import pytest

from tfspeech.errors import RunError
from tfspeech.tasks.registry import default_config
from tuning.trials import CRASHED, DIVERGED, FINISHED, load_outcome, run_trial


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """Runs a trial whose worker is a shell script; returns outcome and directory."""

    def run(script):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\necho $4 >> {tmp_path / 'starts'}\n{script}\n")
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))
        return run_trial(default_config("rnn_recognizer"), tmp_path / "run")

    return run


@pytest.mark.parametrize("status", [FINISHED, DIVERGED])
def test_a_run_that_came_to_its_end_is_not_repeated(status, trial, tmp_path):
    script = f"""echo '{{"status": "{status}", "reason": "why"}}'; echo hi >&2"""
    for _ in range(2):
        outcome = trial(script)
        assert (outcome.status, outcome.reason) == (status, "why")
    assert (tmp_path / "starts").read_text() == f"{tmp_path / 'run'}\n"
    assert (tmp_path / "run" / "log.txt").read_text() == "hi\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -9 $$", "killed by SIGKILL, possibly out of memory"),
        ("kill -6 $$", "killed by SIGABRT"),
        ("echo 'ValueError: x' >&2; exit 1", "ended with exit code 1"),
    ],
)
def test_a_crash_is_an_outcome_and_the_run_is_tried_again(
    script, reason, trial, tmp_path
):
    for _ in range(2):
        outcome = trial(script)
        assert outcome.status == CRASHED
        assert outcome.reason.startswith(reason)
        assert str(tmp_path / "run" / "log.txt") in outcome.reason
    assert ("ValueError: x" in outcome.reason) == ("ValueError" in script)
    assert len((tmp_path / "starts").read_text().splitlines()) == 2


def test_a_worker_finds_the_modules_of_its_parent_and_none_besides(
    trial, tmp_path, monkeypatch
):
    """A folder called models, where the command is given, is not taken for ours."""
    monkeypatch.syspath_prepend("/somewhere")
    trial(f"""echo $1 $PYTHONPATH > {tmp_path / "seen"}; echo '{{"status": "x"}}'""")
    flag, path = (tmp_path / "seen").read_text().split()
    assert flag == "-P"
    assert path == ":".join(filter(None, sys.path))
    assert path.startswith("/somewhere:")


def test_what_the_user_has_to_mend_ends_the_comparison(trial):
    with pytest.raises(RunError, match=r"^no such corpus$"):
        trial("echo warning >&2; echo 'error: no such corpus' >&2; exit 2")


def test_the_worker_is_given_the_configuration_as_a_line(trial, tmp_path):
    trial(f"""read line; echo "$line" > {tmp_path / "line"}; exit 1""")
    line = (tmp_path / "line").read_text()
    assert line.startswith('{   "model": "rnn_recognizer"')
    assert '"learning_rate": 0.003' in line


def test_a_damaged_record_is_one_clear_error(tmp_path):
    (tmp_path / "outcome.json").write_text("{")
    with pytest.raises(RunError, match=r"outcome.json is damaged, remove it"):
        load_outcome(tmp_path)
    assert load_outcome(tmp_path / "other") is None


@pytest.mark.slow
@pytest.mark.headline
def test_a_worker_does_not_outlive_the_process_that_started_it(tones, tmp_path):
    """Else it would go on in a directory in which another one starts anew."""
    config = default_config("rnn_recognizer")
    line = " ".join(config.to_json().splitlines()).replace(
        '"spoken_digits"', f'"folder:{tones}"'
    )
    command = [sys.executable, "-m", "tuning.worker", str(tmp_path / "run")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as worker:
        worker.stdin.write(line + "\n")
        worker.stdin.close()
        assert worker.wait(timeout=120) == 1
    assert not (tmp_path / "run" / "results.json").exists()
