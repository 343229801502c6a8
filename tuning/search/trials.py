"""The trials of a search: training runs, each with a record of its results."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from tfspeech.config import record_from_json
from tfspeech.errors import RunError
from tfspeech.files import read_json
from tfspeech.tasks.task import RunConfig
from tfspeech.training.callbacks import Monitor
from tuning.figures import RunRecord, read_run, run_figures
from tuning.intervals import estimate
from tuning.limits import Limits, best_so_far
from tuning.search.dimensions import Space, Value
from tuning.search.trial_config import configure
from tuning.settings import with_training
from tuning.trials import (
    CRASHED,
    DIVERGED,
    RUNS,
    STATUSES,
    STOPPED,
    Status,
    run_trial,
    write_json,
)

BASELINE = "baseline"
RECORD_FILE = "record.json"
MIN_CURVES = 4
"""Early stopping begins when so many runs are there to compare with."""
_FAILED = (CRASHED, DIVERGED)
_WORST_UNKNOWN = {True: 0.0, False: 100.0}
"""By whether higher is better, the worst score while no run has any."""


@dataclasses.dataclass(frozen=True)
class SeedResult:
    """The result of a trial's run with one seed.

    Attributes:
        seed: The seed.
        run_dir: Its directory, relative to that of the search.
        status: As in `tuning.trials.Outcome`.
        reason: As in `tuning.trials.Outcome`.
        score: The objective of its best model, None where it failed.
        figures: See `tuning.figures.run_figures`; empty where it failed.
    """

    seed: int
    run_dir: str
    status: Status
    reason: str
    score: float | None
    figures: dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """The result of a trial.

    Attributes:
        name: `BASELINE`, or Keras Tuner's ID of the trial.
        values: Its hyperparameters, by the names of dimensions.
        epochs: The epochs it was allowed, 0 for all.
        status: The worst of its runs'.
        reason: Why it did not finish.
        score: The mean objective over its seeds, None where one of them failed.
        reported: The score reported to the oracle: for a failure the worst one known.
        seconds: Wall-clock time since it was last started.
        runs: One per seed.
    """

    name: str
    values: dict[str, Value]
    epochs: int
    status: Status
    reason: str
    score: float | None
    reported: float
    seconds: float
    runs: tuple[SeedResult, ...]

    def figure(self, name: str) -> float | None:
        """The mean over the seeds of a figure, None where it was not measured."""
        found = estimate([run.figures.get(name) for run in self.runs])
        return found and found.mean

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a record.

        Raises:
            RunError: It is damaged.
        """
        record = read_json(path, functools.partial(record_from_json, cls))
        if record.name != path.parent.name:
            raise RunError(f"{path} is damaged, remove it: it is of {record.name!r}")
        return record


