"""A run of a vocoder: trained, measured, exported, and speaking for a synthesiser."""

import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from test_synthesis_run import arrays_of

import tfspeech
from tfspeech import evaluate, export, synthesize, train
from tfspeech.errors import RunError
from tfspeech.tasks.runs import load_config, load_task
from tfspeech.training.callbacks import read_metrics

TEXT = "the red box."


def test_a_run_directory_holds_all_of_the_run(small_vocoder):
    names = {str(p.relative_to(small_vocoder)) for p in small_vocoder.rglob("*")}
    assert {
        "config.json",
        "results.json",
        "checkpoints/best.npz",
        "plots/learning.png",
        "samples/recording_0.wav",
        "samples/griffin_lim_1.wav",
        "samples/vocoder_0.wav",
        "samples/vocoder_1.png",
    } <= names
    assert load_config(small_vocoder).features.sample_rate_hz == 8000
    validations = [
        r["validation"]
        for r in read_metrics(small_vocoder / "metrics.jsonl")
        if "validation" in r
    ]
    assert len(validations) == 2
    assert validations[1]["loss"] < validations[0]["loss"]
    waveform, rate_hz = soundfile.read(small_vocoder / "samples" / "vocoder_0.wav")
    recording, _ = soundfile.read(small_vocoder / "samples" / "recording_0.wav")
    assert rate_hz == 8000
    assert 0 <= recording.size - waveform.size < 100


@pytest.mark.slow
@pytest.mark.headline
def test_evaluate_repeats_the_scores_of_the_run(small_vocoder, command):
    code, out, _ = command(evaluate.main, small_vocoder, "--json")
    assert code == 0
    scores = json.loads(out.splitlines()[-1])
    saved = json.loads((small_vocoder / "results.json").read_text())
    assert {"loss", "mcd_db", "griffin_lim_mcd_db", "lpc_mcd_db"} <= set(scores)
    assert {"f0_rmse_hz", "lpc_f0_rmse_hz", "voicing_error_percent"} <= set(scores)
    assert "other_voice_mcd_db" not in scores
    for name, score in scores.items():
        if name.endswith("real_time_factor"):
            assert 0 < score < 5
        else:
            assert (score is None) == (saved[name] is None)
            assert score is None or score == pytest.approx(saved[name], rel=1e-3)


@pytest.mark.slow
@pytest.mark.headline
def test_evaluate_prints_a_table_of_vocoders(small_vocoder, command):
    code, out, _ = command(evaluate.main, small_vocoder, "--split", "validation")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("4 recordings, loss ")
    assert lines[2].split() == ["model", "Griffin-Lim", "LPC"]
    assert lines[-1].startswith("real-time factor")
    assert len(lines[-1].split()) == 5


def test_a_vocoder_does_not_speak_by_itself(small_vocoder, command):
    code, _, errors = command(synthesize.main, small_vocoder, TEXT)
    assert (code, len(errors)) == (2, 1)
    assert "source_filter, which does not speak" in errors[0]


