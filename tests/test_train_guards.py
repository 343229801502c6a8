"""Wiring of the training run: which split, weights, flags and replica."""

import json
import math
import shlex

import numpy as np
import pytest
import tensorflow as tf
from small_flags import SMALL

from tfspeech import train
from tfspeech.errors import DivergenceError, RunError
from tfspeech.tasks import training
from tfspeech.tasks.word_recognition.training import RecognitionTraining
from tfspeech.training.callbacks import read_metrics
from tfspeech.training.distribution import Distribution


def best(run_dir):
    with np.load(run_dir / "checkpoints" / "best.npz") as arrays:
        return {name: arrays[name] for name in arrays}


def scripted(monkeypatch, scores):
    """Has validations find these scores, one after the other."""
    scores = iter(scores)

    def validate(training):
        return {"loss": 1.0, "accuracy": next(scores)}

    monkeypatch.setattr(RecognitionTraining, "validate", validate)


@pytest.mark.slow
@pytest.mark.headline
def test_the_best_epoch_is_chosen_on_the_validation_split(tones, tmp_path):
    """The splits differ in size, and validation is scored by its own utterances."""
    rows = ["path,text,split"]
    for label in ("low", "high"):
        files = sorted((tones / label).glob("*.wav"))
        for split, part in (
            ("train", files[:12]),
            ("validation", files[12:15]),
            ("test", files[15:20]),
        ):
            rows += [f"{file},{label},{split}" for file in part]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    data = f"manifest:{tmp_path / 'list.csv'}"
    config, *_ = train.parse(["--data", data, *SMALL, "--epochs=1"])
    results = train.run(config, tmp_path / "run")
    records = read_metrics(tmp_path / "run" / "metrics.jsonl")
    (validation,) = [r["validation"] for r in records if "validation" in r]
    assert validation["utterances"] == 6
    assert results["utterances"] == 10
    assert (results["split"], np.sum(results["confusion"])) == ("test", 10)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nnode x"),
    ],
)
def test_a_model_that_is_too_large_is_one_line(
    error, tones, tmp_path, monkeypatch, command
):
    def build(*_):
        raise error

    monkeypatch.setattr(training, "build_seeded", build)
    given = ["--data", f"folder:{tones}", *SMALL, "--run-dir", tmp_path / "run"]
    code, _, errors = command(train.main, *given)
    assert code == 2
    assert errors[-1].startswith(
        "error: there is not enough memory: lower --batch-size"
    )
    assert "node" not in errors[-1]


@pytest.mark.slow
@pytest.mark.headline
def test_a_resumed_run_remembers_what_was_best(tones, tmp_path, monkeypatch):
    config, *_ = train.parse(
        ["--data", f"folder:{tones}", *SMALL, "--epochs=6", "--patience=3"]
    )
    scripted(monkeypatch, [0.9, 0.5])
    train.run(config, tmp_path, is_over=lambda state: state.epoch >= 2)
    before = best(tmp_path)
    # Better than the last, but not than the best; and the third in a row.
    scripted(monkeypatch, [0.6, 0.7, 0.95])
    train.run(config, tmp_path, resume=True)
    after = best(tmp_path)
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)
    records = read_metrics(tmp_path / "metrics.jsonl")
    scores = [r["validation"]["accuracy"] for r in records if "validation" in r]
    assert scores == [0.9, 0.5, 0.6, 0.7]


@pytest.mark.slow
@pytest.mark.headline
def test_a_metric_that_never_is_a_number_says_what_helps(tones, tmp_path, monkeypatch):
    config, *_ = train.parse(["--data", f"folder:{tones}", *SMALL, "--epochs=2"])
    scripted(monkeypatch, [math.nan, math.nan])
    with pytest.raises(
        DivergenceError, match=r"accuracy was not a number .*--learning-rate"
    ) as error:
        train.run(config, tmp_path)
    assert "--resume" not in str(error.value)


