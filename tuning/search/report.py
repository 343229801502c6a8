"""The report of a search: Markdown, JSON, a picture, and the best configuration."""

from __future__ import annotations

import dataclasses
import functools
import json
import shlex
from collections.abc import Sequence
from typing import Any

from models.config import Range
from tfspeech.tasks.task import RunConfig
from tuning.reports import COLUMNS, JSON, MARKDOWN, PICTURE, markdown_table
from tuning.search.dimensions import Space
from tuning.search.importance import Importance, find_importance
from tuning.search.plots import plot_search
from tuning.search.trial_config import configure, format_values, to_text
from tuning.search.trials import TrialRecord, Trials
from tuning.settings import format_chains
from tuning.trials import count_statuses, write_json

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
        trials: The settings and the space of the trials.
        command: The command line that repeats the search.
        engine: Keras Tuner's oracle.
        baseline: The baseline's record.
        records: Of the trials that ended.
        seconds: Duration of the search, without the time while it was stopped.
    """

    trials: Trials
    command: Sequence[str]
    engine: str
    baseline: TrialRecord
    records: Sequence[TrialRecord]
    seconds: float

    @property
    def ranked(self) -> list[TrialRecord]:
        """The trials with a score, the best first."""
        return self.trials.rank(self.records)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial, or the baseline where none beats it; None without a score."""
        return next(iter(self.trials.rank([self.baseline, *self.records])), None)

    @property
    def best_config(self) -> RunConfig:
        """The configuration of the best."""
        return configure(self.trials.config, self.best.values)

    @functools.cached_property
    def importance(self) -> Importance | None:
        """The importance of the hyperparameters, None with too few trials."""
        return find_importance(self.trials.space, self.records)

    def write(self) -> None:
        """Writes Markdown, JSON, picture and best configuration into the directory."""
        directory, trials = self.trials.directory, self.trials
        write_json(directory / JSON, self.to_json())
        if self.best:
            (directory / BEST_FILE).write_text(self.best_config.to_json())
        plot_search(
            trials.space,
            self.records,
            self.baseline,
            trials.objective,
            self.importance,
            directory / PICTURE,
        )
        (directory / MARKDOWN).write_text("\n".join([*_markdown(self), ""]))

    def to_json(self) -> dict[str, Any]:
        """The report as values of JSON."""
        best, config = self.best, self.trials.config
        return {
            "model": config.model,
            "data": config.data.data,
            "command": shlex.join(self.command),
            "engine": self.engine,
            "objective": self.trials.objective._asdict(),
            "space": [dataclasses.asdict(dimension) for dimension in self.trials.space],
            "seconds": round(self.seconds, 1),
            "baseline": dataclasses.asdict(self.baseline),
            "best": best and dataclasses.asdict(best),
            "best_config": best and json.loads(self.best_config.to_json()),
            "trials": [dataclasses.asdict(record) for record in self.records],
            "importance": self.importance and dataclasses.asdict(self.importance),
        }


def summarize(report: SearchReport) -> list[str]:
    """The results in sentences."""
    counts = count_statuses(record.status for record in report.records)
    minutes = report.seconds / 60
    sentences = [f"{len(report.records)} trials in {minutes:.1f} minutes: {counts}."]
    best, baseline, objective = report.best, report.baseline, report.trials.objective
    if best is None:
        return [*sentences, "No trial has a score."]
    if best is baseline:
        return [
            *sentences,
            f"No trial beats the default, {_chains(report.trials.config)}: validation "
            f"{objective.name} {best.score:.4f}. Search for longer, or less at once "
            "(--tune).",
        ]
    chosen = report.best_config
    sentences.append(
        f"The best is trial {best.name}, {_chains(chosen)}: validation "
        f"{objective.name} {best.score:.4f}{_compare(best.score, baseline.score)}, "
        f"{_chains(report.trials.config)}."
    )
    tested = best.figure("test_metric")
    if tested is not None:
        default = baseline.figure("test_metric")
        sentences.append(
            f"On the test split its {report.trials.monitor.name} is {tested:.4f}"
            f"{_compare(tested, default)}."
        )
    return sentences


def _chains(config: RunConfig) -> str:
    return format_chains(config.training.clip, config.training.regularize)


def _compare(value: float, default: float | None) -> str:
    if default is None:
        return "; the default has none, it did not finish"
    return f", {value - default:+.4f} against the default's {default:.4f}"


def _markdown(report: SearchReport) -> list[str]:
    seeds, config = len(report.baseline.runs), report.trials.config
    lines = [
        f"# Search: {config.model} on {config.data.data}",
        "",
        f"Engine {report.engine}, {seeds} seed{'s' * (seeds > 1)} per trial, "
        f"{config.training.epochs} epochs.",
        "",
        "```",
        shlex.join(report.command),
        "```",
        "",
        *(f"- {sentence}" for sentence in summarize(report)),
        "",
    ]
    if report.best:
        lines += [f"`tfspeech train --config {BEST_FILE}` trains it.", ""]
    lines += ["## Best trials", "", *_table(report), ""]
    failed = [record for record in report.records if record.score is None]
    if failed:
        lines += ["## Trials without a score", ""]
        lines += [
            f"- trial {r.name} ({format_values(r.values)}): {r.status}, {r.reason}"
            for r in failed
        ]
        lines += [""]
    lines += [f"![Scores]({PICTURE})", ""]
    lines += ["## Search space", "", *_space(report.trials.space), ""]
    lines += ["## Importance", "", *_importance(report.importance)]
    return [*lines, "", "## How to read it", "", EXPLANATIONS]


def _table(report: SearchReport) -> list[str]:
    names = list(dict.fromkeys(dimension.name for dimension in report.trials.space))
    titles, forms = zip(*(COLUMNS[name] for name in _FIGURES), strict=True)
    objective = f"validation {report.trials.objective.name}"
    head = ["trial", *names, objective, *titles, "status"]
    rows = []
    for record in [report.baseline, *report.ranked[:_SHOWN]]:
        chosen = [
            to_text(record.values[name]) if name in record.values else "-"
            for name in names
        ]
        figures = [
            "-" if (value := record.figure(name)) is None else format(value, form)
            for name, form in zip(_FIGURES, forms, strict=True)
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
