"""The interface for programs and notebooks."""

import json
import pydoc
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from small_flags import SMALL, TONES_HZ

import tfspeech
from tfspeech import console, train
from tfspeech.data.espeak import SpokenText
from tfspeech.data.manifest import Utterance
from tfspeech.errors import AudioError, CorpusError, RunError, SpecError, TextError
from tfspeech.tasks.runs import load_config
from tfspeech.tasks.speech.task import SpeechTask

# The same as `SMALL`, as Python values.
SETTINGS = {
    **{"features": "log_mel", "utterance_normalization": "none", "noise_share": 0.2},
    **{"units": 8, "conv_filters": 8, "dropout": 0.1, "synthetic_per_label": 0},
    **{"epochs": 5, "batch_size": 8, "warmup_steps": 0, "learning_rate": 0.02},
    "ema_momentum": 0.5,
}


@pytest.fixture
def trained(monkeypatch):
    """Arguments of `train_model` for the function of the command, which is not run."""
    calls = []
    monkeypatch.setattr(train, "run", lambda *given: calls.append(given))

    def configure(*arguments, **settings):
        with pytest.raises(RunError, match="holds no run"):
            tfspeech.train_model(*arguments, **settings)
        return calls.pop()

    return configure


def test_importing_the_package_imports_neither_tensorflow_nor_numpy():
    code = "import sys, tfspeech; print({'tensorflow', 'numpy'} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("set()\n", "")


def test_the_names_are_documented_and_hide_no_command():
    text = pydoc.plain(pydoc.render_doc(tfspeech))
    for name in tfspeech.__all__:
        assert name in dir(tfspeech)
        assert f" {name}" in text
    assert "Trains a model, keeps everything in a directory" in text
    assert tfspeech.train.__name__ == "tfspeech.train"
    with pytest.raises(AttributeError, match="no attribute 'trian_model'"):
        _ = tfspeech.trian_model


def test_settings_are_the_flags_of_the_command(tones, trained, tmp_path):
    words = ["--data", f"folder:{tones}", *SMALL, "--run-dir", str(tmp_path)]
    wanted = train.parse(words)
    data = f"folder:{tones}"
    assert trained(data=data, run_dir=tmp_path, **SETTINGS) == wanted[:3]
    as_text = {name: str(value) for name, value in SETTINGS.items()}
    assert trained(data=data, run_dir=str(tmp_path), **as_text) == wanted[:3]


