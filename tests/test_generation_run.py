"""A run of a generator of words: trained, measured, drawn from, exported, resumed."""

import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from test_synthesis_run import arrays_of

import tfspeech
from tfspeech import evaluate, export, synthesize, train
from tfspeech.errors import RunError, SpecError
from tfspeech.tasks.generation.scores import describe_scores
from tfspeech.tasks.runs import load_task
from tfspeech.training.callbacks import read_metrics

WORDS = ("high", "low", "middle")


@pytest.fixture(scope="module")
def task(small_generator):
    return load_task(small_generator)[1]


def test_a_run_directory_holds_clips_and_both_groups(small_generator):
    names = {str(p.relative_to(small_generator)) for p in small_generator.rglob("*")}
    assert {
        *("config.json", "results.json", "checkpoints/best.npz"),
        *("plots/learning.png", "samples/clips.png", "samples/clip_9.wav"),
    } <= names
    records = read_metrics(small_generator / "metrics.jsonl")
    for group, terms in (
        ("discriminator", {"real", "fake", "gradient", "accuracy"}),
        ("model", {"adversarial"}),
    ):
        own = [record for record in records if record.get("group") == group]
        assert own
        assert all({f"loss/{term}" for term in terms} <= set(record) for record in own)
    validations = [r["validation"] for r in records if "validation" in r]
    assert set(validations[0]) == {"loss", "discriminator_accuracy", "frechet"}


def test_evaluate_repeats_the_scores_of_the_run(small_generator, command):
    code, out, _ = command(evaluate.main, small_generator, "--json")
    assert code == 0
    scores = json.loads(out.splitlines()[-1])
    saved = json.loads((small_generator / "results.json").read_text())
    assert {"nearest", "recording_nearest", "frechet", "recording_frechet"} < set(
        scores
    )
    for name, score in scores.items():
        assert score == pytest.approx(saved[name], rel=1e-3)


def test_a_recogniser_says_what_is_heard(small_generator, small_run, command):
    given = [small_generator, "--recognizer", small_run]
    code, out, _ = command(evaluate.main, *given, "--json")
    assert code == 0
    scores = json.loads(out.splitlines()[-1])
    for prefix in ("", "recording_", "vocoded_"):
        shares = scores[f"{prefix}shares"]
        assert tuple(shares) == WORDS
        assert sum(shares.values()) == pytest.approx(1.0)
        assert 1 / 3 <= scores[f"{prefix}mean_probability"] <= 1
        assert 1 <= scores[f"{prefix}inception_score"] <= 3
    assert scores["recording_shares"] == pytest.approx(dict.fromkeys(WORDS, 1 / 3))
    assert scores["embedding_frechet"] > scores["recording_embedding_frechet"]
    *_, head, _, _, _, _, _, _, row = describe_scores(scores).splitlines()
    assert head.split("  ")[-1].strip() == "recordings, vocoded"
    assert row.split()[:3] == ["heard", "as", "middle"]
    assert row.split()[-1] == f"{scores['vocoded_shares']['middle']:.1%}"


def test_clips_become_files_by_their_seeds(small_generator, task, tmp_path, command):
    output = tmp_path / "x.wav"
    given = [small_generator, "--count", 3, "--seed", 7, "--output", output, "--json"]
    code, out, errors = command(synthesize.main, *given)
    assert code == 0, errors
    report = json.loads(out.splitlines()[-1])["files"]
    assert [each["file"] for each in report] == [
        str(tmp_path / f"x_{number}.wav") for number in (1, 2, 3)
    ]
    for number, waveform in enumerate(task.draw(3, seed=7), 1):
        found, rate_hz = soundfile.read(tmp_path / f"x_{number}.wav")
        assert rate_hz == 8000
        np.testing.assert_allclose(found, waveform.clip(-1, 1), atol=1e-4)
    (again,) = tfspeech.load_run(small_generator).draw(1, seed=8)
    np.testing.assert_allclose(again.samples, task.draw(3, seed=7)[1], atol=1e-4)
    (cold,) = tfspeech.load_run(small_generator).draw(1, seed=8, temperature=0)
    assert cold.samples.tobytes() != again.samples.tobytes()


