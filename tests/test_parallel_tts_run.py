"""Runs of synthesisers with durations: trained, measured, stopped and resumed."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from test_synthesis_run import arrays_of

from tfspeech import evaluate, synthesize, train
from tfspeech.tasks.alignment import run
from tfspeech.tasks.runs import load_config, load_task
from tfspeech.training.callbacks import read_metrics

TEXT = "the red box."


def test_a_run_directory_holds_all_of_the_run(small_dense):
    names = {str(p.relative_to(small_dense)) for p in small_dense.rglob("*")}
    assert {
        "config.json",
        "metrics.jsonl",
        "results.json",
        "checkpoints/best.npz",
        "plots/learning.png",
        "plots/diagnostics.png",
        "samples/recording_0.wav",
        "samples/vocoder_1.wav",
        "samples/step_000008/sentence_0.wav",
        "samples/step_000008/sentence_1.png",
    } <= names
    config = load_config(small_dense)
    assert config.architecture.hidden_units == (24, 16)
    assert config.features.sample_rate_hz == 8000
    validations = [
        r["validation"]
        for r in read_metrics(small_dense / "metrics.jsonl")
        if "validation" in r
    ]
    assert len(validations) == 2
    assert all(np.isfinite(value) for v in validations for value in v.values())
    assert validations[1]["loss"] < validations[0]["loss"]


def test_the_results_have_their_references(small_dense):
    results = json.loads((small_dense / "results.json").read_text())
    assert results["vocoder_mcd_db"] < results["other_voice_mcd_db"]
    assert results["vocoder_mcd_db"] < results["aligned_mcd_db"]
    for column in ("", "aligned_", "vocoder_"):
        assert results[f"{column}voicing_error_percent"] <= 100
    assert 0.5 < results["duration_ratio"] < 2
    assert 0 < results["duration_rmse_frames"] < 10


@pytest.mark.slow
@pytest.mark.headline
def test_evaluate_repeats_the_scores_of_the_run(small_dense, command):
    code, out, _ = command(evaluate.main, small_dense, "--json")
    assert code == 0
    scores = json.loads(out.splitlines()[-1])
    saved = json.loads((small_dense / "results.json").read_text())
    assert {"loss", "mcd_db", "f0_rmse_hz", "duration_rmse_frames"} <= set(scores)
    for name, score in scores.items():
        assert (score is None) == (saved[name] is None)
        assert score is None or score == pytest.approx(saved[name], rel=1e-3)


@pytest.mark.slow
@pytest.mark.headline
def test_another_corpus_has_its_phoneme_times_beside_it(
    small_dense, sentences, phoneme_times, tmp_path
):
    rows = [row.split("\t") for row in sentences.read_text().splitlines()]
    kept = [rows[0]]
    for name, text, split in rows[1:]:
        if split == "test":
            shutil.copy(sentences.parent / name, tmp_path / f"other_{name}")
            grid = name.replace(".wav", ".TextGrid")
            shutil.copy(phoneme_times / grid, tmp_path / f"other_{grid}")
            kept.append([f"other_{name}", text, split])
    (tmp_path / "list.tsv").write_text("\n".join("\t".join(row) for row in kept))
    scores = evaluate.run(small_dense, f"manifest:{tmp_path / 'list.tsv'}")
    saved = json.loads((small_dense / "results.json").read_text())
    assert scores["sentences"] == len(kept) - 1
    assert scores["aligned_mcd_db"] == pytest.approx(saved["aligned_mcd_db"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.headline
def test_a_run_that_a_rule_ends_leaves_its_samples(dense_flags, tmp_path):
    config, *_ = train.parse([*dense_flags, "--epochs=3"])
    train.run(config, tmp_path / "run", is_over=lambda state: state.epoch == 2)
    samples = tmp_path / "run" / "samples"
    # Of the last epoch alone.
    assert {path.name for path in samples.glob("step_*")} == {"step_000008"}
    assert (samples / "step_000008" / "sentence_1.wav").is_file()


@pytest.mark.slow
@pytest.mark.headline
def test_evaluate_prints_a_table(small_dense, command):
    code, out, _ = command(evaluate.main, small_dense, "--split", "validation")
    assert code == 0
    lines = out.splitlines()
    row = next(line for line in lines if line.startswith("mel-cepstral")).split()
    assert row[-1] == "dB"
    assert all(float(figure) > 0 for figure in row[2:6])
    assert lines[-1].startswith("duration ratio")


def spoken_seconds(run_dir, output, command, *more):
    code, _, lines = command(
        synthesize.main, run_dir, TEXT, "--output", output, "--json", *more
    )
    assert code == 0
    assert "without the vocoder" in lines[0]
    waveform, rate_hz = soundfile.read(output)
    assert rate_hz == 8000
    return waveform.size / rate_hz


@pytest.mark.slow
@pytest.mark.headline
def test_a_rate_makes_speech_shorter(small_dense, tmp_path, command):
    seconds = {
        rate: spoken_seconds(
            small_dense, tmp_path / f"{rate}.wav", command, "--rate", rate
        )
        for rate in ("0.5", "1", "2")
    }
    assert seconds["1"] == spoken_seconds(small_dense, tmp_path / "a.wav", command)
    assert seconds["0.5"] == pytest.approx(2 * seconds["1"], rel=0.1)
    # A phoneme keeps a frame at least.
    assert 0.4 * seconds["1"] < seconds["2"] < 0.8 * seconds["1"]


@pytest.mark.slow
@pytest.mark.headline
def test_the_parallel_model_has_a_run_like_the_dense_one(small_parallel, command):
    validations = [
        r["validation"]
        for r in read_metrics(small_parallel / "metrics.jsonl")
        if "validation" in r
    ]
    assert all(np.isfinite(value) for v in validations for value in v.values())
    assert validations[1]["loss"] < validations[0]["loss"]
    assert (small_parallel / "plots" / "learning.png").is_file()
    assert (small_parallel / "samples" / "step_000008" / "sentence_1.png").is_file()
    code, out, _ = command(evaluate.main, small_parallel, "--json")
    assert code == 0
    scores = json.loads(out.splitlines()[-1])
    saved = json.loads((small_parallel / "results.json").read_text())
    for name in ("loss", "mcd_db", "voicing_error_percent", "duration_rmse_frames"):
        assert scores[name] == pytest.approx(saved[name], rel=1e-3)


@pytest.mark.slow
@pytest.mark.headline
def test_recordings_without_times_are_aligned_once(dense_flags, tmp_path, monkeypatch):
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path))
    config, *_ = train.parse([f for f in dense_flags if "--alignments" not in f])
    data = config.read_data()
    symbols, durations = data.segments(0)
    assert len(symbols) == len(durations)
    assert durations.sum() == data.frame_lengths(np.array([0]))[0]
    (folder,) = tmp_path.glob("alignments-*")
    assert len(list(folder.glob("*.TextGrid"))) == 24

    def fail(*args):
        raise AssertionError("it is aligned already")

    monkeypatch.setattr(run, "align_corpus", fail)
    again, wanted = config.read_data().segments(0)
    np.testing.assert_array_equal(again, symbols)
    np.testing.assert_array_equal(wanted, durations)


def test_semitones_raise_the_pitch_alone(small_dense):
    _, task = load_task(small_dense)
    low, high = (task.speak([TEXT], semitones=s)[0] for s in (0.0, 12.0))
    np.testing.assert_array_equal(low.alignment, high.alignment)
    raised = high.frames - low.frames
    np.testing.assert_allclose(raised[:, -2], np.log(2), atol=1e-5)
    np.testing.assert_allclose(np.delete(raised, -2, axis=1), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--rate", "0"], "rate must be between 0.25 and 4"),
        (["--rate", "nan"], "rate must be between"),
        (["--pitch", "30"], "semitones must be between -24 and 24"),
        (["--pitch", "nan"], "semitones must be between"),
    ],
)
def test_speech_that_cannot_be_is_refused(
    flags, reason, small_dense, tmp_path, command
):
    output = tmp_path / "x.wav"
    code, _, errors = command(
        synthesize.main, small_dense, TEXT, "--output", output, *flags
    )
    assert (code, len(errors)) == (2, 1)
    assert reason in errors[0]
    assert not output.exists()


def test_a_model_without_durations_has_no_rate(small_voice, command):
    code, _, errors = command(synthesize.main, small_voice, TEXT, "--rate", "2")
    assert code == 2
    assert errors == [
        "error: attention_tts has no rate that could be changed; leave out --rate"
    ]


@pytest.mark.slow
def test_mel_spectra_are_a_target_too(dense_flags, tmp_path, command):
    config, *_ = train.parse([*dense_flags, "--target=mel", "--epochs=1"])
    results = train.run(config, tmp_path / "run")
    assert results["vocoder_mcd_db"] < results["aligned_mcd_db"]
    _, task = load_task(tmp_path / "run")
    (speech,) = task.speak([TEXT])
    assert speech.frames.shape[1] == 16
    assert task.waveform(speech.frames).size > 1000
    code, _, errors = command(synthesize.main, tmp_path / "run", TEXT, "--pitch", "3")
    assert code == 2
    assert errors[-1].endswith(
        "has no semitones that could be changed; leave out --pitch"
    )


@pytest.mark.slow
def test_renditions_come_from_the_command_line(small_latent, tmp_path, command):
    validations = [
        r["validation"]
        for r in read_metrics(small_latent / "metrics.jsonl")
        if "validation" in r
    ]
    assert {0, 1, 2, 3} >= {v["active_dimensions"] for v in validations}
    assert all(v["kl_nats"] > 0 for v in validations)
    spoken = []
    for seed in ("1", "1", "2"):
        output = tmp_path / "x.wav"
        flags = ("--temperature", "1", "--seed", seed)
        spoken_seconds(small_latent, output, command, *flags)
        spoken.append(output.read_bytes())
    assert spoken[0] == spoken[1] != spoken[2]


BAD = {
    "no pitch": (["--no-pitch"], "--target lpc needs linear prediction and pitch"),
    "unknown target": (["--target=wav"], "must be one of mel, lpc"),
    "too many features": (["--linguistic-dim=9999"], "linguistic_dim must be between"),
    "no units": (["--hidden-units=0"], "hidden_units must be at least 1"),
    "no number": (["--hidden-units=x"], "invalid int value: 'x'"),
    "negative": (["--delta-weight=-1"], "delta_weight must be 0 or more"),
    "no times": (["--alignments=/no/such"], "/no/such"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, dense_flags, tmp_path, command):
    arguments, reason = BAD[case]
    given = [*dense_flags, "--run-dir", tmp_path, *arguments]
    code, out, errors = command(train.main, *given)
    assert (code, out) == (2, "")
    # The table of the corpus may stand before it.
    assert [line for line in errors if "rror" in line] == errors[-1:]
    assert errors[-1].startswith("error: ")
    assert reason in errors[-1]
    assert not (tmp_path / "config.json").exists()


def test_alignments_are_found_from_every_folder(dense_flags, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config, *_ = train.parse([*dense_flags, "--alignments=here"])
    assert config.data.alignments == str(tmp_path / "here")


@pytest.fixture(params=["dense", "parallel", "latent"])
def kind(request):
    """A finished run of a model, and its flags."""
    run_dir = request.getfixturevalue(f"small_{request.param}")
    return run_dir, request.getfixturevalue(f"{request.param}_flags")


@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_weights(kind, tmp_path):
    finished, flags = kind
    config, *_ = train.parse(flags)
    run_dir = tmp_path / "run"
    train.run(config, run_dir, is_over=lambda state: state.epoch == 1)
    config, *_ = train.parse(["--run-dir", str(run_dir), "--resume"])
    train.run(config, run_dir, resume=True)
    assert arrays_of(run_dir) == arrays_of(finished)


@pytest.mark.slow
def test_two_replicas_make_the_weights_of_one(kind, tmp_path):
    finished, flags = kind
    config, *_ = train.parse([*flags, "--distribute=mirrored"])
    train.run(config, tmp_path / "run")
    best = "checkpoints/best.npz"
    with np.load(finished / best) as one, np.load(tmp_path / "run" / best) as two:
        assert set(one) == set(two)
        for name in one:
            np.testing.assert_allclose(two[name], one[name], atol=1e-4, err_msg=name)
