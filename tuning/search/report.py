"""The report of a search: Markdown, JSON, a picture, and the best configuration."""

from __future__ import annotations

import dataclasses
import functools
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.config import Range
from tfspeech.tasks.task import RunConfig
from tfspeech.training.callbacks import Monitor
from tuning.reports import COLUMNS, JSON, MARKDOWN, PICTURE, markdown_table
from tuning.search.dimensions import Space
from tuning.search.importance import Importance, find_importance
from tuning.search.plots import plot_search
from tuning.search.trial_config import configure, format_values, to_text
from tuning.search.trials import TrialRecord, rank
from tuning.trials import CRASHED, DIVERGED, FINISHED, STOPPED, write_json

BEST_FILE = "best.json"
_SHOWN = 10

_FIGURES = ("best_epoch", "clipped", "cosine", "gradient_norm", "final_loss")
"""Figures of the trials shown, in the order of their columns."""

EXPLANATIONS = """\
Scores are those of the best model of each run on the validation split; with several
seeds, their mean. The best of many trials owes part of its lead to chance. The test
split has no part in the choice; its score is given for the best trial and the default.

- *steps clipped*, *cosine*: the share of steps that clipping changed, and the mean
  cosine between the raw gradient and the clipped one. *median norm*: of the raw one.
- *stopped*: after a third of the epochs or later, because its best score so far was
  worse than that of three quarters of the runs before it; or, with Hyperband, because
  its budget was used up. It keeps the score that it had.
- *diverged*, *crashed*: it has no score. The worst score known was reported to the
  oracle in its place.
- *importance*: how much less of the variance of the scores a random forest explains
  when the values of one hyperparameter are shuffled among the trials. R² out of bag
  says how much it explains of trials that it has not seen: near 0 or below,
  importances mean nothing.
"""


