"""Recordings without texts that a teacher transcribes as more training examples."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from small_flags import TONES_HZ

from tfspeech import evaluate, train
from tfspeech.data.espeak import SpokenText
from tfspeech.data.manifest import WITHOUT_TEXT
from tfspeech.errors import CorpusError, SpecError
from tfspeech.tasks.alignment.states import STATES_PER_UNIT, UNLABELLED
from tfspeech.tasks.alignment.text import pronounce
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.training import absolute
from tfspeech.tasks.unlabelled import with_taught_examples
from tfspeech.tasks.word_recognition.task import WordRecognition

WORDS = {"a.wav": "high", "deep/er/b.wav": "low"}


@pytest.fixture
def recordings(tones, tmp_path):
    """A folder of recordings of tones without labels, one of which the corpus has."""
    folder = tmp_path / "more"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "known.wav").symlink_to(min((tones / "low").iterdir()))
    (folder / "notes.txt").write_text("no audio")
    rng = np.random.default_rng(0)
    for name, word in WORDS.items():
        wave = 0.25 * np.sin(2 * np.pi * TONES_HZ[word] * np.arange(2400) / 8000)
        wave += rng.normal(size=wave.size) * 0.003
        soundfile.write(folder / name, wave, 8000)
    return folder


def asking(config, teacher, folder):
    """A configuration with a teacher that transcribes recordings."""
    data = dataclasses.replace(config.data, unlabelled=str(folder))
    training = dataclasses.replace(config.training, teacher=str(teacher))
    return dataclasses.replace(config, data=data, training=training)


def number_of(data, place_or_text):
    """The target of an utterance or of a text, as a list."""
    if not isinstance(place_or_text, str):
        (found,) = data.targets(np.array([place_or_text]))
    elif hasattr(data, "labels"):
        found = data.labels.index(place_or_text)
    else:
        (found,) = data.transcriber.encode([place_or_text])
    return np.ravel(found).tolist()


@pytest.mark.parametrize(
    "kind",
    [
        "small_run",
        pytest.param(
            "small_transcriber", marks=[pytest.mark.slow, pytest.mark.headline]
        ),
    ],
)
def test_an_epoch_has_what_the_teacher_transcribes(kind, request, recordings):
    run_dir = request.getfixturevalue(kind)
    config, teacher = load_task(run_dir)
    config = asking(config, run_dir, recordings)
    data = config.read_data()
    assert data.report.splits[WITHOUT_TEXT]["utterances"] == 2
    taught = with_taught_examples(config, data)
    own, known = data.corpus.indices("train"), data.corpus.indices(WITHOUT_TEXT)
    assert set(taught.corpus.indices("train")) == {*own, *known}
    for place, name in zip(known, sorted(WORDS), strict=True):
        found = taught.corpus.utterances[place]
        assert found.audio == (recordings / name).resolve()
        text = teacher.text_of(*soundfile.read(found.audio, dtype="float32"))
        assert found.text == text
        assert text == WORDS[name] or kind == "small_transcriber"
        assert number_of(taught, place) == number_of(taught, text)
    training = config.read_training(teacher, taught)
    assert training.examples == len(own) + 2
    rows = np.flatnonzero(np.isin(taught.corpus.indices("train"), known))
    batch = training.load(tf.constant(rows), tf.constant(rows))
    wanted = taught.targets(known)
    targets = batch["targets"].numpy().reshape(2, -1)
    np.testing.assert_array_equal(targets[:, : wanted[0].size], wanted.reshape(2, -1))


@pytest.mark.slow
@pytest.mark.headline
def test_a_student_of_recordings_learns_from_them(small_run, recordings, tmp_path):
    config = asking(load_task(small_run)[0], small_run, recordings)
    results = train.run(config, tmp_path / "run")
    report = json.loads((tmp_path / "run" / "data_report.json").read_text())
    assert report["splits"][WITHOUT_TEXT]["utterances"] == 2
    shutil.rmtree(recordings)
    again = evaluate.run(tmp_path / "run")
    assert again["accuracy"] == results["accuracy"]


def test_what_the_teacher_does_not_know_is_left_out(small_run, recordings, monkeypatch):
    config = asking(load_task(small_run)[0], small_run, recordings)
    data = config.read_data()
    known = data.corpus.indices(WITHOUT_TEXT)
    words = iter(["", "high"])
    monkeypatch.setattr(WordRecognition, "text_of", lambda *_: next(words))
    taught = with_taught_examples(config, data)
    assert taught.corpus.indices(WITHOUT_TEXT) == known[:1]
    assert taught.corpus.utterances[known[1]].text == "high"
    monkeypatch.setattr(WordRecognition, "text_of", lambda *_: "")
    with pytest.raises(CorpusError, match="makes out nothing in the recordings"):
        with_taught_examples(config, data)


def test_a_word_that_is_unknown_is_no_text(small_run):
    config, teacher = load_task(small_run)
    sure = dataclasses.replace(config.task, unknown_below=1.0)
    unsure = WordRecognition(teacher.model, sure, teacher.features, teacher.labels)
    samples = np.zeros(2400, np.float32)
    assert teacher.text_of(samples, 8000) in teacher.labels
    assert unsure.text_of(samples, 8000) == ""


def test_what_cannot_be_transcribed_is_named(small_run, recordings, tones, tmp_path):
    config, _ = load_task(small_run)
    with pytest.raises(SpecError, match="--unlabelled needs a teacher"):
        absolute(asking(config, "", recordings))
    for folder in (tmp_path / "none", tones):
        with pytest.raises(CorpusError, match="holds no audio files"):
            asking(config, small_run, folder).read_data()
    (recordings / "torn.wav").write_bytes(b"RIFF")
    report = asking(config, small_run, recordings).read_data().report
    with pytest.raises(CorpusError, match=r"torn\.wav"):
        report.raise_if_fatal()


@pytest.mark.slow
@pytest.mark.headline
def test_transcripts_of_the_teacher_are_aligned_for_a_hybrid(small_hybrid, tmp_path):
    for name, text in (("a", "the red hat."), ("b", "the old door.")):
        waveform, rate_hz = SpokenText(text, rate_wpm=240).render()
        soundfile.write(tmp_path / f"{name}.wav", waveform, rate_hz)
    config, teacher = load_task(small_hybrid)
    data = asking(config, small_hybrid, tmp_path).read_data()
    first, second = data.corpus.indices(WITHOUT_TEXT)
    taught = data.with_texts({second: "the old door"})
    assert (taught.targets(np.array([first])) == UNLABELLED).all()
    (states,) = taught.targets(np.array([second]))
    units = states[states != UNLABELLED] // STATES_PER_UNIT
    assert set(units) == set(pronounce("the old door").units)
    training = config.read_training(teacher, taught)
    assert training.examples == len(data.corpus.indices("train")) + 1
