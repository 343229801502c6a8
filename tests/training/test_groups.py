"""Several groups in one step: each with its own optimizer, strategies and figures."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from adversaries import GAN, gan_data, gan_step, student_step
from toy import all_values, toy_data, toy_losses, toy_step

from tfspeech.training.checkpoints import LastCheckpoint
from tfspeech.training.distribution import create_distribution
from tfspeech.training.group import METRICS
from tfspeech.training.step import TrainingStep

STEPS, SAVED, KILLED = 20, 5, 13


def weights(group):
    return [v.numpy() for model in group.models for v in model.trainable_variables]


def test_each_group_is_clipped_by_its_own_strategy_and_measured():
    step = gan_step()
    metrics, ratios = step.run(iter(gan_data()), STEPS)
    assert list(metrics) == list(GAN)
    for name, terms in (
        ("discriminator", ("real", "fake")),
        ("generator", ("adversarial", "distance")),
    ):
        figures = metrics[name]
        assert list(figures) == [*METRICS, *(f"loss/{term}" for term in terms)]
        assert all(len(values) == STEPS for values in figures.values())
        assert set(ratios[name]) == {v.path for v in step.groups[name].infos}
        assert all(0 < ratio < 10 for ratio in ratios[name].values())
    clipped = metrics["discriminator"]["clipped"] == 1
    assert clipped.any()
    norms = metrics["discriminator"]["clipped_norm"]
    np.testing.assert_allclose(norms[clipped], 0.2, rtol=1e-5)
    np.testing.assert_allclose(metrics["discriminator"]["threshold"], 0.2, rtol=1e-6)
    # The quantile of the generator's norms moves, and is its own.
    thresholds = metrics["generator"]["threshold"]
    assert len(np.unique(thresholds)) > STEPS / 2
    rates = {name: figures["learning_rate"] for name, figures in metrics.items()}
    np.testing.assert_allclose(rates["discriminator"], 0.02)
    np.testing.assert_allclose(rates["generator"], 0.05)
    assert (metrics["generator"]["penalty"] > 0).all()
    assert (metrics["discriminator"]["penalty"] == 0).all()


def test_a_loss_is_the_weighted_sum_of_its_terms():
    metrics, _ = gan_step().run(iter(gan_data()), 4)
    found = metrics["generator"]
    wanted = found["loss/adversarial"] + 0.1 * found["loss/distance"]
    np.testing.assert_allclose(found["loss"], wanted, rtol=1e-6)


def test_a_group_moves_its_own_models_and_the_next_one_sees_that():
    step = gan_step(groups={"discriminator": GAN["discriminator"]})
    batch = gan_data().take(1)
    step.run(iter(batch), 1)
    alone = step.groups["discriminator"]
    both = gan_step()
    before = weights(both.groups["generator"])
    metrics, _ = both.run(iter(batch), 1)
    moved = both.groups["discriminator"]
    for ours, theirs in zip(weights(moved), weights(alone), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(before[0], weights(both.groups["generator"])[0])
    # The generator was judged by the discriminator as it is after its own update.
    fresh = gan_step()
    (data,) = batch
    for variable, value in zip(
        (v for m in fresh.groups["discriminator"].models for v in m.weights),
        weights(moved),
        strict=True,
    ):
        variable.assign(value)
    loss = fresh._losses("generator", data).terms["adversarial"]
    assert metrics["generator"]["loss/adversarial"][0] == pytest.approx(float(loss))


def test_a_group_that_is_not_finite_is_skipped_and_the_other_is_not():
    step = gan_step()
    step.run(iter(gan_data()), 3)
    before = all_values(step)
    metrics, _ = step.run(iter(gan_data(bad=[3]).skip(3)), 1)
    after = all_values(step)
    assert metrics["discriminator"]["skipped"].tolist() == [1.0]
    assert metrics["generator"]["skipped"].tolist() == [0.0]
    changed = {key for key in after if after[key] != before[key]}
    own = {key for key in changed if key.startswith("discriminator/")}
    assert own == {"discriminator/skipped"}
    assert any(key.startswith("generator/weights/") for key in changed)


@pytest.mark.slow
@pytest.mark.headline
def test_two_replicas_make_the_gan_of_one():
    one, both = gan_step(), gan_step(create_distribution("mirrored"))
    ours, _ = one.run(iter(gan_data()), STEPS)
    theirs, _ = both.run(iter(gan_data()), STEPS)
    for name, variable in one.variables.items():
        np.testing.assert_allclose(
            both.variables[name].numpy(),
            variable.numpy(),
            rtol=1e-5,
            atol=1e-6,
            err_msg=name,
        )
    for group, figures in ours.items():
        for name in ("loss", "gradient_norm", "clipped_norm"):
            np.testing.assert_allclose(theirs[group][name], figures[name], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.headline
def test_accumulated_batches_are_one_large_one_for_every_group():
    whole, parts = gan_step(), gan_step(accumulate_steps=2)
    whole.run(iter(gan_data().unbatch().batch(16)), 4)
    parts.run(iter(gan_data()), 4)
    for name in GAN:
        for ours, theirs in zip(
            weights(whole.groups[name]), weights(parts.groups[name]), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


SCRIPT = """
import os, signal, sys
sys.path[:0] = sys.argv[1:2]
from pathlib import Path
import numpy as np
from adversaries import gan_data, gan_step
from tfspeech.training.checkpoints import LastCheckpoint
from tfspeech.training.loop import LoopState, run_loop
folder, killed, steps, saved = Path(sys.argv[2]), *map(int, sys.argv[3:])
step = gan_step(seed=7 if (folder / "checkpoint").exists() else 0)
last, state = LastCheckpoint(folder, step.variables), LoopState(steps, 1)
if (folder / "checkpoint").exists():
    last.restore()
    state.step = int(step.steps)
