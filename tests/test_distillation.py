"""Runs with a teacher: its share in the loss, what must agree, and that they resume."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf
from small_flags import SMALL

from tfspeech import train
from tfspeech.errors import RunError, SpecError
from tfspeech.tasks.distillation import (
    check_teacher,
    losses_with_teacher,
)
from tfspeech.tasks.pinned import pin_run
from tfspeech.tasks.runs import check_same, load_task
from tfspeech.tasks.soft_targets import soft_divergence
from tfspeech.tasks.training import absolute
from tfspeech.training.callbacks import read_metrics
from tfspeech.training.distribution import Distribution

STUDENT = ["--units=4", "--conv-filters=4", "--epochs=2"]


@pytest.fixture
def words(small_run, tones):
    """How a student of the small recogniser is trained."""
    data = ["--data", f"folder:{tones}", *SMALL, *STUDENT]
    return [*data, f"--teacher={small_run}"]


def best(run_dir):
    with np.load(run_dir / "checkpoints" / "best.npz") as arrays:
        return dict(arrays)


def test_the_divergence_is_that_of_softened_distributions():
    rng = np.random.default_rng(0)
    logits, taught = rng.normal(size=(2, 5, 3)).astype(np.float32)

    def softened(values):
        powers = np.exp(values / 2.0)
        return powers / powers.sum(axis=1, keepdims=True)

    p, q = softened(taught), softened(logits)
    wanted = 4.0 * np.sum(p * np.log(p / q), axis=1)
    np.testing.assert_allclose(soft_divergence(logits, taught, 2.0), wanted, rtol=1e-4)
    np.testing.assert_allclose(soft_divergence(taught, taught, 2.0), 0.0, atol=1e-6)


def test_a_loss_is_shared_with_the_teacher(small_run):
    _, task = load_task(small_run)
    config = train.parse([f"--teacher={small_run}", "--teacher-weight=0.8"])[0]
    rng = np.random.default_rng(0)
    shape = (4, 20, task.model.feature_dim)
    batch = {
        "features": tf.constant(rng.normal(size=shape), tf.float32),
        "lengths": tf.constant([20, 15, 10, 5]),
        "targets": tf.constant([0, 1, 2, 0]),
        "seeds": tf.range(4, dtype=tf.int64),
    }
    losses = losses_with_teacher(task, config.training, Distribution())("model", batch)
    own = task.losses("model", batch).terms["cross_entropy"]
    # The student is the teacher itself, and differs by its dropout alone.
    distance = float(losses.terms["distillation"])
    assert 0.0 < distance < 0.5
    assert float(losses.total) == pytest.approx(
        0.2 * float(own) + 0.8 * distance, rel=1e-5
    )


@pytest.mark.parametrize("name", ["small_run", "small_dense"])
def test_shares_of_replicas_add_up_to_the_distance(name, request):
    config, task = load_task(request.getfixturevalue(name))
    training = config.read_training(task, config.read_data())
    batch = next(iter(training.batches(0)))
    outputs = task.model(batch)
    taught = {key: value + 0.1 * tf.sin(value) for key, value in outputs.items()}

    def distance(rows):
        each = [
            {key: value[rows] for key, value in values.items()}
            for values in (outputs, taught, batch)
        ]
        return float(task.distillation(*each, 2.0)), float(task.weight(each[2]))

    whole, _ = distance(slice(None))
    halves, weights = zip(*(distance(slice(i, None, 2)) for i in (0, 1)), strict=True)
    assert whole > 0
    assert np.average(halves, weights=weights) == pytest.approx(whole, rel=1e-4)


@pytest.mark.slow
@pytest.mark.headline
def test_a_student_comes_near_to_its_teacher_and_does_not_keep_it(words, tmp_path):
    config, *_ = train.parse(words)
    train.run(config, tmp_path)
    records = [r for r in read_metrics(tmp_path / "metrics.jsonl") if "loss" in r]
    first, last = records[0], records[-1]
    assert last["loss/distillation"] < first["loss/distillation"]
    _, task = load_task(tmp_path)
    assert len(best(tmp_path)) == len(task.model.weights)
    saved = tf.train.load_checkpoint(str(tmp_path / "checkpoints"))
    names = saved.get_variable_to_shape_map()
    assert sum("weights" in name for name in names) == len(task.model.weights)


@pytest.mark.slow
def test_a_student_resumes_to_the_bit(words, tmp_path):
    config, *_ = train.parse(words)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train.run(config, whole)
    train.run(config, parts, is_over=lambda state: state.epoch >= 1)
    config, *_ = train.parse(["--run-dir", str(parts), "--resume"])
    train.run(config, parts, resume=True)
    for name, value in best(whole).items():
        np.testing.assert_array_equal(best(parts)[name], value, err_msg=name)


@pytest.mark.slow
def test_two_replicas_with_a_teacher_train_the_student_of_one(words, tmp_path):
    found = []
    for distribute in ("none", "mirrored"):
        config, *_ = train.parse([*words, f"--distribute={distribute}"])
        train.run(config, tmp_path / distribute)
        found.append(best(tmp_path / distribute))
    for name, value in found[0].items():
        np.testing.assert_allclose(
            found[1][name], value, rtol=1e-4, atol=1e-4, err_msg=name
        )


def test_a_resumed_student_notices_other_weights_of_its_teacher(small_run, tmp_path):
    teacher = tmp_path / "teacher"
    shutil.copytree(small_run, teacher)
    pinned = pin_run(str(teacher), "teacher")
    changed = {key: value + 1.0 for key, value in best(teacher).items()}
    np.savez(teacher / "checkpoints" / "best.npz", **changed)
    with pytest.raises(RunError, match=f"the weights of the teacher {teacher} have"):
        pin_run(pinned, "teacher")
    assert pin_run(str(teacher), "teacher") != pinned


def test_a_resumed_student_notices_another_teacher(small_run, tmp_path):
    teacher = tmp_path / "teacher"
    shutil.copytree(small_run, teacher)
    np.savez(teacher / "checkpoints" / "best.npz", other=np.zeros(1))
    saved, wanted = (
        absolute(train.parse([f"--teacher={each}"])[0]) for each in (small_run, teacher)
    )
    with pytest.raises(RunError, match=f"holds a run with --teacher {small_run}@"):
        check_same(tmp_path, saved, wanted)


def test_a_pinned_teacher_is_known_again(small_run, monkeypatch):
    monkeypatch.chdir(small_run.parent)
    pinned = pin_run(small_run.name, "teacher")
    assert pinned.startswith(f"{small_run}@")
    assert pin_run(pinned, "teacher") == pinned


BAD = {
    "no run": (["--teacher=/no/such"], "/no/such holds no run"),
    "other features": (["--num-mels=24"], "was trained with num_mels 26, not 24"),
    "out of range": (["--teacher-weight=2"], "teacher_weight must be in [0, 1]"),
    "temperature": (
        ["--teacher-temperature=0"],
        "teacher_temperature must be above 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_teacher_that_does_not_fit_is_one_line_and_exit_code_2(
    case, words, tmp_path, command
):
    arguments, reason = BAD[case]
    code, _, errors = command(train.main, *words, *arguments, "--run-dir", tmp_path)
    assert code == 2
    assert [line for line in errors if "rror" in line] == errors[-1:]
    assert reason in errors[-1]
    assert not (tmp_path / "config.json").exists()


def test_other_kinds_cannot_teach(small_run, small_dense, words, vocoder_flags):
    config, *_ = train.parse([*words, f"--teacher={small_dense}"])
    with pytest.raises(RunError, match="holds a run of dense_synthesis, which cannot"):
        check_teacher(config)
    config, *_ = train.parse([*vocoder_flags, f"--teacher={small_run}"])
    with pytest.raises(SpecError, match="source_filter takes no teacher"):
        check_teacher(config)
    other = dataclasses.replace(train.parse(words)[0], labels=("low", "high"))
    with pytest.raises(RunError, match=r"was trained with labels .* not \('low', "):
        check_teacher(other)
