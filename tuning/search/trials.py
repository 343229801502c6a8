"""The trials of a search: training runs, each with a record of what came of it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from tfspeech.errors import RunError
from tfspeech.tasks.task import RunConfig
from tuning.figures import Monitor, read_run, run_figures
from tuning.limits import Limits, best_so_far
from tuning.search.config import configure
from tuning.search.spaces import Value
from tuning.trials import CRASHED, DIVERGED, FINISHED, STOPPED, run_trial

BASELINE = "baseline"
RUNS = "runs"
RECORD_FILE = "record.json"
FEWEST_CURVES = 4
"""With fewer runs to be compared with, none is hopeless."""
_FAILED = (CRASHED, DIVERGED)
_WORST_UNKNOWN = {True: 0.0, False: 100.0}
"""The worst score while no run has any, by whether more of it is better."""


@dataclasses.dataclass(frozen=True)
class SeedResult:
    """What came of a trial's run with one seed.

    Attributes:
        seed: The seed.
        run_dir: Where it is kept, below the directory of the search.
        status: As in `tuning.trials.Outcome`.
        reason: The same.
        score: The objective of its best model, None where it failed.
        figures: See `tuning.figures.run_figures`; empty where it failed.
    """

    seed: int
    run_dir: str
    status: str
    reason: str
    score: float | None
    figures: dict[str, float | None]


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """What came of a trial.

    Attributes:
        name: `BASELINE`, or Keras Tuner's ID of the trial.
        values: What was chosen, by the names of dimensions.
        epochs: The epochs it was allowed, 0 for all.
        status: The worst of its runs'.
        reason: Why it did not finish.
        score: The mean objective over its seeds, None where one of them failed.
        told: The score that the oracle was given: the worst one known for a failure.
        seconds: It took, since it was last started.
        runs: One per seed.
    """

    name: str
    values: dict[str, Value]
    epochs: int
    status: str
    reason: str
    score: float | None
    told: float
    seconds: float
    runs: tuple[SeedResult, ...]

    def figure(self, name: str) -> float | None:
        """The mean over the seeds of a figure, None where it was not measured."""
        values = [run.figures.get(name) for run in self.runs]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a record.

        Raises:
            RunError: It is damaged.
        """
        try:
            values = json.loads(path.read_text())
            runs = tuple(SeedResult(**run) for run in values.pop("runs"))
            return cls(**values, runs=runs)
        except (ValueError, TypeError, KeyError) as error:
            raise RunError(f"{path} is damaged, remove it: {error}") from error