def die(state, metrics, ratios):
    if state.step == killed:
        os.kill(os.getpid(), signal.SIGKILL)
run_loop(
    step, state, gan_data().skip(state.step), lambda: {}, lambda s: last.save(s.step),
    steps_per_call=1, checkpoint_steps=saved, on_steps=[die],
)
values = {k.replace("/", ":"): v.numpy() for k, v in step.variables.items()}
np.savez(folder / "values.npz", **values)
"""


@pytest.mark.slow
@pytest.mark.headline
def test_a_gan_that_was_killed_is_resumed_to_the_bit(tmp_path):
    script = tmp_path / "gan.py"
    script.write_text(SCRIPT)
    folder = tmp_path / "run"
    folder.mkdir()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}

    def start(killed):
        numbers = map(str, (killed, STEPS, SAVED))
        command = [sys.executable, script, Path(__file__).parent, folder, *numbers]
        return subprocess.run(command, env=environment, capture_output=True).returncode

    assert start(KILLED) == -signal.SIGKILL
    assert (folder / "last-10.index").exists()
    assert start(0) == 0
    whole = gan_step()
    whole.run(iter(gan_data()), STEPS)
    with np.load(folder / "values.npz") as values:
        assert len(values) == len(whole.variables)
        for name, variable in whole.variables.items():
            found = values[name.replace("/", ":")]
            np.testing.assert_array_equal(found, variable.numpy(), err_msg=name)


def test_a_student_learns_from_a_teacher_that_stays_as_it_is():
    step, teacher, student = student_step()
    frozen = [w.numpy() for w in teacher.weights]
    metrics = step.run(iter(toy_data()), 300)[0]["student"]
    assert metrics["loss"][-20:].mean() < 0.1 * metrics["loss"][:20].mean()
    np.testing.assert_array_equal(metrics["loss"], metrics["loss/teacher"])
    for before, weight in zip(frozen, teacher.weights, strict=True):
        np.testing.assert_array_equal(before, weight.numpy())
    assert not any("teacher" in name for name in step.variables)
    (batch,) = toy_data().take(1)
    error = tf.reduce_mean(tf.square(student(batch)["y"] - teacher(batch)["y"]))
    assert float(error) < 0.1


def test_a_student_is_resumed_to_the_bit(tmp_path):
    whole, *_ = student_step()
    whole.run(iter(toy_data()), 12)
    first, *_ = student_step()
    first.run(iter(toy_data()), 7)
    LastCheckpoint(tmp_path, first.variables).save(7)
    second, *_ = student_step()
    LastCheckpoint(tmp_path, second.variables).restore()
    second.run(iter(toy_data().skip(7)), 5)
    assert all_values(second) == all_values(whole)


def test_state_that_shares_a_name_is_refused():
    step = toy_step()
    (group,) = step.groups.values()
    twins = TrainingStep({"a": group}, toy_losses(group.models[0]))
    group.models = (*group.models, *group.models)
    with pytest.raises(ValueError, match="share names: weights/toy/hidden/bias"):
        _ = twins.variables
