"""Plots of a comparison, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tuning.compare.grid import Family
from tuning.compare.results import CandidateResult
from tuning.intervals import Estimate
from tuning.reports import AXIS_LABELS
from tuning.trials import FINISHED

_METRIC = {"metric": "validation {monitor}"}
_COLUMNS = _METRIC | AXIS_LABELS | {"update_cosine": "cosine of successive updates"}
_CURVES = {
    "clip": _METRIC | AXIS_LABELS,
    "regularize": _METRIC
    | {"zeros": "share of exact zeros", "final_loss": "final training loss"},
}
_LABEL_LENGTH = 48


def plot_candidates(
    results: Sequence[CandidateResult], monitor: str, target: Path
) -> None:
    """Plots the main figures of all candidates with their intervals, side by side."""
    height = 1.4 + 0.32 * len(results)
    figure = Figure(figsize=(3.0 + 2.6 * len(_COLUMNS), height), layout="constrained")
    panels = figure.subplots(1, len(_COLUMNS), sharey=True)
    rows = np.arange(len(results))
    for axes, (name, title) in zip(panels, _COLUMNS.items(), strict=True):
        estimates = [result.figure(name) for result in results]
        _plot_means(axes, rows, estimates, horizontal=True)
        axes.set(xlabel=title.format(monitor=monitor))
        axes.locator_params(axis="x", nbins=4)
        axes.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(rows, [_tick(result) for result in results])
    panels[0].set_ylim(len(results) - 0.5, -0.5)
    several = any(len(result.runs) > 1 for result in results)
    title = "Means over seeds with their 95 % intervals" if several else "One seed each"
    figure.suptitle(title, fontsize=10)
    figure.savefig(target, dpi=120)


def plot_curves(
    results: Sequence[CandidateResult],
    families: Sequence[Family],
    monitor: str,
    target: Path,
) -> None:
    """Plots figures against the argument in which candidates differ, a row for each."""
    by_candidate = {result.candidate: result for result in results}
    rows = {(family.kind, family.axis): None for family in families}
    figure = Figure(figsize=(12, 3.6 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for panels, (kind, axis) in zip(grid, rows, strict=True):
        members = [f for f in families if (f.kind, f.axis) == (kind, axis)]
        for axes, (name, title) in zip(panels, _CURVES[kind].items(), strict=True):
            for family in members:
                values = np.array([value for value, _ in family.members])
                estimates = [by_candidate[c].figure(name) for _, c in family.members]
                _plot_means(axes, values, estimates, label=_shorten(family.label))
            _value_axis(axes, sorted({v for f in members for v, _ in f.members}))
            axes.set(xlabel=axis, ylabel=title.format(monitor=monitor))
            axes.grid(alpha=0.3)
        panels[0].legend(fontsize=8)
    figure.savefig(target, dpi=120)


def _value_axis(axes: Axes, values: Sequence[float]) -> None:
    """Shows the values compared, on a logarithmic axis where they are positive."""
    if values[0] > 0:
        axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()


def _plot_means(
    axes: Axes,
    positions: np.ndarray,
    estimates: Sequence[Estimate | None],
    horizontal: bool = False,
    label: str = "",
) -> None:
    """Draws means with their intervals, a line through them unless horizontal."""
    pairs = zip(positions, estimates, strict=True)
    # A single seed has no interval, and NaN draws none.
    known = [(at, e.mean, e.half_width or np.nan) for at, e in pairs if e is not None]
    x, means, widths = np.reshape(known, (-1, 3)).T
    if horizontal:
        axes.errorbar(means, x, xerr=widths, fmt="o", capsize=3)
    else:
        axes.errorbar(x, means, yerr=widths, fmt=".-", capsize=3, label=label)


def _tick(result: CandidateResult) -> str:
    failed = len(result.runs) - result.count(FINISHED)
    note = f" ({failed} of {len(result.runs)} failed)" if failed else ""
    return _shorten(result.label) + note


def _shorten(label: str) -> str:
    """A label that fits beside a plot."""
    long = len(label) > _LABEL_LENGTH
    return f"{label[: _LABEL_LENGTH - 1]}…" if long else label
