"""The report of a comparison: Markdown and JSON."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfspeech.config import to_flag
from tfspeech.tasks.task import RunConfig
from tfspeech.training.callbacks import Monitor
from tuning.compare.findings import Findings, format_estimate
from tuning.compare.grid import Family
from tuning.compare.plots import plot_candidates, plot_curves
from tuning.compare.results import TARGET_FACTOR, CandidateResult
from tuning.figures import SCORE, SMOOTHING_STEPS
from tuning.reports import JSON, MARKDOWN, PICTURE, TABLES, markdown_table
from tuning.settings import command_words, format_chain
from tuning.trials import FINISHED, count_statuses, write_json

CURVES = "curves.png"
COUNTS = {f"{SCORE}parameters"}

EXPLANATIONS = f"""\
Figures are means over the runs that finished, ± half the width of the 95 % interval of
the mean over the seeds (Student's t). The interval says how much seeds matter, not how
much the choice of the utterances does. Candidates are called different where their
intervals do not overlap. A dash is what was not measured.

- *validation* and *test*: of the best model of each run, chosen on the validation
  split.
- *steps to loss*: the first step at which the training loss, without penalties and as
  the mean of the last {SMOOTHING_STEPS} steps, is down at that value; in brackets how
  many runs reached it, where not all did. *final training loss*: that mean at the end.
- *ms per step*: the median over the epochs after the first.
- *steps clipped*, *tensors*, *elements*: shares that clipping changed.
- *cosine*, *retained energy*: between the raw gradient g and the clipped g', and
  |g'|² / |g|²; means over all steps measured, those not clipped among them.
- *update cosine*: between one change of the weights and the next, on a fixed sample of
  them; below 0 the updates undo each other. *sign flips*: the share of the sample whose
  change has another sign than the one before.
- *exact zeros*, *zero units*, *effective weights* (Σ|w|)² / Σw² as a share: of the best
  model's kernels and embeddings.
"""


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of a comparison.

    Attributes:
        config: The configuration that the runs share.
        directory: Of the comparison.
        monitor: The score by which best models were chosen.
        target_loss: The training loss for which the steps to it are reported, if any.
        target_given: Whether the user chose it.
        varied: Other settings that candidates differ in, as `build_candidates` takes
            them.
        results: Of all candidates.
        families: Candidates that differ in one number.
        findings: In sentences.
    """

    config: RunConfig
    directory: Path
    monitor: Monitor
    target_loss: float | None
    target_given: bool
    varied: Sequence[str]
    results: Sequence[CandidateResult]
    families: Sequence[Family]
    findings: Findings

    def to_json(self) -> dict[str, Any]:
        """The report as values of JSON."""
        return {
            "model": self.config.model,
            "data": self.config.data.data,
            "monitor": self.monitor._asdict(),
            "command": _command(self),
            "config": dataclasses.asdict(self.config),
            "target_loss": self.target_loss,
            "target_loss_given": self.target_given,
            "candidates": [result.to_json() for result in self.results],
            "families": [
                {
                    "kind": family.kind,
                    "axis": family.axis,
                    "label": family.label,
                    "values": {c.label: value for value, c in family.members},
                }
                for family in self.families
            ],
            "findings": self.findings,
        }

    def write(self) -> None:
        """Writes Markdown, JSON and pictures into the directory."""
        write_json(self.directory / JSON, self.to_json())
        plot_candidates(self.results, self.monitor.name, self.directory / PICTURE)
        curves = self.directory / CURVES
        curves.unlink(missing_ok=True)
        if self.families:
            plot_curves(self.results, self.families, self.monitor.name, curves)
        (self.directory / MARKDOWN).write_text(_markdown(self))


def _markdown(report: Report) -> str:
    settings = report.config.training
    seeds = len(report.results[0].runs)
    lines = [
        f"# Comparison: {report.config.model} on {report.config.data.data}",
        "",
        f"{len(report.results)} candidates, {seeds} seeds each, {settings.epochs} "
        f"epochs, {settings.optimizer} at a learning rate of "
        f"{settings.learning_rate:g}, {settings.batch_size} utterances per batch. "
        "The loss is the mean over the batch: thresholds hold for that alone.",
        "",
        "```",
        _command(report),
        "```",
        "",
    ]
    for question, sentences in report.findings.items():
        lines += [f"## {question}", "", *(f"- {s}" for s in sentences), ""]
    lines += [f"![Candidates]({PICTURE})", ""]
    if report.families:
        lines += [f"![Against the threshold]({CURVES})", ""]
    for title, columns in TABLES.items():
        lines += [f"## {title}", "", *_table(report, columns), ""]
    scores = {
        name: (
            name.removeprefix(SCORE).replace("_", " "),
            ",.0f" if name in COUNTS else ".4g",
        )
        for result in report.results
        for name in result.scores
    }
    lines += ["## All scores of the best models", "", *_table(report, scores), ""]
    lines += ["## How to read it", "", EXPLANATIONS]
    if report.target_loss is not None and not report.target_given:
        lines.append(
            f"The loss of {report.target_loss:.4g} is {TARGET_FACTOR} times the median "
            "over the finished runs of their final training loss.\n"
        )
    return "\n".join(lines)


def _table(report: Report, columns: Mapping[str, tuple[str, str]]) -> list[str]:
    target = "-" if report.target_loss is None else f"{report.target_loss:.4g}"
    titles = [
        title.format(monitor=report.monitor.name, target=target)
        for title, _ in columns.values()
    ]
    rows = []
    for result in report.results:
        label = result.label.replace("|", "\\|")
        cells = [_cell(result, name, form) for name, (_, form) in columns.items()]
        runs = count_statuses(run.outcome.status for run in result.runs)
        rows.append([f"`{label}`", runs, *cells])
    return markdown_table(["candidate", "runs", *titles], rows)


def _cell(result: CandidateResult, name: str, form: str) -> str:
    found = result.figure(name)
    if found is None:
        return "-"
    finished = result.count(FINISHED)
    some = "" if found.count == finished else f" ({found.count} of {finished})"
    return format_estimate(found, form) + some


def _command(report: Report) -> str:
    """The command line that repeats this comparison."""
    skip = ("clip", "regularize")
    words = command_words("tuning.compare", report.config, skip)
    for name in skip:
        chains = [getattr(result.candidate, name) for result in report.results]
        words += to_flag(name, tuple(dict.fromkeys(map(format_chain, chains))))
    for text in report.varied:
        words += ["--vary", text]
    words += ["--seeds", str(len(report.results[0].runs))]
    if report.target_given:
        words += ["--target-loss", str(report.target_loss)]
    return shlex.join([*words, "--run-dir", str(report.directory)])
