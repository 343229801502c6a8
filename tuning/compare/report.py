"""The report of a comparison: Markdown and JSON."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tfspeech.tasks.registry import default_config
from tfspeech.tasks.task import RunConfig
from tuning.compare.findings import Findings, show
from tuning.compare.grid import Family
from tuning.compare.plots import plot_candidates, plot_curves
from tuning.compare.results import TARGET_FACTOR, CandidateResult
from tuning.figures import SCORE, SMOOTHING_STEPS, Monitor
from tuning.trials import CRASHED, DIVERGED, FINISHED

MARKDOWN = "report.md"
JSON = "report.json"
PICTURE = "report.png"
CURVES = "curves.png"

_TABLES = {
    "Outcome": {
        "metric": ("validation {monitor}", ".4f"),
        "best_epoch": ("at epoch", ".1f"),
        "test_metric": ("test {monitor}", ".4f"),
        "steps_to_target": ("steps to loss {target}", ".0f"),
        "final_loss": ("final training loss", ".4f"),
        "step_ms": ("ms per step", ".1f"),
    },
    "What clipping does to the gradient": {
        "clipped": ("steps clipped", ".1%"),
        "clipped_tensors": ("tensors", ".1%"),
        "clipped_elements": ("elements", ".1%"),
        "cosine": ("cosine", ".4f"),
        "retained_energy": ("retained energy", ".1%"),
        "gradient_norm": ("median norm", ".3g"),
        "threshold": ("median threshold", ".3g"),
    },
    "Updates and weights": {
        "update_cosine": ("update cosine", ".3f"),
        "sign_flips": ("sign flips", ".1%"),
        "skipped": ("steps skipped", ".2%"),
        "zeros": ("exact zeros", ".1%"),
        "zero_units": ("zero units", ".1%"),
        "effective_parameters": ("effective weights", ".1%"),
    },
}
"""For every table its columns: the name of the figure, its title and its format."""

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
  them; below 0 the updates undo each other. *sign flips*: the share of the sample that
  turns round.
- *exact zeros*, *zero units*, *effective weights* (Σ|w|)² / Σw² as a share: of the best
  model's kernels and embeddings.
"""


@dataclasses.dataclass(frozen=True)
class Report:
    """Everything that a report says.

    Attributes:
        config: What the runs share.
        directory: Of the comparison.
        monitor: The score by which best models were chosen.
        target_loss: The training loss whose first step was asked for, if any.
        target_given: Whether the user chose it.
        results: Of all candidates.
        families: Candidates that differ in one number.
        findings: In sentences.
    """

    config: RunConfig
    directory: Path
    monitor: Monitor
    target_loss: float | None
    target_given: bool
    results: Sequence[CandidateResult]
    families: Sequence[Family]
    findings: Findings

    def to_json(self) -> dict[str, Any]:
        """The report as values that JSON knows."""
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
        text = json.dumps(self.to_json(), indent=2) + "\n"
        (self.directory / JSON).write_text(text)
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
    for title, columns in _TABLES.items():
        lines += [f"## {title}", "", *_table(report, columns), ""]
    scores = {
        name: (name.removeprefix(SCORE).replace("_", " "), ".4g")
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


def _table(report: Report, columns: dict[str, tuple[str, str]]) -> list[str]:
    target = "-" if report.target_loss is None else f"{report.target_loss:.4g}"
    titles = [
        title.format(monitor=report.monitor.name, target=target)
        for title, _ in columns.values()
    ]
    rows = [["candidate", "runs", *titles], ["---"] * (len(titles) + 2)]
    for result in report.results:
        label = result.label.replace("|", "\\|")
        cells = [_cell(result, name, form) for name, (_, form) in columns.items()]
        rows.append([f"`{label}`", _fate(result), *cells])
    return [f"| {' | '.join(row)} |" for row in rows]


def _cell(result: CandidateResult, name: str, form: str) -> str:
    found = result.figure(name)
    if found is None:
        return "-"
    finished = result.count(FINISHED)
    some = "" if found.count == finished else f" ({found.count} of {finished})"
    return show(found, form) + some


def _fate(result: CandidateResult) -> str:
    parts = [
        f"{count} {status}"
        for status in (FINISHED, DIVERGED, CRASHED)
        if (count := result.count(status))
    ]
    return ", ".join(parts)


def _command(report: Report) -> str:
    """The command that makes this comparison again."""
    config = report.config
    words = ["python", "-m", "tuning.compare", config.model]
    words += config_flags(config, skip=("clip", "regularize"))
    chains = {
        "clip": [" + ".join(r.candidate.clip) for r in report.results],
        "regularize": [
            " + ".join(r.candidate.regularize) or "none()" for r in report.results
        ],
    }
    for name, texts in chains.items():
        words += flag(name, tuple(dict.fromkeys(texts)))
    varied: dict[str, dict[str, None]] = {}
    for result in report.results:
        for name, value in result.candidate.settings:
            varied.setdefault(name, {})[value] = None
    for name, values in varied.items():
        words += ["--vary", f"{name}={','.join(values)}"]
    words += ["--seeds", str(len(report.results[0].runs))]
    if report.target_given:
        words += ["--target-loss", str(report.target_loss)]
    return shlex.join([*words, "--run-dir", str(report.directory)])


def config_flags(config: RunConfig, skip: Collection[str] = ()) -> list[str]:
    """The flags that make a configuration from its model's recipe.

    Args:
        config: The configuration.
        skip: Names of fields to be left out.
    """
    recipe = default_config(config.model).sections()
    words = []
    for name, section in config.sections().items():
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            if field.name not in skip and value != getattr(recipe[name], field.name):
                words += flag(field.name, value)
    return words


def flag(name: str, value: Any) -> list[str]:
    """A field as on the command line; a tuple repeats its flag."""
    text = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [text if value else text.replace("--", "--no-", 1)]
    values = value if isinstance(value, tuple) else (value,)
    return [word for v in values for word in (text, str(v))]
