"""The sentences of a report, from figures that are made up."""

from pathlib import Path

import pytest

from tfspeech.training.callbacks import Monitor
from tuning.compare.findings import find
from tuning.compare.grid import Candidate, find_families
from tuning.compare.results import CandidateResult, RunResult
from tuning.trials import CRASHED, DIVERGED, FINISHED, Outcome

ACCURACY = Monitor("accuracy", True)


def result(clip, regularize=(), lost=(), **figures):
    """A candidate; every figure is a list with a value per run."""
    count = max((len(values) for values in figures.values()), default=0)
    finished = Outcome(FINISHED)
    runs = [
        RunResult(i, Path(), finished, None, {n: v[i] for n, v in figures.items()})
        for i in range(count)
    ]
    runs += [
        RunResult(9, Path(), Outcome(status), 17 if status == DIVERGED else None, {})
        for status in lost
    ]
    return CandidateResult(Candidate((clip,), tuple(regularize)), tuple(runs))


def around(center, spread=0.001):
    return [center - spread, center, center + spread]


def sentences(results, monitor=ACCURACY, target_loss=None):
    families = find_families([r.candidate for r in results])
    return find(results, families, monitor, target_loss)


def test_intervals_decide_which_candidates_are_worse():
    found = sentences(
        [
            result("none()", metric=around(0.90)),
            result("norm(1)", metric=around(0.95)),
            result("norm(5)", metric=around(0.951, 0.01)),
        ]
    )
    which = found["Which threshold?"]
    assert which[0] == (
        "The best validation accuracy is that of `norm(5)`: 0.951 ± 0.02484 (3 runs)."
    )
    assert which[1] == "Not distinguishable from it: `norm(1)`."
    assert which[2] == "Worse, with intervals apart: `none()`."
    assert which[3] == (
        "Of the values of `norm(c)`, 5 has the best validation accuracy. Not "
        "distinguishable from it: 1."
    )
    assert found["What is lost?"][-1] == (
        "Against `none()`, the validation accuracy is better: `norm(1)`, `norm(5)`."
    )


def test_where_less_is_better_the_least_is_best():
    found = sentences(
        [
            result("none()", metric=around(0.90)),
            result("norm(1)", metric=around(0.95)),
        ],
        Monitor("distortion", False),
    )
    assert "is that of `none()`" in found["Which threshold?"][0]
    assert found["What is lost?"] == [
        "Against `none()`, the validation distortion is worse: `norm(1)`."
    ]


def test_a_single_run_each_is_no_evidence():
    found = sentences(
        [result("norm(1)", metric=[0.99]), result("none()", metric=[0.1])]
    )
    assert found["Which threshold?"][1:] == [
        "A single run has no interval: the order may be chance."
    ]
    assert "not distinguishable: `norm(1)`" in found["What is lost?"][-1]


def test_a_loss_that_some_runs_never_reach_is_said():
    found = sentences(
        [
            result("norm(1)", metric=around(0.9), steps_to_target=around(100, 1)),
            result("norm(2)", metric=around(0.9), steps_to_target=around(200, 1)),
            result("norm(3)", metric=around(0.9), steps_to_target=[5, None, None]),
            result("none()", lost=[DIVERGED]),
        ],
        target_loss=0.5,
    )
    assert found["Which threshold?"][-2:] == [
        "A training loss of 0.5 is reached first by `norm(1)`, after 100 ± 2 steps. "
        "Later, with intervals apart: `norm(2)`.",
        "Some runs or all never reach 0.5: `norm(3)`.",
    ]


def test_what_clipping_takes_away_is_said():
    found = sentences(
        [
            result("none()", clipped=[0, 0], cosine=[1, 1], retained_energy=[1, 1]),
            result(
                "value(1)",
                clipped=[0.5, 0.7],
                cosine=[0.8, 0.9],
                retained_energy=[0.25, 0.35],
            ),
            result("norm(1)", clipped=[1.0, 1.0]),
        ]
    )
    assert found["What is lost?"] == [
        "`value(1)` clips 60.0% of the steps; over all steps it keeps 30.0% of the "
        "gradient's energy, at a cosine of 0.8500 with the raw gradient.",
        "`norm(1)` clips 100.0% of the steps.",
        "No step is clipped by `none()`.",
    ]


@pytest.mark.parametrize(
    ("cosines", "verdict"),
    [
        (around(-0.3), "Successive updates point against each other"),
        (around(0.8), "it does not oscillate"),
        (around(0.0), "Undecided"),
        ([-0.9], "Undecided"),
    ],
)
def test_the_interval_of_the_cosine_of_updates_tells_an_oscillation(cosines, verdict):
    found = sentences([result("norm(1)", update_cosine=cosines)])
    (sentence,) = found["Does it oscillate?"]
    assert verdict in sentence
    assert "`norm(1)` (" in sentence
    assert f"{cosines[len(cosines) // 2]:.3f}" in sentence


def test_turns_are_compared():
    flips = {"norm(1)": [0.2], "norm(2)": [0.5], "norm(3)": [0.1]}
    found = sentences([result(c, sign_flips=v) for c, v in flips.items()])
    assert found["Does it oscillate?"] == [
        "From one update to the next, 10.0% (`norm(3)`) to 50.0% (`norm(2)`) of the "
        "weights change direction."
    ]


def test_runs_that_were_lost_are_named():
    found = sentences(
        [
            result("norm(1)", lost=[DIVERGED, DIVERGED], metric=[0.5]),
            result("norm(2)", lost=[CRASHED]),
        ]
    )
    assert found["Does it diverge?"] == [
        "`norm(1)` diverged in 2 of 3 runs, from step 17, 17 on.",
        "`norm(2)` crashed in 1 of 1 runs; the same command tries them again.",
    ]
    nothing = sentences([result("norm(2)", lost=[CRASHED])])
    assert nothing["Which threshold?"] == ["No run finished."]
    assert nothing["Does it oscillate?"] == ["Not measured."]
    fine = sentences([result("norm(2)", metric=[0.5])])
    assert fine["Does it diverge?"] == ["No run diverged."]