@pytest.mark.slow
@pytest.mark.headline
def test_a_vocoder_of_its_frames_may_speak(small_generator, small_vocoder, task):
    run = tfspeech.load_run(small_generator)
    (clip,) = run.draw(1, vocoder=small_vocoder)
    _, vocoder = load_task(small_vocoder)
    (wanted,) = vocoder.waveforms(task.draw_frames(1))
    np.testing.assert_allclose(clip.samples, wanted, atol=1e-4)


def test_python_names_what_draws_no_clips(small_generator, small_voice):
    with pytest.raises(RunError, match="attention_tts, which draws no clips"):
        tfspeech.load_run(small_voice).draw(1)
    run = tfspeech.load_run(small_generator)
    with pytest.raises(SpecError, match="has no rate"):
        run.draw(1, rate=2.0)
    with pytest.raises(SpecError, match="count must be at least 1"):
        run.draw(0)


def test_what_does_not_fit_is_one_line(
    small_generator, small_run, small_transcriber, small_voice, command
):
    for main, given, reason in (
        (synthesize.main, [small_generator, "one"], "it draws clips, give --count"),
        (synthesize.main, [small_generator], "give either TEXT or --file, or --count"),
        (synthesize.main, [small_generator, "a", "--count=1"], "give either TEXT"),
        (
            synthesize.main,
            [small_generator, "--count=0"],
            "must be between 1 and",
        ),
        (synthesize.main, [small_generator, "--count=1", "--rate=2"], "has no rate"),
        (synthesize.main, [small_generator, "--count=1", "--seed=0.5"], "whole number"),
        (synthesize.main, [small_voice, "--count=1"], "attention_tts, which draws no"),
        (evaluate.main, [small_run, "--recognizer", small_run], "does not draw clips"),
        (
            evaluate.main,
            [small_generator, "--recognizer", small_transcriber],
            "ctc_recognizer, which is no recogniser of words",
        ),
    ):
        code, _, errors = command(main, *given)
        assert code == 2
        assert reason in errors[-1]


def test_frames_without_pitch_are_refused(generator_flags, tmp_path, command):
    given = [*generator_flags, "--no-pitch", "--run-dir", tmp_path]
    code, out, errors = command(train.main, *given)
    assert (code, out, len(errors)) == (2, "", 1)
    assert "give --lpc-order 12 --pitch" in errors[0]


@pytest.mark.slow
@pytest.mark.headline
def test_the_exported_graph_draws_the_same_clips(small_generator, task, tmp_path):
    version = export.run(small_generator, tmp_path)
    served = tf.saved_model.load(str(version)).signatures
    assert set(served) == {"serving_default", "draw", "limits"}
    request = {
        "seed": tf.constant([3.0, 4.0]),
        "temperature": tf.constant([1.0, 1.0]),
    }
    answer = served["draw"](**request)
    for row, waveform in enumerate(task.draw(2, seed=3)):
        assert answer["waveform_length"][row] == len(waveform)
        found = answer["waveform"][row, : len(waveform)]
        np.testing.assert_allclose(found, waveform.clip(-1, 1), atol=1e-3)
    for change, reason in (
        ({"seed": tf.constant([3.5, 4.0])}, "a whole number"),
        ({"temperature": tf.constant([1.0, np.nan])}, "temperature must be between"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
            served["draw"](**(request | change))


@pytest.mark.slow
@pytest.mark.headline
def test_a_stopped_run_resumes_to_the_same_weights(
    small_generator, generator_flags, tmp_path
):
    config, *_ = train.parse(generator_flags)
    run_dir = tmp_path / "run"
    train.run(config, run_dir, is_over=lambda state: state.epoch == 1)
    config, *_ = train.parse(["--run-dir", str(run_dir), "--resume"])
    train.run(config, run_dir, resume=True)
    assert arrays_of(run_dir) == arrays_of(small_generator)


@pytest.mark.slow
def test_two_replicas_make_the_weights_of_one(
    small_generator, generator_flags, tmp_path
):
    config, *_ = train.parse([*generator_flags, "--distribute=mirrored"])
    train.run(config, tmp_path / "run")
    best = "checkpoints/best.npz"
    one, two = (np.load(run / best) for run in (small_generator, tmp_path / "run"))
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], atol=1e-3, err_msg=name)
