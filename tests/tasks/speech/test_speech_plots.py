"""The plots of how synthesisers have learned show what was measured."""

import json

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from tfspeech.tasks.attention_tts.run import AttentionTtsRun
from tfspeech.tasks.parallel_tts.run import ParallelTtsRun
from tfspeech.training.plots import plot_validation


@pytest.mark.parametrize(
    "panels",
    [AttentionTtsRun.panels, ParallelTtsRun.panels],
    ids=["attention", "parallel"],
)
def test_every_score_of_every_validation_is_drawn(panels, tmp_path, monkeypatch):
    names = [name for *_, names in panels for name in names]
    lines, wanted = [], {name: [] for name in names}
    for step in range(1, 7):
        lines.append({"step": step, "group": "model", "loss": 1.0 / step})
        if step % 2 == 0:
            scores = {name: step * (1 + i) for i, name in enumerate(names)}
            lines.append({"step": step, "epoch": step // 2, "validation": scores})
            for name, score in scores.items():
                wanted[name].append(score)
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    figures, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda f, *a, **k: figures.append(f) or save(f, *a, **k)
    )
    plot_validation(metrics, panels, tmp_path / "learning.png")
    drawn = {line.get_label(): line for axes in figures[0].axes for line in axes.lines}
    labels = {name: name.replace("_", " ") for name in names} | {"loss": "validation"}
    assert set(drawn) == {*labels.values(), "training"}
    for name in names:
        line = drawn[labels[name]]
        np.testing.assert_array_equal(line.get_xdata(), [2, 4, 6])
        np.testing.assert_array_equal(line.get_ydata(), wanted[name])
    assert image.imread(tmp_path / "learning.png").std() > 0.01


def test_a_run_without_a_validation_yet_is_plotted(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(json.dumps({"step": 1, "group": "model", "loss": 1.0}) + "\n")
    plot_validation(metrics, AttentionTtsRun.panels, tmp_path / "learning.png")
    assert image.imread(tmp_path / "learning.png").size