@pytest.mark.slow
@pytest.mark.headline
def test_the_exported_graph_is_the_vocoder(small_vocoder, tmp_path):
    version = export.run(small_vocoder, tmp_path)
    served = tf.saved_model.load(str(version)).signatures
    assert set(served) == {"serving_default", "vocode", "stream", "limits"}
    config, task = load_task(small_vocoder)
    frames = config.read_data().frames(0)
    request = {"frames": frames[None], "frame_length": [len(frames)]}
    request = {name: tf.constant(value) for name, value in request.items()}
    answer = served["vocode"](**request)
    (waveform,) = task.waveforms([frames])
    assert answer["waveform_length"] == len(waveform)
    np.testing.assert_allclose(answer["waveform"][0], waveform.clip(-1, 1), atol=1e-4)
    for change, reason in (
        ({"frame_length": tf.constant([0])}, "frame_length must be above 0"),
        ({"frame_length": tf.constant([999])}, "must not be more than the frames"),
        ({"frames": request["frames"] * np.nan}, "frames must be finite"),
        ({"frames": tf.tile(request["frames"], [1, 60, 1])}, "max_spoken_seconds"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
            served["vocode"](**(request | change))


@pytest.mark.slow
@pytest.mark.headline
def test_a_synthesiser_speaks_through_it(small_dense, small_vocoder, tmp_path, command):
    _, plain = load_task(small_dense)
    _, task = load_task(small_dense, str(small_vocoder))
    _, vocoder = load_task(small_vocoder)
    (speech,) = task.speak([TEXT])
    waveform = task.waveform(speech.frames)
    np.testing.assert_allclose(
        waveform, vocoder.waveforms([speech.frames])[0], atol=1e-5
    )
    assert np.abs(waveform - plain.waveform(speech.frames)).max() > 1e-3
    output = tmp_path / "x.wav"
    given = [small_dense, TEXT, "--vocoder", small_vocoder, "--output", output]
    assert command(synthesize.main, *given)[0] == 0
    found, _ = soundfile.read(output)
    np.testing.assert_allclose(found, waveform.clip(-1, 1), atol=1e-4)
    audio = tfspeech.load_run(small_dense).synthesize(TEXT, vocoder=small_vocoder)
    np.testing.assert_allclose(audio.samples, waveform, atol=1e-5)


@pytest.mark.slow
@pytest.mark.headline
def test_evaluation_of_a_synthesiser_measures_its_speech_through_it(
    small_dense, small_vocoder, command
):
    given = [small_dense, "--vocoder", small_vocoder, "--json"]
    code, out, _ = command(evaluate.main, *given)
    assert code == 0
    scores = json.loads(out.splitlines()[-1])
    saved = json.loads((small_dense / "results.json").read_text())
    of_vocoder = json.loads((small_vocoder / "results.json").read_text())
    assert scores["loss"] == pytest.approx(saved["loss"], rel=1e-3)
    assert scores["vocoder_mcd_db"] == pytest.approx(of_vocoder["mcd_db"], rel=1e-3)
    assert scores["vocoder_mcd_db"] != pytest.approx(saved["vocoder_mcd_db"], rel=0.01)


@pytest.mark.slow
@pytest.mark.headline
def test_one_graph_holds_synthesiser_and_vocoder(small_dense, small_vocoder, tmp_path):
    version = export.run(small_dense, tmp_path, vocoder=str(small_vocoder))
    served = tf.saved_model.load(str(version)).signatures
    answer = served["synthesize"](text=tf.constant([TEXT, "the old hat."]))
    _, task = load_task(small_dense, str(small_vocoder))
    for row, speech in enumerate(task.speak([TEXT, "the old hat."])):
        waveform = task.waveform(speech.frames).clip(-1, 1)
        assert answer["waveform_length"][row] == len(waveform)
        found = answer["waveform"][row, : len(waveform)]
        np.testing.assert_allclose(found, waveform, atol=1e-3)


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("main", [synthesize.main, evaluate.main, export.main])
def test_vocoders_that_do_not_fit_are_one_clear_line(
    main, small_voice, small_dense, small_vocoder, small_run, tmp_path, command
):
    text = [TEXT] if main is synthesize.main else []
    for run_dir, vocoder, reason in (
        (small_voice, small_vocoder, "needs pitch and voicing, which the synthesiser"),
        (small_dense, small_run, "rnn_recognizer, which is no vocoder: train one"),
        (small_dense, tmp_path / "no", f"{tmp_path / 'no'} holds no run"),
        (small_dense, "griffin_lim(2)", "has no vocoder that could be chosen"),
        (small_voice, "wave()", "unknown vocoder 'wave'"),
        (small_run, small_vocoder, "rnn_recognizer, which needs no vocoder"),
    ):
        code, _, errors = command(main, run_dir, *text, "--vocoder", vocoder)
        assert (code, len(errors)) == (2, 1)
        assert reason in errors[0]


def test_mels_that_are_not_predicted_are_named(small_dense, small_gan, command):
    given = [small_dense, TEXT, "--vocoder", small_gan]
    code, _, errors = command(synthesize.main, *given)
    assert (code, len(errors)) == (2, 1)
    assert f"{small_gan}: the vocoder was trained with --conditioning mel" in errors[0]
    assert "train a vocoder with --conditioning lpc" in errors[0]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--no-pitch"], "vocoders need the pitch in the frames: give --pitch"),
        (["--conditioning=wave"], "conditioning must be one of mel, lpc"),
        (["--frames-from=/nowhere"], "/nowhere holds no run"),
        (["--segment-frames=7"], "segment_frames must be at least 8"),
    ],
)
def test_bad_input_is_one_line(arguments, reason, vocoder_flags, tmp_path, command):
    given = [*vocoder_flags, "--run-dir", tmp_path, *arguments]
    code, out, errors = command(train.main, *given)
    assert (code, out, len(errors)) == (2, "", 1)
    assert reason in errors[0]


def test_an_untrained_vocoder_is_an_error(tmp_path, small_dense):
    with pytest.raises(RunError, match="holds no run"):
        load_task(small_dense, str(tmp_path))


@pytest.mark.slow
@pytest.mark.headline
def test_a_stopped_run_resumes_to_the_same_weights(
    small_vocoder, vocoder_flags, tmp_path
):
    config, *_ = train.parse([*vocoder_flags, "--conditioning=lpc"])
    run_dir = tmp_path / "run"
    train.run(config, run_dir, is_over=lambda state: state.epoch == 1)
    config, *_ = train.parse(["--run-dir", str(run_dir), "--resume"])
    train.run(config, run_dir, resume=True)
    assert arrays_of(run_dir) == arrays_of(small_vocoder)


@pytest.mark.slow
def test_two_replicas_make_the_weights_of_one(small_vocoder, vocoder_flags, tmp_path):
    config, *_ = train.parse(
        [*vocoder_flags, "--conditioning=lpc", "--distribute=mirrored"]
    )
    train.run(config, tmp_path / "run")
    best = "checkpoints/best.npz"
    with np.load(small_vocoder / best) as one, np.load(tmp_path / "run" / best) as two:
        assert set(one) == set(two)
        for name in one:
            np.testing.assert_allclose(two[name], one[name], atol=1e-4, err_msg=name)
