import json
import re
import shutil

import numpy as np
import pytest
import soundfile

import tfspeech
from tfspeech import adapt, train
from tfspeech.errors import RunError
from tfspeech.tasks.runs import load_task


@pytest.fixture
def stranger(tones, tmp_path):
    """Recordings of one whose "middle" is another's "high", and vice versa."""
    folder = tmp_path / "anna"
    for said, label in (("low", "low"), ("high", "middle"), ("middle", "high")):
        for speaker in range(10):
            name = f"s{speaker:02}_nohash_0.wav"
            shutil.copy(tones / said / name, folder_of(folder, label))
    return folder


def folder_of(root, word):
    (root / word).mkdir(parents=True, exist_ok=True)
    return root / word


def test_adapted_runs_know_the_speaker(
    small_run, tones_flags, stranger, tmp_path, command
):
    new = tmp_path / "new"
    flags = [small_run, "--enroll", stranger, "--run-dir", new, "--json"]
    code, out, errors = command(adapt.main, *flags)
    assert code == 0, errors
    found = json.loads(out.splitlines()[-1])
    assert (found["clips"], found["words"], found["run_dir"]) == (30, 3, str(new))
    assert found["before"] == pytest.approx(1 / 3, abs=0.1)
    assert found["after"] > 0.9
    _, before = load_task(small_run)
    _, after = load_task(new)
    wave, rate_hz = soundfile.read(next((stranger / "middle").iterdir()))
    wave = wave.astype(np.float32)
    heard = [task.transcribe(wave, rate_hz) for task in (before, after)]
    assert heard[1].scores["middle"] > 3 * heard[0].scores["middle"]
    changed = [
        weight.path
        for weight, other in zip(after.model.weights, before.model.weights, strict=True)
        if np.any(weight.numpy() != other.numpy())
    ]
    assert all("classifier" in path for path in changed)
    code, _, errors = command(adapt.main, *flags)
    assert code == 2
    assert "holds a run already" in errors[-1]
    origin = json.loads((new / "adaptation.json").read_text())
    assert origin["run_dir"] == str(small_run)
    with pytest.raises(RunError, match="has no scores of its own"):
        _ = tfspeech.load_run(new).results
    code, _, errors = command(
        train.main, *tones_flags, "--run-dir", new, "--resume", "--epochs=9"
    )
    assert code == 2
    assert "was adapted to a speaker, and cannot be trained on" in errors[-1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: shutil.rmtree(folder / "low"), None),
        (lambda folder: shutil.rmtree(folder), "does not exist"),
        (
            lambda folder: [shutil.rmtree(f) for f in folder.iterdir()],
            "holds no folder",
        ),
        (lambda folder: (folder / "low").rename(folder / "deep"), "'deep'.*high, low"),
        (
            lambda folder: (folder / "low" / "x.wav").write_bytes(b"RIFF"),
            "fatal problems.*x.wav",
        ),
    ],
)
def test_what_cannot_be_enrolled_is_named(
    small_run, stranger, tmp_path, command, spoil, message
):
    spoil(stranger)
    new = tmp_path / "new"
    code, _, errors = command(
        adapt.main, small_run, "--enroll", stranger, "--run-dir", new
    )
    if message is None:  # One word will do.
        assert code == 0, errors
        return
    assert code == 2
    # Slow decoding says how far it is.
    said = [line for line in errors if not line.startswith(("decoding ", "decoded "))]
    assert len(said) == 1
    assert re.search(message, errors[-1]), errors[-1]
    assert not (new / "config.json").exists()


def test_runs_of_other_kinds_are_refused(
    small_transcriber, stranger, tmp_path, command
):
    code, _, errors = command(
        adapt.main, small_transcriber, "--enroll", stranger, "--run-dir", tmp_path / "x"
    )
    assert code == 2
    assert "ctc_recognizer, which cannot be adapted" in errors[-1]