def test_every_kind_of_value_has_its_flag(trained):
    config, run_dir, resume = trained(
        "dense_synthesis",
        hidden_units=[8, np.int64(4)],
        clip=["value(1)", "norm(2)"],
        regularize=None,
        resume=True,
    )
    assert config.architecture.hidden_units == (8, 4)
    assert config.training.clip == ("value(1)", "norm(2)")
    assert config.training.regularize == ()
    assert (str(run_dir), resume) == ("runs/dense_synthesis", True)
    for false in (False, "false"):
        assert not trained(bidirectional=false)[0].architecture.bidirectional
    assert trained(tied_convolutions="true")[0].architecture.tied_convolutions
    assert trained(clip=[])[0].training.clip == ()
    assert trained(clip="none()")[0].training.clip == ("none()",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "rnn_recognizer has no setting 'epoch'; the nearest are epochs"),
        ({"model": "attention_tts", "cell": "gru"}, "attention_tts has no setting"),
        ({"epochs": 2.5}, "argument --epochs: invalid int value: '2.5'"),
        ({"epochs": (1, 2)}, r"epochs has one value. Received: epochs=\(1, 2\)"),
        ({"epochs": -1}, "epochs must be at least 1"),
        ({"clip": "globl_norm(5)"}, "unknown clipping strategy 'globl_norm'"),
        ({"model": "rnn"}, "unknown model 'rnn'"),
    ],
)
def test_what_is_wrong_is_an_exception_that_names_it(settings, message, tmp_path):
    with pytest.raises(SpecError, match=message):
        tfspeech.train_model(run_dir=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def run(small_run):
    return tfspeech.load_run(small_run)


def test_a_run_has_what_its_directory_has(run, small_run):
    assert run.directory == small_run
    assert run.config == load_config(small_run)
    assert run.results == json.loads((small_run / "results.json").read_text())
    assert "rnn_recognizer" in repr(run)
    assert "accuracy" in repr(run)
    assert [path.name for path in run.plots] == [
        *("confusion.png", "diagnostics.png", "learning.png", "reliability.png")
    ]
    assert run.plots._repr_html_().count("data:image/png;base64,") == 4


def test_metrics_are_tables_of_steps_and_epochs(run, small_run):
    lines = (small_run / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    steps = [r for r in records if "group" in r]
    assert run.metrics.rows == len(steps)
    np.testing.assert_array_equal(run.metrics["step"], np.arange(len(steps)) + 1)
    np.testing.assert_array_equal(run.metrics["loss"], [r["loss"] for r in steps])
    # What was measured now and then is NaN elsewhere.
    measured = [r["update_cosine"] is not None for r in steps]
    assert not all(measured)
    np.testing.assert_array_equal(np.isfinite(run.metrics["update_cosine"]), measured)
    accuracies = [r["validation"]["accuracy"] for r in records if "epoch" in r]
    np.testing.assert_array_equal(run.validations["accuracy"], accuracies)
    np.testing.assert_array_equal(run.validations["epoch"], np.arange(5) + 1)
    lines = repr(run.validations).splitlines()
    assert lines[0].split()[:3] == ["epoch", "step", "step_ms"]
    assert len(lines) == 6
    assert f"the last 10 of {len(steps)} rows" in repr(run.metrics)
    assert run.metrics._repr_html_().count("<tr>") == 11


def tone(hz, rate_hz=8000):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(rate_hz // 4) / rate_hz), rate_hz)


def test_files_and_arrays_are_transcribed_alike(run, tmp_path):
    samples, rate_hz = tone(TONES_HZ["high"])
    soundfile.write(tmp_path / "x.wav", samples, rate_hz, subtype="FLOAT")
    heard = run.transcribe((samples, rate_hz))
    assert heard.label == max(heard.scores, key=heard.scores.get) == "high"
    assert heard.probability == heard.scores["high"]
    integers = (samples * 2**15).astype(np.int16)
    many = run.transcribe(
        [tmp_path / "x.wav", str(tmp_path / "x.wav"), (integers, 8000)]
    )
    assert [each.label for each in many] == ["high"] * 3
    assert many[0] == heard
    assert many[2].probability == pytest.approx(heard.probability, abs=1e-3)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(9), "a pair of samples and their rate"),
        ((np.zeros((9, 2)), 8000), r"mono.*shape \[9, 2\]"),
        ((np.zeros(9, np.uint8), 8000), "Received: uint8"),
        ((np.zeros(9), 0), "rate must be above 0"),
        ((np.full(9, np.nan), 8000), "not finite"),
        ("missing.wav", "missing.wav: cannot be read"),
    ],
)
def test_what_is_no_audio_is_an_exception(run, audio, message):
    with pytest.raises(AudioError, match=message):
        run.transcribe(audio)


@pytest.mark.slow
@pytest.mark.headline
def test_evaluate_and_export_do_what_the_commands_do(run, tmp_path, capfd):
    scores = json.loads(json.dumps(run.evaluate()))
    assert scores == {name: run.results[name] for name in scores}
    assert run.evaluate(split="validation")["utterances"] != scores["utterances"]
    assert run.export(tmp_path) == tmp_path / "rnn_recognizer" / "1"
    assert run.models["model"].count_params() == run.results["parameters"]
    assert capfd.readouterr().out == ""


def test_a_run_of_another_kind_says_so(run, small_voice):
    with pytest.raises(RunError, match="which does not speak"):
        run.synthesize("three")
    with pytest.raises(RunError, match="which recognises no speech"):
        tfspeech.load_run(small_voice).transcribe(tone(440))


@pytest.mark.parametrize("contents", ["", "[]", "[" * 5000, '{"weights": 1}', "{}"])
def test_damaged_scores_are_an_exception(contents, small_run, tmp_path):
    folder = shutil.copytree(small_run, tmp_path / "run")
    (folder / "results.json").write_text(contents)
    with pytest.raises(RunError, match=r"results\.json is damaged"):
        _ = tfspeech.load_run(folder).results


