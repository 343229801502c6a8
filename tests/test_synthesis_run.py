"""Training a synthesiser: its run directory, its flags, another run as its start."""

import dataclasses
import json
import shutil
import signal

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tfspeech import train
from tfspeech.errors import SpecError
from tfspeech.tasks import training
from tfspeech.tasks.attention_tts.watchdog import AttentionWatchdog
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.runs import load_config
from tfspeech.training.callbacks import read_metrics


def test_a_run_directory_holds_all_of_the_run(small_voice):
    names = {str(p.relative_to(small_voice)) for p in small_voice.rglob("*")}
    assert {
        "config.json",
        "metrics.jsonl",
        "results.json",
        "data_report.json",
        "checkpoints/best.npz",
        "plots/learning.png",
        "plots/diagnostics.png",
        "samples/recording_0.wav",
        "samples/vocoder_1.wav",
        "samples/step_000002/sentence_0.png",
        "samples/step_000004/sentence_1.wav",
    } <= names
    config = load_config(small_voice)
    assert config.features.sample_rate_hz == 8000
    assert config.to_json() == load_config(small_voice).to_json()
    records = read_metrics(small_voice / "metrics.jsonl")
    assert [r["step"] for r in records if "loss" in r] == [1, 2, 3, 4]
    validations = [r["validation"] for r in records if "validation" in r]
    assert len(validations) == 2
    for scores in validations:
        assert all(np.isfinite(value) for value in scores.values())
        assert 0 <= scores["focus"] <= 1
    for name in ("recording_0", "vocoder_0", "step_000004/sentence_0"):
        waveform, rate_hz = soundfile.read(small_voice / "samples" / f"{name}.wav")
        assert rate_hz == 8000
        assert waveform.size > 100


def test_a_resumed_run_knows_the_flags_of_its_own_model(small_voice):
    given = ["--run-dir", str(small_voice), "--resume"]
    factor = load_config(small_voice).architecture.reduction_factor
    config, *_ = train.parse([*given, "--reduction-factor", str(factor)])
    assert config.model == "attention_tts"
    with pytest.raises(SpecError, match="--cell"):
        train.parse([*given, "--cell", "gru"])


def test_the_results_have_their_references(small_voice):
    results = json.loads((small_voice / "results.json").read_text())
    assert results["split"] == "test"
    assert results["vocoder_mcd_db"] < results["other_voice_mcd_db"]
    assert results["vocoder_mcd_db"] < results["mcd_db"]
    assert set(results["hard_sentences"]) >= {"stopped", "skipped_words", "focus"}


