import json

import numpy as np
import pytest
from matplotlib import image

from tfspeech.training.plots import plot_confusion, plot_gradients, plot_learning


@pytest.fixture
def metrics(tmp_path):
    """A run of 60 steps in which one was skipped, with two evaluations."""
    lines = []
    for step in range(1, 61):
        norms = {"gradient_norm": 9.0 / step, "clipped_norm": min(1.0, 9.0 / step)}
        figures = {"loss": 2.0 / step, "clipped": float(step < 9), "skipped": 0.0}
        if step == 30:
            figures = {"loss": None, "clipped": 0.0, "skipped": 1.0}
            norms = {"gradient_norm": None, "clipped_norm": 0.0}
        lines.append({"step": step} | figures | norms)
        if step % 30 == 0:
            scores = {"loss": 1.0 / step, "accuracy": 0.9}
            lines.append({"step": step, "epoch": step // 30, "validation": scores})
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("plot", [plot_learning, plot_gradients])
def test_a_run_becomes_a_picture_with_lines_in_it(plot, metrics, tmp_path):
    plot(metrics, tmp_path / "run.png")
    (tmp_path / "empty.jsonl").touch()
    plot(tmp_path / "empty.jsonl", tmp_path / "empty.png")
    drawn, empty = (
        image.imread(tmp_path / name)[:, :, :3] for name in ("run.png", "empty.png")
    )

    def coloured(picture):
        return np.sum(np.ptp(picture, axis=2) > 0.3)

    assert coloured(drawn) > coloured(empty) + 300


def test_confusions_are_shares_of_what_was_said(tmp_path):
    scores = {"confusion": [[8, 2], [0, 0]], "labels": ["a", "b"], "accuracy": 0.8}
    plot_confusion(scores, tmp_path / "confusion.png")
    picture = image.imread(tmp_path / "confusion.png")
    assert picture.shape[0] >= 400
    # The darkest blue on the map is the share 0.8, not 1.
    assert picture[:, : picture.shape[1] * 3 // 4, 2].min() < 0.9