def test_a_directory_without_a_run_is_an_exception(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        tfspeech.load_run(tmp_path)


def test_texts_are_spoken(small_voice, tmp_path):
    voice = tfspeech.load_run(small_voice)
    speech = voice.synthesize("the red door.")
    assert speech.rate_hz == voice.config.features.sample_rate_hz
    assert speech.samples.dtype == np.float32
    both = voice.synthesize(["the red door.", "the old bird."])
    np.testing.assert_allclose(both[0].samples, speech.samples, atol=1e-4)
    other = voice.synthesize("the red door.", vocoder="griffin_lim(1)")
    assert not np.allclose(other.samples, speech.samples, atol=1e-3)
    with pytest.raises(SpecError, match="unknown vocoder"):
        voice.synthesize("the red door.", vocoder="wave()")
    speech.save(tmp_path / "x.wav")
    samples, rate_hz = soundfile.read(tmp_path / "x.wav")
    assert rate_hz == speech.rate_hz
    np.testing.assert_allclose(samples, np.clip(speech.samples, -1, 1), atol=1e-4)
    assert "data:audio/wav;base64,UklGR" in speech._repr_html_()


def test_a_long_text_is_spoken_in_pieces(small_voice, monkeypatch):
    voice = tfspeech.load_run(small_voice)
    sentence = "the old man closed the white door."
    spoken = []
    speak = SpeechTask.speak
    monkeypatch.setattr(
        SpeechTask,
        "speak",
        lambda task, texts: spoken.append(texts) or speak(task, texts),
    )
    long, other = voice.synthesize([f"{sentence} " * 10, "the red door."])
    # Once each: no piece is spoken to warm up.
    assert [len(text) for (text,) in spoken] == [8 * 35 - 1, 2 * 35 - 1, 13]
    # 8 sentences of 35 characters fit into 300.
    pieces = [voice.synthesize(" ".join([sentence] * n)).samples for n in (8, 2)]
    pause = np.zeros(round(0.3 * long.rate_hz), np.float32)
    expected = np.concatenate([pieces[0], pause, pieces[1]])
    np.testing.assert_array_equal(long.samples, expected)
    np.testing.assert_array_equal(
        other.samples, voice.synthesize("the red door.").samples
    )
    with pytest.raises(TextError, match=r"max_symbols of this model is 400.*: 501"):
        voice.synthesize("a" * 500)


def test_a_document_says_its_breaks_itself(small_dense):
    voice = tfspeech.load_run(small_dense)
    words = "the <emphasis>red</emphasis> door."
    plain, paused = (
        voice.synthesize(f"<speak>{words}{more}</speak>", ssml=True)
        for more in ("", '<break time="500ms"/>')
    )
    assert len(paused.samples) == len(plain.samples) + plain.rate_hz // 2
    with pytest.raises(
        tfspeech.errors.TextError, match="line 1, column 1: it is no XML"
    ):
        voice.synthesize("the red door.", ssml=True)


def test_a_run_is_adapted_into_another(run, tones, tmp_path):
    speaker = tmp_path / "anna"
    for word in ("low", "high"):
        (speaker / word).mkdir(parents=True)
        shutil.copy(tones / word / "s00_nohash_0.wav", speaker / word)
    adapted = run.adapt(speaker, tmp_path / "adapted")
    assert repr(adapted).endswith("/adapted: adapted>")
    kernels = [
        each.models["model"].classifier.kernel.numpy() for each in (run, adapted)
    ]
    assert np.any(kernels[0] != kernels[1])


@pytest.mark.slow
@pytest.mark.headline
def test_a_calibrated_run_uses_the_fit_at_once(small_run, tones, tmp_path):
    run = tfspeech.load_run(shutil.copytree(small_run, tmp_path / "run"))
    words = sorted((tones / "middle").iterdir())
    before = run.transcribe([*words])
    found = run.calibrate(split="test", false_alarms=0.9)
    assert found["utterances"] == 18
    assert run.config.task.temperature == found["temperature"]
    assert not any(heard.label == "unknown" for heard in before)
    assert any(heard.label == "unknown" for heard in run.transcribe([*words]))


def test_conditions_change_the_speech(small_dense):
    voice = tfspeech.load_run(small_dense)
    slow, fast = (voice.synthesize("the red door.", rate=rate) for rate in (1, 2))
    assert len(slow.samples) > 1.5 * len(fast.samples)
    with pytest.raises(SpecError, match="has no volume"):
        voice.synthesize("the red door.", volume=2)
    with pytest.raises(SpecError, match="has no vocoder that could be chosen"):
        voice.synthesize("the red door.", vocoder="griffin_lim(1)")


def utterances(tones):
    """The corpus of tones as a program may hold it: files, and samples."""
    found = []
    for label in TONES_HZ:
        for path in sorted((tones / label).glob("*.wav")):
            number = int(path.stem[1:3])
            split = {0: "test", 1: "validation"}.get(number % 4, "train")
            audio = path if number % 2 else soundfile.read(path)
            found.append({"audio": audio, "text": label, "split": split})
    return found


@pytest.fixture(scope="module")
def own_corpus_run(tones, tmp_path_factory):
    """A run on utterances of a program, which was interrupted after two epochs."""
    run_dir = tmp_path_factory.mktemp("api") / "run"
    train_run = train.run

    def interrupted(config, folder, resume):
        train_run(config, folder, resume, lambda state: state.epoch == 2)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tfspeech.train_model(data=utterances(tones), run_dir=run_dir, **SETTINGS)
    (run_dir / "results.json").unlink()
    return run_dir


@pytest.mark.slow
@pytest.mark.headline
def test_a_run_on_utterances_of_a_program_goes_on(own_corpus_run, tones, capfd):
    given = utterances(tones)
    before = tfspeech.load_run(own_corpus_run)
    assert before.validations.rows == 2
    with pytest.raises(RunError, match="has not ended yet"):
        _ = before.results
    assert "not ended yet" in repr(before)
    folders = sorted((own_corpus_run / "corpora").iterdir())
    with pytest.raises(RunError, match="holds a run already"):
        tfspeech.train_model(data=given[1:], run_dir=own_corpus_run, **SETTINGS)
    with pytest.raises(RunError, match="holds a run with --data"):
        tfspeech.train_model(data=given[1:], run_dir=own_corpus_run, resume=True)
    assert sorted((own_corpus_run / "corpora").iterdir()) == folders
    run = tfspeech.train_model(data=given, run_dir=own_corpus_run, resume=True)
    assert run.validations.rows == 5
    assert run.results["accuracy"] > 0.9
    assert run.results["utterances"] == sum(u["split"] == "test" for u in given)
    few = run.evaluate([Utterance(tone(300.0), "low", "", "test")])
    assert few["utterances"] == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_told_on_terminals_and_where_it_is_asked_for(
    terminal, small_run, monkeypatch, capsys
):
    monkeypatch.setattr(train, "run", lambda *given: console.say("step 1"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    for progress, told in ((None, terminal), (True, True), (False, False)):
        tfspeech.train_model(run_dir=small_run, resume=True, progress=progress)
        assert capsys.readouterr().err == "step 1\n" * told


@pytest.mark.parametrize(
    ("utterance", "message"),
    [
        ({"text": "one"}, "utterance 1 has no 'audio'"),
        ({"audio": "x.wav"}, "utterance 1 has no 'text'"),
        ({"audio": "x", "text": "a", "speeker": "b"}, "unknown 'speeker'; known are"),
        ({"audio": np.zeros(9), "text": "a"}, "utterance 1: audio is the path"),
        ({"audio": "x.wav", "text": "a", "split": "dev"}, "split must be one of"),
        (("x.wav", "a"), "an utterance is a mapping.*Received: tuple"),
    ],
)
def test_what_is_no_utterance_is_an_exception(utterance, message, tmp_path):
    first = Utterance(SpokenText("one"), "one", "", "train")
    with pytest.raises(CorpusError, match=message):
        tfspeech.train_model(data=[first, utterance], run_dir=tmp_path / "run")
