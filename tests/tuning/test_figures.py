import json

import numpy as np
import pytest

from tfspeech.tasks.registry import default_config
from tfspeech.training.callbacks import Monitor
from tuning.figures import diverged_step, read_run, run_figures, smoothed_loss

ACCURACY = Monitor("accuracy", True)


@pytest.fixture
def record(tmp_path):
    """Writes the records of a run and reads them again."""

    def write(steps, epochs=(), results=None):
        records = [*({"group": "model"} | step for step in steps), *epochs]
        lines = "".join(json.dumps(each) + "\n" for each in records)
        (tmp_path / "metrics.jsonl").write_text(lines)
        if results:
            (tmp_path / "results.json").write_text(json.dumps(results))
        return read_run(default_config("rnn_recognizer"), tmp_path)

    return write


def losses(values):
    return [{"step": i, "loss": v, "skipped": 0.0} for i, v in enumerate(values, 1)]


def test_the_loss_is_smoothed_over_the_last_25_steps(record):
    values = np.random.default_rng(0).normal(size=60)
    found = smoothed_loss(record(losses(values)))
    assert np.all(np.isnan(found[:24]))
    expected = [values[i - 24 : i + 1].mean() for i in range(24, 60)]
    np.testing.assert_allclose(found[24:], expected)


def test_steps_that_were_not_finite_do_not_count_in_the_smooth_loss(record):
    found = smoothed_loss(record(losses([2.0, None, 4.0])))
    np.testing.assert_array_equal(found, [np.nan, np.nan, 3.0])
    assert np.isnan(smoothed_loss(record(losses([None] * 30)))[-1])
    assert len(smoothed_loss(record([]))) == 0


def test_the_step_at_which_a_loss_is_reached(record):
    run = record(losses([5.0] * 25 + [1.0] * 25))
    # 10 of the last 25 losses are 5 and 15 are 1.
    assert run_figures(run, ACCURACY, 2.6)["steps_to_target"] == 40
    assert run_figures(run, ACCURACY, 0.9)["steps_to_target"] is None
    assert run_figures(run, ACCURACY, 0.9)["final_loss"] == 1.0


@pytest.mark.parametrize(("higher", "best", "epoch"), [(True, 0.9, 3), (False, 0.5, 1)])
def test_the_metric_is_that_of_the_best_epoch_the_last_of_equals(
    record, higher, best, epoch
):
    epochs = [
        {"step": 10 * i, "epoch": i, "validation": {"accuracy": v}}
        for i, v in enumerate([0.5, 0.9, 0.9, 0.8], 1)
    ]
    figures = run_figures(record([], epochs), Monitor("accuracy", higher), None)
    assert (figures["metric"], figures["best_epoch"]) == (best, epoch)


def test_figures_of_steps_are_means_of_what_was_measured(record):
    steps = [
        {"step": 1, "loss": 1.0, "clipped": 1.0, "cosine": None, "gradient_norm": 1.0},
        {"step": 2, "loss": 1.0, "clipped": 0.0, "cosine": 0.5, "gradient_norm": 9.0},
        {"step": 3, "loss": 1.0, "clipped": 0.0, "cosine": 1.0, "gradient_norm": 2.0},
    ]
    epochs = [
        {"step": i, "epoch": i, "step_ms": ms, "validation": {"accuracy": 0.5}}
        for i, ms in enumerate([500.0, 10.0, 12.0, 11.0], 1)
    ]
    results = {"split": "test", "accuracy": 0.8, "weights": {"zeros": 0.25}}
    figures = run_figures(record(steps, epochs, results), ACCURACY, None)
    assert figures["clipped"] == pytest.approx(1 / 3)
    assert figures["cosine"] == 0.75
    assert figures["gradient_norm"] == 2.0
    assert figures["step_ms"] == 11.0
    assert (figures["test_metric"], figures["zeros"]) == (0.8, 0.25)
    assert figures["update_cosine"] is None
    assert "steps_to_target" not in figures


def test_a_model_that_regularization_has_not_finished_cannot_be_the_best(tmp_path):
    spec = "prune(0.8, end=20)"
    config = default_config("rnn_recognizer")
    training = type(config.training)(regularize=(spec,))
    lines = [
        {"step": 10 * i, "epoch": i, "validation": {"accuracy": v}}
        for i, v in enumerate([0.9, 0.7, 0.8], 1)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "metrics.jsonl").write_text(text)
    config = type(config)(
        model=config.model, architecture=config.architecture, training=training
    )
    figures = run_figures(read_run(config, tmp_path), ACCURACY, None)
    assert (figures["metric"], figures["best_epoch"]) == (0.8, 3)


def test_a_run_diverged_at_the_first_of_its_last_skipped_steps(record):
    skipped = [0, 1, 0, 1, 1, 1]
    steps = [{"step": i, "skipped": s, "loss": 1.0} for i, s in enumerate(skipped, 1)]
    assert diverged_step(record(steps)) == 4
    assert diverged_step(record(steps[:3])) is None


def test_a_run_whose_loss_ended_above_its_beginning_diverged_where_it_was_least(record):
    falling, rising = np.linspace(2.0, 0.5, 60), np.linspace(0.5, 9.0, 60)
    found = diverged_step(record(losses([*falling, *rising])))
    assert 60 < found < 90
    assert diverged_step(record(losses([*falling, *rising[:5]]))) is None
