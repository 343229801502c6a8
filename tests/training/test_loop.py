import os
import signal

import numpy as np
import pytest
import tensorflow as tf
from toy import all_values, run, toy_data, toy_step

from tfspeech.errors import RunError
from tfspeech.training.checkpoints import LastCheckpoint
from tfspeech.training.loop import LoopState, run_loop


def train(step, state, batches=None, checkpoint_steps=1000, **kwargs):
    """Runs the loop; returns what was called, in its order."""
    calls = []
    on_steps = kwargs.pop("on_steps", ())
    run_loop(
        step,
        state,
        toy_data().skip(state.step) if batches is None else batches,
        lambda: calls.append(("evaluate", state.step)) or {"score": 1.0},
        lambda state: calls.append(("save", state.step)),
        steps_per_call=kwargs.pop("steps_per_call", 4),
        checkpoint_steps=checkpoint_steps,
        on_steps=(
            lambda state, m, _: calls.append(
                ("steps", state.step, len(m["model"]["loss"]))
            ),
            *on_steps,
        ),
        on_epoch=(
            lambda state, m: calls.append(
                ("epoch", state.epoch, m["validation"]["score"])
            ),
        ),
    )
    return calls


def test_counts_evaluations_and_checkpoints_are_exact():
    calls = train(toy_step(), LoopState(steps_per_epoch=6, epochs=2))
    epoch = [("steps", 4, 4), ("steps", 6, 2), ("evaluate", 6), ("epoch", 1, 1.0)]
    assert calls[:5] == [*epoch, ("save", 6)]
    assert calls[5:] == [
        ("steps", 10, 4),
        ("steps", 12, 2),
        ("evaluate", 12),
        ("epoch", 2, 1.0),
        ("save", 12),
    ]


def test_long_epochs_are_checkpointed_in_between():
    calls = train(toy_step(), LoopState(20, 1), checkpoint_steps=8)
    assert [c[1] for c in calls if c[0] == "save"] == [8, 16, 20]


def test_an_action_can_stop_the_run_and_its_state_is_saved():
    def stop(state, metrics, ratios):
        state.stop = state.step >= 8

    state = LoopState(100, 1)
    calls = train(toy_step(), state, on_steps=[stop])
    assert calls == [("steps", 4, 4), ("steps", 8, 4), ("save", 8)]
    assert not state.interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_call_with_a_checkpoint(number):
    before = signal.getsignal(number)
    state = LoopState(100, 1)

    def send(state, metrics, ratios):
        os.kill(os.getpid(), number)

    calls = train(toy_step(), state, on_steps=[send])
    assert calls == [("steps", 4, 4), ("save", 4)]
    assert state.interrupted
    assert signal.getsignal(number) == before


STATEFUL = {
    "dropout": 0.3,
    "ema_momentum": 0.9,
    "optimizer": "adam()",
    "schedule": "cosine()",
    "clip": ["value(0.1)", "global_norm(0.2)"],
    "regularize": ["l2(0.01)", "weight_decay(0.01)", "max_norm(1.0)"],
}


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(tmp_path, dtype):
    settings = STATEFUL | {"dtype": dtype}
    whole = toy_step(**settings)
    train(whole, LoopState(10, 2))
    first = toy_step(**settings)
    state = LoopState(10, 2)

    def stop(state, metrics, ratios):
        state.stop = state.step >= 8

    train(first, state, on_steps=[stop])
    LastCheckpoint(tmp_path, first.variables).save(state.step)
    second = toy_step(**settings, seed=5)  # Whatever it begins with is overwritten.
    LastCheckpoint(tmp_path, second.variables).restore()
    assert int(second.steps) == 8
    train(second, LoopState(10, 2, step=8), steps_per_call=3)
    assert all_values(second) == all_values(whole)


def test_no_checkpoint_is_an_error_that_names_what_is_missing(tmp_path):
    with pytest.raises(RunError, match=r"checkpoint, .* is missing or damaged"):
        LastCheckpoint(tmp_path, toy_step().variables).restore()


def test_only_the_last_checkpoint_is_kept(tmp_path):
    last = LastCheckpoint(tmp_path, {"x": tf.Variable(1.0)})
    for step in range(5):
        last.save(step)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint",
        "last-4.data-00000-of-00001",
        "last-4.index",
    ]


def test_a_damaged_checkpoint_is_one_clear_error(tmp_path):
    step = toy_step()
    LastCheckpoint(tmp_path, step.variables).save(3)
    data = tmp_path / "last-3.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:40])
    with pytest.raises(RunError, match="last-3 is damaged"):
        LastCheckpoint(tmp_path, step.variables).restore()


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    LastCheckpoint(tmp_path, toy_step().variables).save(3)
    other = toy_step(ema_momentum=0.9)
    with pytest.raises(RunError, match="other settings"):
        LastCheckpoint(tmp_path, other.variables).restore()


def test_metrics_reach_the_actions_as_they_were():
    seen = []
    step = toy_step()
    train(
        step,
        LoopState(6, 1),
        on_steps=[lambda s, m, _: seen.append(m["model"]["loss"])],
    )
    again = toy_step()
    metrics = run(again, toy_data(), 6)
    np.testing.assert_array_equal(np.concatenate(seen), metrics["loss"])
