"""Results of a comparison: the figures of its candidates over their seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfspeech.training.callbacks import Monitor
from tuning.compare.grid import Candidate, Combination
from tuning.figures import (
    SCORE,
    diverged_step,
    read_run,
    run_figures,
    smoothed_loss,
)
from tuning.intervals import Estimate, estimate
from tuning.reports import COLUMNS
from tuning.trials import FINISHED, Outcome

TARGET_FACTOR = 1.1


@dataclasses.dataclass(frozen=True)
class RunResult:
    """The result of one run.

    Attributes:
        seed: Of the run.
        run_dir: Its directory.
        outcome: Whether it finished.
        diverged_step: The step of its divergence, None without; see `diverged_step`.
        figures: Of a finished run, by the names in `COLUMNS` and, with `SCORE` before
            them, those of its scores; else empty.
    """

    seed: int
    run_dir: Path
    outcome: Outcome
    diverged_step: int | None
    figures: dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class CandidateResult:
    """The result of one candidate.

    Attributes:
        candidate: The candidate.
        runs: One per seed.
    """

    candidate: Candidate
    runs: tuple[RunResult, ...]

    @property
    def label(self) -> str:
        """The candidate as text."""
        return self.candidate.label

    def count(self, status: str) -> int:
        """Number of runs that ended with a status."""
        return sum(run.outcome.status == status for run in self.runs)

    @property
    def scores(self) -> list[str]:
        """The names of the figures that are scores of the best models."""
        names = {name: None for run in self.runs for name in run.figures}
        return [name for name in names if name.startswith(SCORE)]

    def figure(self, name: str) -> Estimate | None:
        """A figure over the runs that finished, None where none measured it."""
        return estimate([run.figures.get(name) for run in self.runs])

    def to_json(self) -> dict[str, Any]:
        """The result as values of JSON."""
        figures = {name: self.figure(name) for name in (*COLUMNS, *self.scores)}
        return {
            "label": self.label,
            "clip": list(self.candidate.clip),
            "regularize": list(self.candidate.regularize),
            "settings": dict(self.candidate.settings),
            "figures": {
                name: found and dataclasses.asdict(found)
                for name, found in figures.items()
            },
            "runs": [
                dataclasses.asdict(run) | {"run_dir": str(run.run_dir)}
                for run in self.runs
            ],
        }


def collect(
    combinations: Sequence[Combination],
    outcomes: Sequence[Outcome],
    monitor: Monitor,
    target_loss: float | None,
) -> tuple[list[CandidateResult], float | None]:
    """Reads the runs of a comparison.

    Args:
        combinations: Its runs.
        outcomes: The outcome of each.
        monitor: The score by which best models were chosen.
        target_loss: The training loss for which the steps to it are reported; by
            default 1.1 times the median of the final loss of the finished runs.

    Returns:
        A result per candidate, in their order; and the target loss, None where it was
        not given and no run finished.
    """
    records = [read_run(run.config, run.run_dir) for run in combinations]
    if target_loss is None:
        ends = [
            smoothed_loss(record)[-1]
            for record, outcome in zip(records, outcomes, strict=True)
            if outcome.status == FINISHED
        ]
        target_loss = TARGET_FACTOR * float(np.median(ends)) if ends else None
    runs: dict[Candidate, list[RunResult]] = {}
    for run, record, outcome in zip(combinations, records, outcomes, strict=True):
        finished = outcome.status == FINISHED
        runs.setdefault(run.candidate, []).append(
            RunResult(
                run.config.training.seed,
                run.run_dir,
                outcome,
                diverged_step(record),
                run_figures(record, monitor, target_loss) if finished else {},
            )
        )
    results = [CandidateResult(c, tuple(found)) for c, found in runs.items()]
    return results, target_loss
