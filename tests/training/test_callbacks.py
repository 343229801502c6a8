import json

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.errors import DivergenceError
from tfspeech.training.callbacks import (
    JsonLines,
    KeepBest,
    Monitor,
    Progress,
    SkipGuard,
    TensorBoard,
    read_metrics,
)
from tfspeech.training.group import METRICS
from tfspeech.training.loop import LoopState


def record(validation):
    """The record of an epoch, as the loop makes it."""
    return {
        "step_ms": 5.0,
        "weights": {"model": {"zeros": 0.25}},
        "validation": validation,
    }


def steps(count, **values):
    figures = {name: np.full(count, values.get(name, 0.0)) for name in METRICS}
    return {"model": figures}


def test_every_step_and_every_epoch_has_its_line(tmp_path):
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.on_steps(
        LoopState(3, 1, step=3),
        steps(3, loss=2.0, gradient_norm=np.inf),
        {"model": {"w": 0.5}},
    )
    lines.on_epoch(LoopState(3, 1, step=3), record({"loss": 1.5}))
    lines.close()
    records = [
        json.loads(line)
        for line in (tmp_path / "metrics.jsonl").read_text().splitlines()
    ]
    assert [r["step"] for r in records] == [1, 2, 3, 3]
    assert records[0]["loss"] == 2.0
    assert records[0]["group"] == "model"
    assert records[0]["gradient_norm"] is None  # JSON has no infinity.
    assert [r.get("update_ratio") for r in records] == [None, None, {"w": 0.5}, None]
    assert records[3] == {"step": 3, "epoch": 1} | record({"loss": 1.5})


def test_a_resumed_run_writes_the_lines_after_its_checkpoint_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = JsonLines(path)
    lines.on_steps(LoopState(9, 1, step=6), steps(6), {"model": {}})
    lines.close()
    path.write_text(path.read_text() + '{"step": 7, "lo')  # Killed while it wrote.
    lines = JsonLines(path, resume_step=4)
    lines.on_steps(LoopState(9, 1, step=9), steps(5), {"model": {}})
    lines.close()
    assert [r["step"] for r in read_metrics(path)] == list(range(1, 10))


def test_tensorboard_gets_means_over_calls_and_evaluations(tmp_path):
    board = TensorBoard(tmp_path)
    metrics = steps(4)
    metrics["model"]["loss"] = np.array([1.0, 2.0, 3.0, 6.0])
    metrics["model"]["cosine"] = np.array([np.nan, 0.5, np.nan, 0.7])
    metrics["model"]["threshold"] = np.full(4, np.nan)
    board.on_steps(LoopState(4, 1, step=4), metrics, {"model": {"net/kernel": 0.001}})
    board.on_epoch(LoopState(4, 1, step=4), record({"accuracy": 0.5, "labels": ["a"]}))
    board.close()
    found = {}
    (path,) = tmp_path.iterdir()
    for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(serialized)
        for value in event.summary.value:
            found[value.tag] = (event.step, float(tf.make_ndarray(value.tensor)))
    assert found["model/loss"] == (4, 3.0)
    assert found["validation/accuracy"] == (4, 0.5)
    assert found["model/cosine"] == (4, pytest.approx(0.6))
    assert found["weights/model/zeros"] == (4, 0.25)
    assert found["update_ratio/net/kernel"] == (4, pytest.approx(0.001))
    assert {f"model/{name}" for name in METRICS} - set(found) == {"model/threshold"}


def test_progress_is_plain_lines_away_from_a_terminal(capsys):
    state = LoopState(4, 2, step=4)
    progress = Progress(state)
    progress.on_steps(state, steps(4, loss=0.25, clipped=1.0, skipped=0.5), {})
    progress.on_epoch(state, record({"accuracy": 0.75, "labels": ["a"]}))
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("epoch 1/2: loss 0.2500, gradient norm 0, 100% clipped")
    assert "50% skipped" in lines[0]
    assert lines[0].endswith("validation accuracy 0.75")


def test_skipped_steps_in_a_row_end_the_run():
    guard = SkipGuard(limit=5)
    state = LoopState(100, 1)
    for _ in range(10):  # Four in a row, again and again, are no divergence.
        guard.on_steps(state, {"model": {"skipped": np.array([1, 1, 0, 1, 1])}}, {})
    with pytest.raises(DivergenceError, match=r"5 steps in a row.*--learning-rate"):
        guard.on_steps(state, {"model": {"skipped": np.ones(3)}}, {})


SCORE = Monitor("score", higher_is_better=True)


def keep_best(saved, patience=0):
    return KeepBest(lambda: saved.append(1), Monitor("score", True), patience)


def test_the_best_model_is_kept_and_a_later_one_wins_a_tie():
    saved, scores = [], [0.5, 0.4, 0.5, 0.7, 0.6]
    best, counts = keep_best(saved), []
    for score in scores:
        best.on_epoch(LoopState(1, 5), record({"score": score}))
        counts.append(len(saved))
    assert counts == [1, 1, 2, 3, 3]


def test_patience_ends_a_run_that_gets_no_better(capsys):
    state, best = LoopState(1, 9), keep_best([], patience=2)
    for score, stop in ((0.5, False), (0.6, False), (0.6, False), (0.4, True)):
        best.on_epoch(state, record({"score": score}))
        assert (state.stop, best.exhausted) == (stop, stop)
    assert "no better score than 0.6 for 2 epochs" in capsys.readouterr().err


def test_a_model_that_regularization_has_not_finished_is_not_kept():
    saved = []
    best = KeepBest(lambda: saved.append(1), Monitor("score", True), 0, first_step=3)
    for step, score in ((1, 0.9), (2, 0.8), (3, 0.5), (4, 0.6)):
        best.on_epoch(LoopState(1, 5, step=step), record({"score": score}))
    assert len(saved) == 2
