"""Plots of a search: scores by trial, and against every hyperparameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.config import Range, Values, is_number
from tfspeech.training.callbacks import Monitor
from tuning.reports import AXIS_LABELS
from tuning.search.dimensions import CLIP_KIND, Dimension, Space, Value
from tuning.search.importance import Importance, active_dimension
from tuning.search.trial_config import to_text
from tuning.search.trials import TrialRecord


def plot_search(
    space: Space,
    records: Sequence[TrialRecord],
    baseline: TrialRecord,
    objective: Monitor,
    importance: Importance | None,
    target: Path,
) -> None:
    """Plots the scores by trial, and against every hyperparameter.

    Beside the score are the share of steps clipped and the cosine. Ranges that were
    searched on a logarithmic scale have logarithmic axes.

    Args:
        space: The hyperparameters.
        records: Of the trials.
        baseline: The baseline's record, drawn as a dashed line.
        objective: The score that was optimised.
        importance: Of the hyperparameters, None where it is not known.
        target: The PNG.
    """
    names = list(dict.fromkeys(dimension.name for dimension in space))
    rows = 1 + len(names)
    figure = Figure(figsize=(13, 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, 3, squeeze=False)
    scored = [record for record in records if record.score is not None]
    _plot_scores(grid[0][0], records, objective)
    _plot_importance(grid[0][1], importance)
    _plot_statuses(grid[0][2], records)
    for panels, name in zip(grid[1:], names, strict=True):
        titles = {"score": f"validation {objective.name}"} | AXIS_LABELS
        for axes, (figure_name, title) in zip(panels, titles.items(), strict=True):
            _plot_figure(axes, space, name, scored, figure_name)
            axes.set(xlabel=name, ylabel=title)
            axes.grid(alpha=0.3)
    for axes in grid[:, 0] if baseline.score is not None else ():
        axes.axhline(baseline.score, color="black", ls="--", lw=1)
    figure.savefig(target, dpi=100)


def _plot_scores(
    axes: Axes, records: Sequence[TrialRecord], objective: Monitor
) -> None:
    """Plots scores in the order of the trials, and the best so far."""
    points = [(n, r.score) for n, r in enumerate(records) if r.score is not None]
    if points:
        numbers, scores = map(np.array, zip(*points, strict=True))
        best = objective.sign * np.maximum.accumulate(objective.sign * scores)
        axes.plot(numbers, scores, "o", ms=4)
        axes.step(numbers, best, where="post")
    axes.set(xlabel="trial", ylabel=f"validation {objective.name}")
    axes.set_title("dashed: the default configuration", fontsize=9)
    axes.grid(alpha=0.3)


def _plot_importance(axes: Axes, importance: Importance | None) -> None:
    if importance is None:
        axes.set_title("importance: too few trials with different scores", fontsize=9)
        return
    names = sorted(importance.drops, key=lambda name: importance.drops[name][0])
    means, stds = zip(*(importance.drops[name] for name in names), strict=True)
    axes.barh(names, means, xerr=stds)
    axes.set(xlabel="drop of R² when shuffled")
    axes.set_title(f"R² out of bag: {importance.explained:.2f}", fontsize=9)


def _plot_statuses(axes: Axes, records: Sequence[TrialRecord]) -> None:
    """Plots how many trials finished, were stopped, diverged or crashed."""
    counts = Counter(record.status for record in records)
    axes.bar(list(counts), list(counts.values()))
    axes.set(ylabel="trials")


def _plot_figure(
    axes: Axes,
    space: Space,
    name: str,
    records: Sequence[TrialRecord],
    figure_name: str,
) -> None:
    """Plots a figure of every trial against its value of a hyperparameter."""
    dimensions = [dimension for dimension in space if dimension.name == name]
    choices = _choices(dimensions)
    groups: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        figure = record.score if figure_name == "score" else record.figure(figure_name)
        if figure is None or active_dimension(space, name, record.values) is None:
            continue
        value = record.values[name]
        x = choices.index(value) if choices else float(value)
        kind = str(record.values.get(CLIP_KIND, "")) if len(dimensions) > 1 else ""
        groups.setdefault(kind, []).append((x, figure))
    for kind, points in groups.items():
        axes.plot(*zip(*points, strict=True), "o", ms=5, alpha=0.7, label=kind)
    if any(groups):
        axes.legend(fontsize=7)
    if choices:
        axes.set_xticks(range(len(choices)), list(map(to_text, choices)), rotation=30)
        axes.set_xlim(-0.5, len(choices) - 0.5)
    elif any(_is_log(dimension.values) for dimension in dimensions):
        axes.set_xscale("log")


def _choices(dimensions: Sequence[Dimension]) -> list[Value]:
    """The values as categories, in the order of an axis; empty for numbers."""
    values = dimensions[0].values
    if isinstance(values, Range) or all(map(is_number, values)):
        return []
    return list(values)


def _is_log(values: Values) -> bool:
    if isinstance(values, Range):
        return values.log
    return Range(min(values), max(values)).log
