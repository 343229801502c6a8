import json
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tfspeech import calibrate, export
from tfspeech.tasks.runs import load_config, load_task


@pytest.fixture
def calibrated(small_run, tmp_path):
    """A copy of a run that calls most of what it hears unknown."""
    run_dir = tmp_path / "calibrated"
    shutil.copytree(small_run, run_dir)
    calibrate.run(run_dir, split="test", false_alarms=0.9)
    return run_dir


def test_the_fit_is_kept_in_the_run(small_run, tones, tmp_path, command):
    run_dir, manifest = tmp_path / "run", tmp_path / "words.csv"
    shutil.copytree(small_run, run_dir)
    # One of eight words is another than its text says.
    said = ["middle"] * 7 + ["high"]
    rows = [tones / word / f"s0{i}_nohash_0.wav" for i, word in enumerate(said)]
    lines = ["path,text,split", *(f"{path},middle,test" for path in rows)]
    manifest.write_text("\n".join(lines) + "\n")
    words = f"manifest:{manifest}"
    flags = [run_dir, "--data", words, "--split", "test", "--json"]
    code, out, errors = command(calibrate.main, *flags, "--false-alarms", "0.25")
    assert code == 0, errors
    found = json.loads(out.splitlines()[-1])
    assert found["utterances"] == 8
    task = load_config(run_dir).task
    assert task.temperature == found["temperature"]
    assert task.unknown_below == found["unknown_below"] > 0.3
    assert found["temperature"] > 1.0  # It was too sure of the one that is wrong.
    # Fitted again, it stays: the logits are divided by it already.
    again = calibrate.run(run_dir, words, "test", 0.25)
    assert again["temperature"] == pytest.approx(found["temperature"], rel=1e-3)
    assert again["error_before"] == pytest.approx(found["error_after"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.headline
def test_improbable_words_are_unknown_here_and_on_servers(calibrated, tones, tmp_path):
    _, task = load_task(calibrated)
    exported = tf.saved_model.load(str(export.run(calibrated, tmp_path / "models")))
    labels = set()
    for path in sorted((tones / "middle").iterdir()):
        wave, rate_hz = soundfile.read(path)
        heard = task.transcribe(wave.astype(np.float32), rate_hz)
        labels.add(heard.label)
        assert heard.probability == max(heard.scores.values())
        contents = tf.constant([path.read_bytes()])
        served = exported.signatures["transcribe_bytes"](contents)
        assert served["label"][0].numpy().decode() == heard.label
    assert "unknown" in labels
    assert labels <= {"unknown", "middle"}


@pytest.mark.parametrize("share", ["1", "-0.1", "nan"])
def test_shares_out_of_range_are_refused(small_run, command, share):
    code, _, errors = command(calibrate.main, small_run, f"--false-alarms={share}")
    assert code == 2
    assert errors[-1].startswith("error: --false-alarms must be in [0, 1)")


def test_runs_of_other_kinds_are_not_calibrated(small_transcriber, command):
    code, _, errors = command(calibrate.main, small_transcriber)
    assert code == 2
    assert "ctc_recognizer, which cannot be calibrated" in errors[-1]