@dataclasses.dataclass(frozen=True)
class SearchReport:
    """The results of a search.

    Attributes:
        config: The baseline's configuration.
        directory: Of the search.
        command: The command line that repeats it.
        engine: Keras Tuner's oracle.
        objective: The score that was optimised.
        test_name: The score of the test split that is compared.
        space: The hyperparameters and their ranges.
        baseline: The baseline's record.
        records: Of the trials that ended.
        seconds: Duration of the search, without the time while it was stopped.
    """

    config: RunConfig
    directory: Path
    command: Sequence[str]
    engine: str
    objective: Monitor
    test_name: str
    space: Space
    baseline: TrialRecord
    records: Sequence[TrialRecord]
    seconds: float

    @property
    def ranked(self) -> list[TrialRecord]:
        """The trials with a score, the best first."""
        return rank(self.records, self.objective)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial, or the baseline where none beats it; None without a score."""
        return next(iter(rank([self.baseline, *self.records], self.objective)), None)

    @property
    def best_config(self) -> RunConfig:
        """The configuration of the best."""
        return configure(self.config, self.best.values)

    @functools.cached_property
    def importance(self) -> Importance | None:
        """The importance of the hyperparameters, None with too few trials."""
        return find_importance(self.space, self.records)

    def write(self) -> None:
        """Writes Markdown, JSON, picture and best configuration into the directory."""
        write_json(self.directory / JSON, self.to_json())
        if self.best:
            (self.directory / BEST_FILE).write_text(self.best_config.to_json())
        plot_search(
            self.space,
            self.records,
            self.baseline,
            self.objective,
            self.importance,
            self.directory / PICTURE,
        )
        (self.directory / MARKDOWN).write_text("\n".join([*_markdown(self), ""]))

    def to_json(self) -> dict[str, Any]:
        """The report as values of JSON."""
        best = self.best
        return {
            "model": self.config.model,
            "data": self.config.data.data,
            "command": shlex.join(self.command),
            "engine": self.engine,
            "objective": self.objective._asdict(),
            "space": [dataclasses.asdict(dimension) for dimension in self.space],
            "seconds": round(self.seconds, 1),
            "baseline": dataclasses.asdict(self.baseline),
            "best": best and dataclasses.asdict(best),
            "best_config": best and json.loads(self.best_config.to_json()),
            "trials": [dataclasses.asdict(record) for record in self.records],
            "importance": self.importance and dataclasses.asdict(self.importance),
        }


def summarize(report: SearchReport) -> list[str]:
    """The results in sentences."""
    counts = [
        f"{count} {status}"
        for status in (FINISHED, STOPPED, DIVERGED, CRASHED)
        if (count := sum(record.status == status for record in report.records))
    ]
    sentences = [
        f"{len(report.records)} trials in {report.seconds / 60:.1f} minutes: "
        f"{', '.join(counts)}."
    ]
    best, baseline, objective = report.best, report.baseline, report.objective
    if best is None:
        return [*sentences, "No trial has a score."]
    if best is baseline:
        return [
            *sentences,
            f"No trial beats the default, {_chains(report.config)}: validation "
            f"{objective.name} {best.score:.4f}. Search for longer, or less at once "
            "(--tune).",
        ]
    chosen = report.best_config
    sentences.append(
        f"The best is trial {best.name}, {_chains(chosen)}: validation "
        f"{objective.name} {best.score:.4f}{_compare(best.score, baseline.score)}, "
        f"{_chains(report.config)}."
    )
    tested = best.figure("test_metric")
    if tested is not None:
        default = baseline.figure("test_metric")
        sentences.append(
            f"On the test split its {report.test_name} is {tested:.4f}"
            f"{_compare(tested, default)}."
        )
    return sentences


def _chains(config: RunConfig) -> str:
    chosen = config.training
    regularized = f" with {' + '.join(chosen.regularize)}" if chosen.regularize else ""
    return (" + ".join(chosen.clip) or "none()") + regularized


def _compare(value: float, default: float | None) -> str:
    if default is None:
        return "; the default has none, it did not finish"
    return f", {value - default:+.4f} against the default's {default:.4f}"


def _markdown(report: SearchReport) -> list[str]:
    seeds = len(report.baseline.runs)
    lines = [
        f"# Search: {report.config.model} on {report.config.data.data}",
        "",
        f"Engine {report.engine}, {seeds} seed{'s' * (seeds > 1)} per trial, "
        f"{report.config.training.epochs} epochs.",
        "",
        "```",
        shlex.join(report.command),
        "```",
        "",
        *(f"- {sentence}" for sentence in summarize(report)),
        "",
    ]
    if report.best:
        lines += [f"`python -m tfspeech.train --config {BEST_FILE}` trains it.", ""]
    lines += ["## Best trials", "", *_table(report), ""]
    failed = [record for record in report.records if record.score is None]
    if failed:
        lines += ["## Trials without a score", ""]
        lines += [
            f"- trial {r.name} ({format_values(r.values)}): {r.status}, {r.reason}"
            for r in failed
        ]
        lines += [""]
    lines += [f"![Scores]({PICTURE})", "", "## Search space", "", *_space(report.space)]
    lines += ["", "## Importance", "", *_importance(report.importance)]
    return [*lines, "", "## How to read it", "", EXPLANATIONS]


def _table(report: SearchReport) -> list[str]:
    names = list(dict.fromkeys(dimension.name for dimension in report.space))
    titles = [COLUMNS[name][0] for name in _FIGURES]
    head = ["trial", *names, f"validation {report.objective.name}", *titles, "end"]
    rows = []
    for record in [report.baseline, *report.ranked[:_SHOWN]]:
        chosen = [
            to_text(record.values[name]) if name in record.values else "-"
            for name in names
        ]
        figures = [
            "-"
            if (value := record.figure(name)) is None
            else format(value, COLUMNS[name][1])
            for name in _FIGURES
        ]
        score = "-" if record.score is None else f"{record.score:.4f}"
        rows.append([record.name, *chosen, score, *figures, record.status])
    return markdown_table(head, rows)


def _space(space: Space) -> list[str]:
    lines = []
    for dimension in space:
        values = dimension.values
        if isinstance(values, Range):
            scale = " on a logarithmic scale" if values.log else ""
            text = f"{values.low:.4g} to {values.high:.4g}{scale}"
        else:
            text = ", ".join(map(to_text, values))
        kind = f" of `{dimension.kind}`" if dimension.kind else ""
        lines.append(f"- `{dimension.name}`{kind}: {text}")
    return lines


def _importance(importance: Importance | None) -> list[str]:
    if importance is None:
        return ["Too few trials have a score, or all have the same."]
    drops = sorted(importance.drops.items(), key=lambda item: -item[1][0])
    rows = [[f"`{name}`", f"{mean:.3f} ± {std:.3f}"] for name, (mean, std) in drops]
    table = markdown_table(["hyperparameter", "drop of R²"], rows)
    return [f"R² out of bag: {importance.explained:.2f}.", "", *table]
