"""The watchdog over attention: what it says, and when."""

import json

import pytest

from tfspeech.tasks.attention_tts.watchdog import AttentionWatchdog
from tfspeech.training.loop import LoopState


@pytest.fixture
def said(tmp_path, capsys):
    """Runs ten epochs with a coverage each; returns the epochs with a complaint."""

    def run(coverages, first=1, metrics=tmp_path / "metrics.jsonl"):
        watchdog, complaints = AttentionWatchdog(metrics), {}
        for epoch, coverage in enumerate(coverages, first):
            state = LoopState(steps_per_epoch=5, epochs=10, step=5 * epoch)
            record = {"validation": {"monotonic_coverage": coverage}}
            watchdog.on_epoch(state, record)
            line = capsys.readouterr().err
            if line:
                complaints[epoch] = line
        return complaints

    return run


def test_attention_that_comes_and_stays_is_not_mentioned(said):
    assert said([0.2, 0.4, 0.85, 0.7, 0.95, 0.99, 1.0]) == {}


def test_attention_that_never_comes_is_mentioned_once(said):
    complaints = said([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.6])
    assert list(complaints) == [3]
    assert "does not come: after 15 of 50 steps" in complaints[3]
    assert "40%" in complaints[3]
    assert "--guide-weight" in complaints[3]


def test_attention_that_is_lost_is_mentioned_each_time_it_is(said):
    complaints = said([0.9, 0.6, 0.4, 0.3, 0.9, 0.2])
    assert list(complaints) == [3, 6]
    assert "is lost: it moves on over 40% of the symbols" in complaints[3]
    assert "--learning-rate" in complaints[3]


def test_a_late_find_may_be_lost_after_all(said):
    complaints = said([0.1, 0.1, 0.1, 0.1, 0.9, 0.1])
    assert ["does not come" in complaints[3], "is lost" in complaints[6]] == [True] * 2
    assert len(complaints) == 2


def test_a_run_that_resumes_remembers_what_it_had_found(said, tmp_path):
    records = [
        {"step": 1, "loss": 2.0},
        {"step": 5, "validation": {"monotonic_coverage": 0.9}},
    ]
    path = tmp_path / "before.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert "is lost" in said([0.3], first=2, metrics=path)[2]
    assert said([0.3], first=2) == {}