@dataclasses.dataclass(frozen=True)
class Trials:
    """Runs trials below the directory of a search, and knows those that were run.

    Attributes:
        config: What the search starts from; its seed is the first.
        directory: Of the search.
        seeds: Runs per trial.
        monitor: The score by which a run chooses its best model.
        objective: The score of that model which is searched for.
        stop_hopeless: Whether to end runs that are worse than most were.
    """

    config: RunConfig
    directory: Path
    seeds: int
    monitor: Monitor
    objective: Monitor
    stop_hopeless: bool

    def run(
        self,
        name: str,
        values: Mapping[str, Value],
        epochs: int = 0,
        root: str | None = None,
    ) -> TrialRecord:
        """Runs a trial, from where it stopped; one that has a record is not run again.

        Args:
            name: Of the trial.
            values: By the names of dimensions.
            epochs: The last epoch of its budget, 0 for that of the configuration.
            root: The trial whose runs it continues; by default it has its own.

        Raises:
            RunError: The runs cannot be started.
            KeyboardInterrupt: SIGINT; the run has saved its state.
        """
        path = self.directory / RUNS / name / RECORD_FILE
        if path.is_file():
            return TrialRecord.load(path)
        started = time.monotonic()
        config = configure(self.config, values)
        bars = self._bars() if self.stop_hopeless else ()
        limits = Limits(epochs, self.objective, bars)
        runs: list[SeedResult] = []
        first = config.training.seed
        for seed in range(first, first + self.seeds):
            runs.append(self._run_seed(config, seed, root or name, limits))
            status = runs[-1].status
            if status in _FAILED or (status == STOPPED and not epochs):
                break  # More seeds would not save it.
        worst = max(runs, key=lambda run: _severity(run.status))
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
        found = [TrialRecord.load(path) for path in paths]
        trials = [record for record in found if record.name != BASELINE]
        return sorted(trials, key=lambda record: int(record.name))

    def baseline(self) -> TrialRecord:
        """The record of the configuration that the search starts from.

        Raises:
            RunError: There is none.
        """
        path = self.directory / RUNS / BASELINE / RECORD_FILE
        if not path.is_file():
            raise RunError(
                f"{path} is missing: the processes of a search must share --run-dir"
            )
        return TrialRecord.load(path)

    def worst_score(self) -> float:
        """The worst value of the objective that any run has had at any epoch."""
        values = [
            value
            for curve in self._curves(best_only=False)
            for value in curve.values()
            if math.isfinite(value)
        ]
        if not values:
            return _WORST_UNKNOWN[self.objective.higher_is_better]
        return min(values, key=lambda value: self.objective.sign * value)

    def _run_seed(
        self, config: RunConfig, seed: int, folder: str, limits: Limits
    ) -> SeedResult:
        training = dataclasses.replace(config.training, seed=seed)
        config = dataclasses.replace(config, training=training)
        place = f"{RUNS}/{folder}/seed_{seed}"
        outcome = run_trial(config, self.directory / place, limits)
        if outcome.status in _FAILED:
            return SeedResult(seed, place, outcome.status, outcome.reason, None, {})
        record = read_run(config, self.directory / place)
        figures = run_figures(record, self.monitor, None)
        chosen = [r for r in record.epochs if r["epoch"] == figures.get("best_epoch")]
        score = chosen[0]["validation"][self.objective.name] if chosen else math.nan
        if not math.isfinite(score):
            reason = f"its {self.objective.name} is not finite"
            return SeedResult(seed, place, DIVERGED, reason, None, {})
        return SeedResult(seed, place, outcome.status, outcome.reason, score, figures)

    def _bars(self) -> tuple[float | None, ...]:
        """For every epoch, what three quarters of the runs before had reached by then.

        The first third of the epochs asks nothing: learning rates are still high.
        """
        curves = self._curves(best_only=True)
        epochs = self.config.training.epochs
        sign = self.objective.sign
        bars: list[float | None] = []
        for epoch in range(1, epochs):
            reached = [sign * curve[epoch] for curve in curves if epoch in curve]
            asked = len(reached) >= FEWEST_CURVES and 3 * epoch >= epochs
            bars.append(sign * float(np.quantile(reached, 0.25)) if asked else None)
        return tuple(bars)

    def _curves(self, best_only: bool) -> list[dict[int, float]]:
        """The objective of all runs that did not fail by epoch, or the best so far."""
        curves = []
        baseline = self.directory / RUNS / BASELINE / RECORD_FILE
        known = [self.baseline()] if baseline.is_file() else []
        for trial in [*known, *self.records()]:
            config = configure(self.config, trial.values)
            for run in trial.runs:
                if run.status in _FAILED:
                    continue
                record = read_run(config, self.directory / run.run_dir)
                if best_only:
                    curves.append(best_so_far(record, self.objective))
                else:
                    name = self.objective.name
                    curves.append(
                        {r["epoch"]: r["validation"][name] for r in record.epochs}
                    )
        return curves


def write_json(path: Path, values: Any) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    partial.write_text(json.dumps(values, indent=1) + "\n")
    os.replace(partial, path)


def rank(records: Sequence[TrialRecord], objective: Monitor) -> list[TrialRecord]:
    """The trials that have a score, the best first; of equals the earlier."""
    scored = [record for record in records if record.score is not None]
    return sorted(scored, key=lambda record: -objective.sign * record.score)


def _severity(status: str) -> int:
    return (FINISHED, STOPPED, DIVERGED, CRASHED).index(status)
