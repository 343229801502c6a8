import json

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import image
from matplotlib.figure import Figure

from tfspeech.tasks.word_recognition.run import WordRecognitionRun
from tfspeech.training.group import METRICS
from tfspeech.training.plots import log_images, plot_diagnostics, plot_validation


def records(steps=60, skipped=(30,), group="model"):
    """Lines of a run in which some steps were skipped, with two evaluations."""
    rng, lines = np.random.default_rng(0), []
    for step in range(1, steps + 1):
        figures = dict.fromkeys(METRICS, None) | {"penalty": 0.0, "loss_scale": 1.0}
        figures |= {"clipped_norm": 0.0, "clipped": 0.0, "skipped": 1.0}
        if step not in skipped:
            figures |= {name: rng.uniform() for name in METRICS} | {"skipped": 0.0}
            figures["cosine"] = 0.9 if step % 50 == 1 else None
        if step % 10 == 0:
            ratio = 1e-3 if step not in skipped else None
            paths = [f"net/layer_{i}/{n}" for i in range(12) for n in ("kernel", "b")]
            figures["update_ratio"] = dict.fromkeys(paths, ratio)
        lines.append({"step": step, "group": group} | figures)
        if step % 30 == 0:
            scores = {"loss": 1.0 / step, "accuracy": 0.9}
            weights = {"zeros": 0.1, "effective_parameters": 0.6}
            place = {"step": step, "epoch": step // 30}
            record = {"validation": scores, "weights": {group: weights}}
            lines.append(place | record)
    return lines


def write(folder, lines):
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved."""
    saved = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda f, *a, **k: saved.append(f) or save(f, *a, **k)
    )
    return saved


def panels(figure):
    """The lines of every panel by their labels."""
    return {
        axes.get_title(): {line.get_label(): line for line in axes.lines}
        for axes in figure.axes
    }


@pytest.mark.parametrize(
    "lines",
    [[], records(steps=3), records(skipped=range(61)), records(steps=1)],
    ids=["empty", "short", "nothing finite", "one step"],
)
def test_every_run_becomes_pictures(lines, tmp_path):
    metrics = write(tmp_path, lines)
    plot_diagnostics(metrics, tmp_path)
    plot_validation(metrics, WordRecognitionRun.panels, tmp_path / "learning.png")
    for name in ("diagnostics.png", "learning.png"):
        assert image.imread(tmp_path / name).shape[0] > 300


def test_training_and_validation_loss_are_in_one_panel(tmp_path, figures):
    plot_validation(
        write(tmp_path, records()), WordRecognitionRun.panels, tmp_path / "learning.png"
    )
    found = panels(figures[0])
    assert set(found["Loss"]) == {"training", "validation"}
    np.testing.assert_array_equal(found["Loss"]["validation"].get_xdata(), [30, 60])
    np.testing.assert_array_equal(
        found["Loss"]["validation"].get_ydata(), [1 / 30, 1 / 60]
    )
    np.testing.assert_array_equal(found["Accuracy"]["accuracy"].get_ydata(), [0.9, 0.9])


def test_every_group_has_diagnostics_of_its_own(tmp_path, figures):
    lines = [*records(group="generator"), *records(skipped=(), group="discriminator")]
    for record in lines:
        if "weights" in record:
            groups = ("generator", "discriminator")
            record["weights"] = {group: {"zeros": 0.5} for group in groups}
    plot_diagnostics(write(tmp_path, lines), tmp_path)
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"diagnostics_generator.png", "diagnostics_discriminator.png"}
    skipped = [panels(f)["How often is it clipped?"]["steps skipped"] for f in figures]
    shares = [np.nanmax(line.get_ydata()) for line in skipped]
    assert shares[0] > 0
    assert shares[1] == 0


def test_every_diagnostic_of_a_step_is_drawn(tmp_path, figures):
    plot_diagnostics(write(tmp_path, records()), tmp_path)
    found = panels(figures[0])
    assert [len(lines) for lines in found.values()] == [4, 4, 2, 3, 12, 2]
    cosine = found["What is lost?"]["cosine, clipped to raw"].get_ydata()
    # Of 60 steps in bins of 25 and 35 it was measured in both.
    np.testing.assert_array_equal(cosine, [0.9, 0.9])
    ratios = found["Is the step sane?"]
    assert "layer_0" in ratios
    named = [label for label in ratios if not label.startswith("_")]
    assert len(named) == 6  # Of twelve layers every other one.


def test_what_was_not_measured_is_a_gap(tmp_path, figures):
    lines = records(steps=100, skipped=range(26, 51))
    plot_diagnostics(write(tmp_path, lines), tmp_path)
    raw = panels(figures[0])["How large is the gradient?"]["raw"]
    np.testing.assert_array_equal(raw.get_xdata(), [13.0, 38.0, 63.0, 88.0])
    values = [r["gradient_norm"] for r in lines[:25]]
    assert raw.get_ydata()[0] == pytest.approx(np.mean(values))
    np.testing.assert_array_equal(np.isnan(raw.get_ydata()), [0, 1, 0, 0])


def test_the_turns_of_the_loss_are_counted(tmp_path, figures):
    lines = [r for r in records(steps=25, skipped=()) if "loss" in r]
    for record, loss in zip(
        lines, [3, 1, 2, 2, 4, None, 3, 1, *range(17)], strict=True
    ):
        record["loss"] = loss
    plot_diagnostics(write(tmp_path, lines), tmp_path)
    share = panels(figures[0])["Does it oscillate?"]["loss changes direction"]
    # Differences -2 1 0 2 . . -2 -1 1 1 ...: a turn in 3 pairs, and one in 17.
    assert share.get_ydata()[0] == pytest.approx(2 / 20)


def test_a_short_last_bin_joins_the_one_before(tmp_path, figures):
    lines = [r for r in records(steps=52, skipped=()) if "loss" in r]
    for record in lines:
        record["gradient_norm"] = 100.0 if record["step"] > 50 else 1.0
    plot_diagnostics(write(tmp_path, lines), tmp_path)
    raw = panels(figures[0])["How large is the gradient?"]["raw"]
    np.testing.assert_array_equal(raw.get_xdata(), [13.0, 39.0])
    np.testing.assert_allclose(raw.get_ydata(), [1.0, (25 + 200) / 27])


def test_panels_without_anything_to_show_are_left_out(tmp_path, figures):
    lines = [r for r in records(steps=60, skipped=()) if "loss" in r]
    for record in lines:
        record.pop("update_ratio", None)
        record |= {"cosine": None, "retained_energy": None}
    metrics = write(tmp_path, lines)
    plot_diagnostics(metrics, tmp_path)
    assert list(panels(figures[0])) == [
        *("How large is the gradient?", "How often is it clipped?"),
        "Does it oscillate?",
    ]


def test_the_raw_norm_is_seen_beneath_the_clipped_one(tmp_path, figures):
    plot_diagnostics(write(tmp_path, records()), tmp_path)
    found = panels(figures[0])["How large is the gradient?"]
    assert found["raw"].get_linewidth() > 2 * found["clipped"].get_linewidth()
    assert found["raw"].get_zorder() <= found["clipped"].get_zorder()


def test_plots_are_images_in_tensorboard(tmp_path):
    plot_diagnostics(write(tmp_path, records()), tmp_path)
    log_images(tmp_path, tmp_path / "tensorboard", 60)
    (path,) = (tmp_path / "tensorboard").iterdir()
    found = {}
    for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(serialized)
        for value in event.summary.value:
            found[value.tag] = event.step, value.tensor.string_val[2]
    assert set(found) == {"plots/diagnostics"}
    step, png = found["plots/diagnostics"]
    assert step == 60
    assert (
        tf.io.decode_png(png).shape[:2]
        == image.imread(tmp_path / "diagnostics.png").shape[:2]
    )