def test_every_field_is_a_flag_with_the_default_of_the_recipe(capsys):
    with pytest.raises(SystemExit):
        train.parse(["attention_tts", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    recipe = default_config("attention_tts")
    seen = 0
    for section in recipe.sections().values():
        for field in dataclasses.fields(section):
            flag = f"--{field.name.replace('_', '-')} "
            assert flag in text.replace(",", " ")
            value, unit = getattr(section, field.name), field.metadata["unit"]
            if isinstance(value, tuple):
                value = " ".join(value) or "none"
            wanted = f"(default: {value} {unit})" if unit else f"(default: {value})"
            assert wanted in text
            seen += 1
    assert seen > 60
    assert "--learning-rate FLOAT peak learning rate (default: 0.002)" in text
    assert "--batch-size INT utterances per batch (default: 32)" in text


BAD = {
    "unknown vocoder": (["--vocoder", "wavenet()"], "known ones are griffin_lim, lpc"),
    "vocoder without its frames": (["--vocoder", "lpc()"], "lpc_order"),
    "out of range": (["--guide-width", "0"], "guide_width must be above 0"),
    "unknown loss": (["--frame-loss", "l3"], "must be one of l1, l2, l1_l2"),
    "unknown symbols": (["--symbols", "words"], "must be one of characters, phonemes"),
    "no step": (["--reduction-factor", "0"], "reduction_factor must be at least 1"),
    "of a recogniser": (["--cell", "gru"], "unrecognized arguments: --cell"),
    "no corpus": (["--data", "ljspeech:/no/such"], "/no/such does not exist"),
    "no run": (["--init-from", "/no/such"], "/no/such holds no run"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, voice_flags, tmp_path, command):
    arguments, reason = BAD[case]
    given = [*voice_flags, "--run-dir", tmp_path, *arguments]
    code, out, errors = command(train.main, *given)
    assert (code, out, len(errors)) == (2, "", 1)
    assert errors[0].startswith("error: ")
    assert reason in errors[0]
    assert not (tmp_path / "config.json").exists()


def test_a_text_with_an_unknown_symbol_stops_before_the_first_step(
    sentences, voice_flags, tmp_path, command
):
    rows = sentences.read_text().splitlines()
    rows[3] = rows[3].replace("the ", "the ж ")
    rows = [rows[0], *(f"{sentences.parent}/{row}" for row in rows[1:])]
    (tmp_path / "list.tsv").write_text("\n".join(rows))
    data = ["--data", f"manifest:{tmp_path / 'list.tsv'}"]
    code, _, errors = command(
        train.main, *voice_flags, *data, "--run-dir", tmp_path / "run"
    )
    assert code == 2
    assert "unknown symbol: 1" in errors[-1]
    report = (tmp_path / "run" / "data_report.json").read_text()
    assert "ж in 'the ж red door.'" in json.dumps(
        json.loads(report), ensure_ascii=False
    )


class Begun(Exception):
    """The training loop was reached."""


@pytest.fixture
def begin(voice_flags, tmp_path, monkeypatch, capsys):
    """Trains no step; returns the weights a run starts with and what it said."""

    def run(*arguments, resume=False):
        begun = {}

        def no_steps(step, state, batches, evaluate, save, **_):
            save(state)
            (model,) = step.groups["model"].models
            begun.update({f"model:{w.path}": w.numpy() for w in model.weights})
            raise Begun

        monkeypatch.setattr(training, "run_loop", no_steps)
        config, *_ = train.parse([*voice_flags, *arguments])
        with pytest.raises(Begun):
            train.run(config, tmp_path / "run", resume)
        return begun, capsys.readouterr().err.splitlines()

    return run


def test_a_run_starts_from_another_and_resumes_without_it(small_voice, tmp_path, begin):
    other = tmp_path / "other"
    shutil.copytree(small_voice, other)
    with np.load(other / "checkpoints" / "best.npz") as arrays:
        best = dict(arrays)
    begun, lines = begin("--init-from", str(other))
    (taken,) = (line for line in lines if " weights taken " in line)
    assert taken == f"{len(best)} of {len(best)} weights taken from {other}"
    assert not any(line.startswith("not taken") for line in lines)
    assert set(begun) == set(best)
    for path, value in best.items():
        np.testing.assert_allclose(begun[path], value, rtol=1e-5, err_msg=path)
    shutil.rmtree(other)
    again, lines = begin("--init-from", str(other), resume=True)
    assert not any("taken" in line for line in lines)
    for path, value in begun.items():
        np.testing.assert_array_equal(again[path], value)


def test_weights_of_another_size_are_not_taken_and_named(small_voice, begin):
    begun, lines = begin(
        "--init-from", str(small_voice), "--decoder-units=20", "--postnet-layers=1"
    )
    left = [line.split(": ") for line in lines if line.startswith("not taken: ")]
    (taken,) = (line for line in lines if " weights taken " in line)
    assert taken.startswith(f"{len(begun) - len(left)} of {len(begun)} weights")
    reasons = {path.split("/", 1)[1]: reason for _, path, reason in left}
    assert reasons["decoder/lstm_0/recurrent_kernel"] == "(40, 96) there, (36, 80) here"
    new = [reasons.pop(path) for path in list(reasons) if path.startswith("postnet/")]
    assert new == ["the other model has no such weight"] * 2
    assert not any(path.startswith("encoder") for path in reasons)
    with np.load(small_voice / "checkpoints" / "best.npz") as arrays:
        path = next(p for p in arrays if "prenet/dense_0/kernel" in p)
        np.testing.assert_array_equal(begun[path], arrays[path])


def arrays_of(run_dir):
    """All arrays of the best weights and of the last checkpoint, by name."""
    with np.load(run_dir / "checkpoints" / "best.npz") as arrays:
        found = {name: arrays[name].tobytes() for name in arrays}
    reader = tf.train.load_checkpoint(str(run_dir / "checkpoints"))
    for name in reader.get_variable_to_shape_map():
        if name.startswith("variables"):
            found[name] = np.asarray(reader.get_tensor(name)).tobytes()
    return found


@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_weights(
    small_voice, voice_flags, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(
            AttentionWatchdog,
            "on_epoch",
            lambda *_: signal.raise_signal(signal.SIGINT),
        )
        config, *_ = train.parse(voice_flags)
        with pytest.raises(KeyboardInterrupt, match="interrupted after step 2 of 4"):
            train.run(config, tmp_path / "run")
    config, *_ = train.parse(["--run-dir", str(tmp_path / "run"), "--resume"])
    train.run(config, tmp_path / "run", resume=True)
    assert arrays_of(tmp_path / "run") == arrays_of(small_voice)