@dataclasses.dataclass(frozen=True)
class Trials:
    """Runs trials below the directory of a search, and reads those that were run.

    Attributes:
        config: The baseline; its seed is the first.
        space: The hyperparameters and their ranges.
        directory: Of the search.
        seeds: Runs per trial.
        monitor: The score by which a run chooses its best model.
        objective: The score of that model which the search optimises.
        early_stopping: Whether to stop runs that are worse than most were.
    """

    config: RunConfig
    space: Space
    directory: Path
    seeds: int
    monitor: Monitor
    objective: Monitor
    early_stopping: bool

    def run(
        self,
        name: str,
        values: Mapping[str, Value],
        epochs: int = 0,
        first_trial: str | None = None,
    ) -> TrialRecord:
        """Runs a trial, from where it stopped; one that has a record is not run again.

        Args:
            name: Of the trial.
            values: By the names of dimensions.
            epochs: The last epoch of its budget, 0 for that of the configuration.
            first_trial: The trial whose runs it continues; by default it has its own.

        Raises:
            RunError: The runs cannot be started.
            KeyboardInterrupt: SIGINT; the run has saved its state.
        """
        path = self._record_path(name)
        if path.is_file():
            return TrialRecord.load(path)
        started = time.monotonic()
        config = configure(self.config, values)
        required = self._required_scores() if self.early_stopping else ()
        limits = Limits(epochs, self.objective, required)
        runs: list[SeedResult] = []
        first = config.training.seed
        for seed in range(first, first + self.seeds):
            runs.append(self._run_seed(config, seed, first_trial or name, limits))
            status = runs[-1].status
            if status in _FAILED or (status == STOPPED and not epochs):
                break  # More seeds could not give it a score that counts.
        worst = max(runs, key=lambda run: STATUSES.index(run.status))
        scores = [run.score for run in runs]
        score = None if None in scores else float(np.mean(scores))
        record = TrialRecord(
            name,
            dict(values),
            epochs,
            worst.status,
            worst.reason,
            score,
            self.worst_score() if score is None else score,
            round(time.monotonic() - started, 1),
            tuple(runs),
        )
        write_json(path, dataclasses.asdict(record))
        return record

    def records(self) -> list[TrialRecord]:
        """The records of all trials that have come to an end, in their order."""
        paths = (self.directory / RUNS).glob(f"*/{RECORD_FILE}")
        records = [TrialRecord.load(path) for path in paths]
        trials = [record for record in records if record.name != BASELINE]
        return sorted(trials, key=lambda record: int(record.name))

    def baseline(self) -> TrialRecord:
        """The record of the baseline.

        Raises:
            RunError: It is damaged.
            OSError: There is none.
        """
        return TrialRecord.load(self._record_path(BASELINE))

    def worst_score(self) -> float:
        """The worst value of the objective that any run has had at any epoch."""
        values = [
            value
            for record in self._run_records()
            for epoch in record.epochs
            if math.isfinite(value := epoch["validation"][self.objective.name])
        ]
        if not values:
            return _WORST_UNKNOWN[self.objective.higher_is_better]
        return min(values, key=lambda value: self.objective.sign * value)

    def rank(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """The trials that have a score, the best first; of equals the earlier."""
        scored = [record for record in records if record.score is not None]
        return sorted(scored, key=lambda record: -self.objective.sign * record.score)

    def describe(self, record: TrialRecord) -> str:
        """The result of a trial as text."""
        if record.score is None:
            return f"{record.status}: {record.reason}"
        note = f" ({record.reason})" if record.reason else ""
        return f"{self.objective.name} {record.score:.4f}{note}"

    def _record_path(self, name: str) -> Path:
        return self.directory / RUNS / name / RECORD_FILE

    def _run_seed(
        self, config: RunConfig, seed: int, folder: str, limits: Limits
    ) -> SeedResult:
        config = with_training(config, seed=seed)
        path = f"{RUNS}/{folder}/seed_{seed}"
        outcome = run_trial(config, self.directory / path, limits)
        if outcome.status in _FAILED:
            return SeedResult(seed, path, outcome.status, outcome.reason, None, {})
        record = read_run(config, self.directory / path)
        figures = run_figures(record, self.monitor, None)
        chosen = [r for r in record.epochs if r["epoch"] == figures.get("best_epoch")]
        score = chosen[0]["validation"][self.objective.name] if chosen else math.nan
        if not math.isfinite(score):
            reason = f"its {self.objective.name} is not finite"
            return SeedResult(seed, path, DIVERGED, reason, None, {})
        return SeedResult(seed, path, outcome.status, outcome.reason, score, figures)

    def _required_scores(self) -> tuple[float | None, ...]:
        """For every epoch the score that three quarters of the runs had reached by it.

        None in the first third of the epochs, when learning rates are still high. It
        is the median stopping rule of Golovin et al. 2017, "Google Vizier: A Service
        for Black-Box Optimization", with a quartile in place of the median.
        """
        curves = [best_so_far(run, self.objective) for run in self._run_records()]
        epochs = self.config.training.epochs
        sign = self.objective.sign
        required: list[float | None] = []
        for epoch in range(1, epochs):
            reached = [sign * curve[epoch] for curve in curves if epoch in curve]
            applies = len(reached) >= MIN_CURVES and 3 * epoch >= epochs
            score = sign * float(np.quantile(reached, 0.25)) if applies else None
            required.append(score)
        return tuple(required)

    def _run_records(self) -> list[RunRecord]:
        """The records of all runs that did not fail, those of the baseline first."""
        first = [self.baseline()] if self._record_path(BASELINE).is_file() else []
        return [
            read_run(configure(self.config, trial.values), self.directory / run.run_dir)
            for trial in [*first, *self.records()]
            for run in trial.runs
            if run.status not in _FAILED
        ]