@pytest.mark.slow
@pytest.mark.headline
def test_the_advice_of_a_resume_with_other_flags_can_be_followed(
    small_run, tones, tmp_path
):
    given = ["--data", f"folder:{tones}", "--run-dir", str(small_run), "--resume"]
    others = ["--clip=value(1)", "--clip=norm(2)", "--no-bidirectional", "--units=9"]
    config, *_ = train.parse([*given, *SMALL, *others])
    with pytest.raises(RunError) as error:
        train.run(config, small_run, resume=True)
    advice = str(error.value).partition(" holds a run with ")[2].partition(";")[0]
    assert "--bidirectional" in advice
    config, *_ = train.parse([*given, *SMALL, *shlex.split(advice)])
    assert train.run(config, small_run, resume=True)["accuracy"] > 0.9


def test_a_value_that_is_a_models_name_is_no_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--run-dir", "attention_tts", "rnn_recognizer", "--units", "7"]
    config, run_dir, *_ = train.parse(words)
    assert (config.model, config.architecture.units) == ("rnn_recognizer", 7)
    assert run_dir.name == "attention_tts"
    config, run_dir, *_ = train.parse(["--run-dir", "attention_tts", "--conv-layers=0"])
    assert config.model == "rnn_recognizer"
    config, *_ = train.parse(
        ["--run-dir=rnn_recognizer", "attention_tts", "--encoder-layers", "1"]
    )
    assert config.architecture.encoder_layers == 1


@pytest.mark.slow
@pytest.mark.headline
def test_only_the_chief_writes_into_the_run_directory(tones, tmp_path, monkeypatch):
    monkeypatch.setattr(Distribution, "is_chief", False)
    config, *_ = train.parse(["--data", f"folder:{tones}", *SMALL, "--epochs=1"])
    assert train.run(config, tmp_path / "run") == {}
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param("kl_gaussian(0.01)", marks=pytest.mark.headline),
        "kl_mean_field(0.1)",
    ],
)
def test_a_run_that_began_with_other_weights_resumes_to_the_bit(
    strategy, small_run, tones, tmp_path
):
    """A strategy's initial weights are those from before others are taken."""
    words = ["--data", f"folder:{tones}", *SMALL, "--epochs=2"]
    config, *_ = train.parse(
        [*words, f"--init-from={small_run}", f"--regularize={strategy}"]
    )
    train.run(config, tmp_path / "whole")
    parts = tmp_path / "parts"
    train.run(config, parts, is_over=lambda state: state.epoch >= 1)
    train.run(config, parts, resume=True)
    for name, value in best(tmp_path / "whole").items():
        np.testing.assert_array_equal(best(parts)[name], value, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        pytest.param("recogniser", marks=pytest.mark.headline),
        pytest.param("dense", marks=pytest.mark.headline),
        "transcriber",
        "attention",
    ],
)
def test_two_replicas_train_the_model_of_one(
    model, tones, transcriber_flags, voice_flags, dense_flags, tmp_path
):
    """With dropout, zoneout and augmentation, after twenty steps."""
    flags = {
        "recogniser": ["--data", f"folder:{tones}", *SMALL, "--dropout=0.2"],
        # Adam makes steps of the rounding in gradients that are nearly 0.
        "transcriber": [
            *(*transcriber_flags, "--dropout=0.2", "--speed=0.1"),
            *("--optimizer=sgd()", "--learning-rate=0.1"),
        ],
        "attention": [*voice_flags, "--zoneout=0.1", "--dropout=0.1"],
        "dense": dense_flags,
    }[model]
    found = {}
    for distribute in ("none", "mirrored"):
        config, *_ = train.parse([*flags, f"--distribute={distribute}"])
        run_dir = tmp_path / distribute
        train.run(config, run_dir, is_over=lambda state: state.step >= 20)
        records = read_metrics(run_dir / "metrics.jsonl")
        losses = [r["loss"] for r in records if "loss" in r][:20]
        found[distribute] = losses, best(run_dir)
    (one, weights), (two, others) = found.values()
    np.testing.assert_allclose(two, one, rtol=1e-4)
    for name, value in weights.items():
        np.testing.assert_allclose(
            others[name], value, rtol=1e-5, atol=1e-5, err_msg=name
        )


def test_every_term_of_a_loss_is_in_the_metrics(small_voice):
    lines = (small_voice / "metrics.jsonl").read_text().splitlines()
    record = json.loads(lines[0])
    terms = {name for name in record if name.startswith("loss/")}
    assert terms >= {"loss/frames", "loss/stop", "loss/guide"}
