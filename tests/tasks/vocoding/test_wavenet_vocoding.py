"""Training a WaveNet: its loss, what it is measured on, and its runs."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from test_synthesis_run import arrays_of

from models.layers.mu_law import mu_law_classes
from tfspeech import evaluate, train
from tfspeech.tasks.runs import load_task


@pytest.fixture(scope="module")
def run(small_wavenet):
    return load_task(small_wavenet)


@pytest.fixture(scope="module")
def task(run):
    return run[1]


@pytest.fixture(scope="module")
def recordings(run):
    config, task = run
    data = config.read_data()
    return task.recordings(data, data.corpus.indices("train"))


def test_the_loss_is_the_cross_entropy_of_numpy(task, recordings):
    batch = recordings.segments(tf.constant([0, 5]), tf.constant([3, 4], tf.int64), 60)
    lengths = batch["frame_lengths"].numpy()
    assert lengths[0] != lengths[1]
    logits = task.model(batch)["logits"].numpy()
    total = 0.0
    for row, length in enumerate(lengths):
        count = (length - 1) * task.features.hop_length
        classes = mu_law_classes(batch["waveform"][row]).numpy().ravel()[:count]
        own = logits[row, :count].astype(float)
        norms = np.log(np.exp(own).sum(-1))
        total += (norms - own[np.arange(count), classes]).sum()
    wanted = total / ((lengths - 1).sum() * task.features.hop_length)
    assert float(task.losses("model", batch).total) == pytest.approx(wanted, rel=1e-4)
    halves = [{k: v[i : i + 1] for k, v in batch.items()} for i in range(2)]
    parts = [
        task.losses("model", half).total * task.weight(half) / task.weight(batch)
        for half in halves
    ]
    assert float(sum(parts)) == pytest.approx(wanted, rel=1e-4)


def test_it_is_measured_on_the_same_segments_every_time(task, recordings):
    first, second = (
        [batch["waveform"].numpy() for batch in task.measured(recordings)]
        for _ in range(2)
    )
    assert sum(len(each) for each in first) == len(recordings.frames)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
@pytest.mark.headline
def test_a_run_reports_bits_and_evaluation_repeats_them(small_wavenet, command):
    saved = json.loads((small_wavenet / "results.json").read_text())
    assert saved["bits_per_sample"] == pytest.approx(saved["loss"] / math.log(2))
    assert 4 < saved["bits_per_sample"] < 8
    code, out, _ = command(evaluate.main, small_wavenet)
    assert code == 0
    lines = out.splitlines()
    assert lines[-1].split() == [
        "bits",
        "per",
        "sample",
        f"{saved['bits_per_sample']:.2f}",
    ]
    row = next(line for line in lines if line.startswith("mel-cepstral")).split()
    assert float(row[2]) == pytest.approx(saved["mcd_db"], abs=0.01)
    assert (small_wavenet / "samples" / "vocoder_1.wav").is_file()


@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_weights(wavenet_flags, tmp_path):
    for name in ("whole", "stopped"):
        config, *_ = train.parse([*wavenet_flags, "--epochs=2"])
        epochs = {"whole": 2, "stopped": 1}[name]
        train.run(config, tmp_path / name, is_over=lambda s, n=epochs: s.epoch == n)
    config, *_ = train.parse(["--run-dir", str(tmp_path / "stopped"), "--resume"])
    train.run(config, tmp_path / "stopped", resume=True)
    assert arrays_of(tmp_path / "stopped") == arrays_of(tmp_path / "whole")
