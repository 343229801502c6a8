import dataclasses
import json
import shlex

import numpy as np
import pytest
from matplotlib import image

from tfspeech.tasks.registry import default_config
from tfspeech.training.callbacks import Monitor
from tuning.compare import command as compare
from tuning.compare.findings import find
from tuning.compare.grid import build_candidates, build_combinations, find_families
from tuning.compare.report import Report
from tuning.compare.results import collect
from tuning.trials import DIVERGED, FINISHED, Outcome

VARIED = ("units=64,128 + layers=2,1", "cell=gru")


def write_run(combination, clipped, accuracy, skipped):
    """A run of 50 steps in two epochs, with all its figures."""
    combination.run_dir.mkdir(parents=True)
    lines = []
    for step in range(1, 51):
        figures = {"loss": 2.0 - 0.03 * step, "clipped": clipped, "skipped": skipped}
        figures |= {"cosine": 1.0 - 0.2 * clipped, "retained_energy": 1.0 - clipped / 2}
        figures |= {"update_cosine": 0.5, "sign_flips": 0.2, "gradient_norm": 3.0}
        lines.append({"step": step, "group": "model"} | figures)
        if step % 25 == 0:
            scores = {"accuracy": accuracy - 0.1 * (step == 25)}
            epoch = {"step": step, "epoch": step // 25, "step_ms": 7.0}
            lines.append(epoch | {"validation": scores})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (combination.run_dir / "metrics.jsonl").write_text(text)
    results = {"split": "test", "accuracy": accuracy - 0.05, "weights": {"zeros": 0.1}}
    results["parameters"] = 1_074_294
    (combination.run_dir / "results.json").write_text(json.dumps(results))


@pytest.fixture
def report(tmp_path):
    """norm(c) at 0.1, 1 and 10 with two seeds each; the last one diverged once."""
    config = default_config("rnn_recognizer")
    config = dataclasses.replace(
        config, training=dataclasses.replace(config.training, epochs=2, seed=4)
    )
    candidates = build_candidates(
        ["norm(0.1)", "norm(1)", "norm(10, match='a|b')", "norm(10)"], ["none()"]
    )
    combinations = build_combinations(config, candidates, 2, tmp_path)
    outcomes = [Outcome(FINISHED)] * 8
    outcomes[3] = Outcome(DIVERGED, "not finite")
    for place, (combination, outcome) in enumerate(
        zip(combinations, outcomes, strict=True)
    ):
        clipped, accuracy = (0.9, 0.5, 0.2, 0.1)[place % 4], 0.8 + 0.02 * (place // 4)
        write_run(combination, clipped, accuracy, float(outcome.status == DIVERGED))
    monitor = Monitor("accuracy", True)
    results, target = collect(combinations, outcomes, monitor, None)
    families = find_families(candidates)
    found = find(results, families, monitor, target)
    return Report(
        *(config, tmp_path, monitor, target, False, VARIED, results, families, found)
    )


def test_the_markdown_holds_every_figure_with_its_interval(report, tmp_path):
    report.write()
    text = (tmp_path / "report.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `norm(0.1)`")]
    assert len(rows) == 4
    # 0.81 +- 12.706 * 0.01; the loss is below 1.1 * 0.86 from 0.946 on.
    assert rows[0] == (
        "| `norm(0.1)` | 2 finished | 0.8100 ± 0.1271 | 2.0 ± 0.0 | 0.7600 ± 0.1271 | "
        "48 ± 0 | 0.8600 ± 0.0000 | 7.0 ± 0.0 |"
    )
    assert "| 2 finished | 90.0% ± 0.0% | - | - | 0.8200 ±" in rows[1]
    assert "| `norm(10)` | 1 finished, 1 diverged | 0.8200 |" in text
    assert r"`norm(10, match='a\|b')`" in text
    assert "| 1,074,294 ± 0 |" in rows[3]
    assert "steps to loss 0.946" in text
    assert "0.946 is 1.1 times the median" in text
    assert "- `norm(10)` diverged in 1 of 2 runs, from step 1 on." in text
    for name in ("report.png", "curves.png"):
        assert f"]({name})" in text
        assert (tmp_path / name).is_file()


def test_the_json_holds_every_run_and_the_sentences(report, tmp_path):
    report.write()
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["monitor"] == {"name": "accuracy", "higher_is_better": True}
    assert found["target_loss"] == pytest.approx(0.946)
    first, *_, last = found["candidates"]
    assert first["figures"]["metric"]["mean"] == pytest.approx(0.81)
    assert first["figures"]["threshold"] is None
    assert [run["seed"] for run in first["runs"]] == [4, 5]
    metrics = [run["figures"]["metric"] for run in first["runs"]]
    assert metrics == pytest.approx([0.8, 0.82])
    assert [run["outcome"]["status"] for run in last["runs"]] == [DIVERGED, FINISHED]
    assert last["figures"]["metric"]["half_width"] is None
    (family,) = found["families"]
    assert family["values"] == {"norm(0.1)": 0.1, "norm(1)": 1.0, "norm(10)": 10.0}
    assert found["findings"] == report.findings


def test_the_command_in_the_report_makes_the_same_comparison(report):
    words = shlex.split(report.to_json()["command"])
    assert words[:3] == ["python", "-m", "tuning.compare"]
    comparison, _ = compare.parse(words[3:])
    assert comparison == compare.Comparison(
        report.config,
        ("norm(0.1)", "norm(1)", "norm(10, match='a|b')", "norm(10)"),
        ("none()",),
        2,
        report.directory,
        varied=VARIED,
    )


def test_the_pictures_show_points_and_curves(report, tmp_path):
    report.write()
    for name in ("report.png", "curves.png"):
        picture = image.imread(tmp_path / name)[:, :, :3]
        assert np.sum(np.ptp(picture, axis=2) > 0.3) > 300
    dataclasses.replace(report, families=[]).write()
    assert not (tmp_path / "curves.png").exists()
    assert "curves.png" not in (tmp_path / "report.md").read_text()
