"""Frames that a synthesiser predicts, for vocoders to be trained on."""

import dataclasses
import shutil

import numpy as np
import pytest

from tfspeech import train
from tfspeech.errors import RunError, SpecError
from tfspeech.tasks.parallel_tts.task import ParallelSynthesis
from tfspeech.tasks.predicted_frames import pin_synthesiser, with_predicted_frames
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.training import absolute
from tfspeech.training.callbacks import read_metrics


def config_and_task(run_dir, frames_from):
    config, task = load_task(run_dir)
    data = dataclasses.replace(config.data, frames_from=str(frames_from))
    return dataclasses.replace(config, data=data), task


@pytest.mark.slow
@pytest.mark.headline
def test_a_vocoder_sees_what_is_predicted_but_the_pitch_of_the_recording(
    small_vocoder, small_dense, tmp_path, monkeypatch
):
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path))
    config, task = config_and_task(small_vocoder, small_dense)
    data = config.read_data()
    indices = data.corpus.indices("train")[[2, 0]]
    seen = with_predicted_frames(config, task, data)
    found, true = (task.recordings(each, indices).frames for each in (seen, data))
    other, synthesiser = load_task(small_dense)
    sentences = other.read_data()
    for row, index in enumerate(indices):
        predicted = synthesiser.aligned_frames(sentences, int(index))
        assert found.lengths[row] == true.lengths[row] == len(predicted)
        wanted = np.c_[true[row][:, :16], predicted[:, 16:]]
        wanted[:, -2] = true[row][:, -2]
        np.testing.assert_allclose(found[row], wanted, atol=1e-5)
        assert np.abs(wanted - true[row]).max() > 0.1

    def predict_again(*_):
        raise RuntimeError("predicted again")

    monkeypatch.setattr(ParallelSynthesis, "aligned_frames", predict_again)
    kept = task.recordings(with_predicted_frames(config, task, data), indices).frames
    np.testing.assert_array_equal(kept[1], found[1])


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize(
    ("vocoder", "synthesiser", "reason"),
    [
        ("small_vocoder", "small_voice", "attention_tts, which predicts no frames for"),
        (
            "small_gan",
            "small_dense",
            "small_dense: the vocoder was trained with --cond",
        ),
    ],
)
def test_synthesisers_that_do_not_fit_are_named(vocoder, synthesiser, reason, request):
    run_dirs = map(request.getfixturevalue, (vocoder, synthesiser))
    config, task = config_and_task(*run_dirs)
    with pytest.raises(SpecError, match=reason):
        with_predicted_frames(pin_synthesiser(config), task, config.read_data())


def test_a_synthesiser_that_has_changed_is_noticed(
    vocoder_flags, small_dense, tmp_path
):
    synthesiser = shutil.copytree(small_dense, tmp_path / "synthesiser")
    config, *_ = train.parse([*vocoder_flags, f"--frames-from={synthesiser}"])
    begun = absolute(config)
    assert begun.data.frames_from.startswith(f"{synthesiser}@")
    assert absolute(begun) == begun
    np.savez(synthesiser / "checkpoints" / "best.npz", other=np.zeros(1))
    changed = f"the weights of the synthesiser {synthesiser} have changed"
    with pytest.raises(RunError, match=changed):
        absolute(begun)


@pytest.mark.slow
def test_a_run_is_trained_on_what_is_predicted(
    vocoder_flags, small_vocoder, small_dense, tmp_path
):
    given = [*vocoder_flags, "--conditioning=lpc", f"--init-from={small_vocoder}"]
    losses = []
    for more in ([], [f"--frames-from={small_dense}"]):
        config, *_ = train.parse([*given, *more])
        run_dir = tmp_path / str(len(more))
        train.run(config, run_dir, is_over=lambda state: True)
        records = read_metrics(run_dir / "metrics.jsonl")
        losses += [r["validation"]["loss"] for r in records if "validation" in r]
    assert losses[0] != losses[1]
