"""Sentences that a teacher speaks as more training examples."""

import dataclasses
import shutil

import numpy as np
import pytest

from tfspeech import train
from tfspeech.errors import RunError, SpecError, TextError
from tfspeech.tasks.parallel_tts.task import ParallelSynthesis
from tfspeech.tasks.pinned import pinned_path
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.spoken_texts import with_spoken_texts
from tfspeech.tasks.training import absolute
from tfspeech.tasks.unlabelled import with_taught_examples
from tfspeech.text.linguistic import encode_segments

TEXTS = ("The purple box.", "a bird, and a hat!", "two doors?")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("\n\n".join(TEXTS))
    return path


def asking(config, teacher, text):
    """A configuration with a teacher that speaks a text."""
    data = dataclasses.replace(config.data, unlabelled=str(text))
    training = dataclasses.replace(config.training, teacher=str(teacher))
    return dataclasses.replace(config, data=data, training=training)


@pytest.mark.parametrize(
    "name",
    [
        "small_dense",
        pytest.param("small_parallel", marks=[pytest.mark.slow, pytest.mark.headline]),
    ],
)
def test_an_epoch_has_the_recordings_and_what_the_teacher_speaks(
    name, text, request, monkeypatch
):
    run_dir = request.getfixturevalue(name)
    config, task = load_task(run_dir)
    config = asking(config, run_dir, text)
    data = config.read_data()
    training = config.read_training(task, with_spoken_texts(config, data))
    recorded = len(data.corpus.indices("train"))
    assert data.spoken is None
    assert training.examples == recorded + len(TEXTS)
    assert training.statistics_sample().max() < recorded
    batch = training.load(np.arange(recorded, recorded + len(TEXTS)), None)
    spoken = task.speak(TEXTS)
    for row, (sentence, speech) in enumerate(zip(TEXTS, spoken, strict=True)):
        segments = encode_segments(task.front_end, sentence)
        count, frames = len(segments), len(speech.frames)
        found = {key: value[row].numpy() for key, value in batch.items()}
        np.testing.assert_array_equal(found["segments"][:count], segments)
        durations = np.expm1(found["log_durations"][:count])
        np.testing.assert_allclose(durations, speech.alignment.sum(axis=0), atol=1e-3)
        assert found["frame_lengths"] == frames
        wanted = speech.frames[:, task.targets]
        values = found["frames"][:frames, : wanted.shape[1]]
        np.testing.assert_allclose(values, wanted, atol=1e-3)
        if "prosody" in found:
            pitch = found["prosody"][durations.argmax(), 0]
            assert wanted[:, -2].min() <= pitch <= wanted[:, -2].max()

    def speak_again(*_):
        raise RuntimeError("spoken again")

    monkeypatch.setattr(ParallelSynthesis, "speak", speak_again)
    again = with_spoken_texts(config, data).spoken
    np.testing.assert_allclose(again.frames[0], spoken[0].frames, atol=1e-3)


def test_a_text_that_has_changed_is_refused(dense_flags, small_dense, text):
    config, *_ = train.parse(dense_flags)
    begun = absolute(asking(config, small_dense, text))
    assert pinned_path(begun.data.unlabelled) == text
    assert absolute(begun) == begun
    text.write_text("Something else.")
    with pytest.raises(RunError, match=f"the contents of the text {text} have changed"):
        absolute(begun)


def test_what_cannot_be_spoken_is_named(small_dense, dense_flags, text):
    config, _ = load_task(small_dense)
    with pytest.raises(SpecError, match="--unlabelled needs a teacher"):
        absolute(asking(config, "", text))
    with pytest.raises(FileNotFoundError):
        absolute(asking(config, small_dense, text.with_name("none.txt")))
    data = config.read_data()
    text.write_text("a box.\nthe ж box\n")
    with pytest.raises(TextError, match=r"more\.txt, sentence 2: unknown symbol"):
        with_spoken_texts(asking(config, small_dense, text), data)
    text.write_text(" \n")
    with pytest.raises(TextError, match=r"more\.txt holds no text"):
        with_spoken_texts(asking(config, small_dense, text), data)


def test_pitch_that_is_not_predicted_is_missed(small_parallel, text, monkeypatch):
    config, task = load_task(small_parallel)
    monkeypatch.setattr(task, "conditions", task.conditions[:1])
    monkeypatch.setattr(
        "tfspeech.tasks.spoken_texts.load_task", lambda _: (config, task)
    )
    with pytest.raises(SpecError, match="train both with --target lpc"):
        with_spoken_texts(asking(config, small_parallel, text), None)


def test_other_kinds_have_no_unlabelled_text():
    config = default_config("rnn_recognizer")
    assert with_taught_examples(config, None) is None
    assert absolute(config).data == absolute(absolute(config)).data


@pytest.mark.slow
def test_a_student_of_sentences_resumes_to_the_bit(
    dense_flags, small_dense, text, tmp_path, monkeypatch
):
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path / "cache"))
    flags = [*dense_flags, f"--teacher={small_dense}", f"--unlabelled={text}"]
    config, *_ = train.parse(flags)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train.run(config, whole)
    train.run(config, parts, is_over=lambda state: state.epoch >= 1)
    (kept,) = (tmp_path / "cache").glob("spoken-*")
    shutil.rmtree(kept)
    config, *_ = train.parse(["--run-dir", str(parts), "--resume"])
    train.run(config, parts, resume=True)
    best = [np.load(each / "checkpoints" / "best.npz") for each in (whole, parts)]
    for key in best[0]:
        np.testing.assert_array_equal(best[0][key], best[1][key], err_msg=key)
