"""Plots of a run, from its `metrics.jsonl` and its scores, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfspeech.training.callbacks import read_metrics

SMOOTHING_STEPS = 25
MOST_POINTS = 200
MOST_LABELS = 10

Record = dict[str, Any]

Panel = tuple[str, str, Sequence[str]]
"""Title, unit and names of scores."""


def plot_diagnostics(metrics: Path, folder: Path) -> None:
    """Plots what clipping and regularization did, a panel for every question.

    What was not measured is a gap: skipped steps, and the cosine of strategies that
    bound elements, of which dots are left, since it is sampled.

    Args:
        metrics: The `metrics.jsonl` of the run.
        folder: Gets `diagnostics.png`, or where there are several groups one for each,
            such as `diagnostics_discriminator.png`.
    """
    groups, epochs = read_records(metrics)
    for group, steps in (groups or {"none": []}).items():
        name = f"diagnostics_{group}.png" if len(groups) > 1 else "diagnostics.png"
        weights = [(e["step"], e["weights"][group]) for e in epochs]
        _plot_group(steps, weights, folder / name)


def _plot_group(
    steps: list[Record], weights: list[tuple[int, dict[str, float]]], target: Path
) -> None:
    figure = Figure(figsize=(12, 11), layout="constrained")
    norms, shares, losses, turns, ratios, sparsity = figure.subplots(3, 2).flat
    norms.set(title="How large is the gradient?", ylabel="L2 norm", yscale="log")
    _smooth(norms, steps, "gradient_norm", "raw")
    _smooth(norms, steps, "clipped_norm", "clipped")
    _smooth(norms, steps, "threshold", "threshold", "--")
    _smooth(shares, steps, "clipped", "steps clipped")
    _smooth(shares, steps, "clipped_tensors", "tensors clipped")
    _smooth(shares, steps, "clipped_elements", "elements clipped")
    _smooth(shares, steps, "skipped", "steps skipped", "--")
    shares.set(title="How often is it clipped?", ylabel="share", ylim=(-0.02, 1.02))
    _smooth(losses, steps, "cosine", "cosine, clipped to raw")
    _smooth(losses, steps, "retained_energy", "energy retained")
    losses.set(title="What is lost?", ylabel="share or cosine")
    _smooth(turns, steps, "update_cosine", "cosine of successive updates")
    _smooth(turns, steps, "sign_flips", "weights that turn round")
    _smooth(turns, steps, _turns(series(steps, "loss")), "the loss turns round", "--")
    turns.set(title="Does it oscillate?", ylabel="share or cosine")
    ratios.set(title="Is the step sane?", ylabel="|dw| / |w|", yscale="log")
    _draw_update_ratios(ratios, steps)
    _draw_sparsity(sparsity, weights)
    sparsity.set(title="How sparse are the weights?", ylabel="share of the weights")
    for axes in figure.axes:
        axes.set_xlabel("step")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    figure.savefig(target, dpi=120)


def read_records(metrics: Path) -> tuple[dict[str, list[Record]], list[Record]]:
    """Reads the records of the steps of every group, and those of epochs."""
    groups: dict[str, list[Record]] = {}
    epochs: list[Record] = []
    for record in read_metrics(metrics):
        own = groups.setdefault(record["group"], []) if "group" in record else epochs
        own.append(record)
    return groups, epochs


def series(steps: list[Record], name: str) -> np.ndarray:
    """A metric of every step; NaN where it was not measured."""
    # None becomes NaN.
    return np.array([record.get(name) for record in steps], float)


def plot_validation(metrics: Path, panels: Sequence[Panel], target: Path) -> None:
    """Plots scores of all validations of a run, and the training loss beside its own.

    Args:
        metrics: The `metrics.jsonl` of the run.
        panels: Of the figure.
        target: The PNG.
    """
    groups, epochs = read_records(metrics)
    steps = next(iter(groups.values()), [])
    columns = min(len(panels), 3) if len(panels) % 2 else 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.5 * columns, 4 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    at = [record["step"] for record in epochs]
    for axes, (title, unit, names) in zip(grid.flat, panels, strict=True):
        for name in names:
            if name == "loss":
                _smooth(axes, steps, "loss", "training")
            values = [record["validation"][name] for record in epochs]
            label = "validation" if name == "loss" else name.replace("_", " ")
            axes.plot(at, values, ".-", label=label)
        axes.set(xlabel="step", ylabel=unit, title=title)
        axes.legend()
    figure.savefig(target, dpi=120)


def _turns(values: np.ndarray) -> np.ndarray:
    """Whether a series turns round at a place: 1 or 0, NaN where that is not known."""
    signs = np.sign(np.diff(values, prepend=np.nan))
    products = signs * np.roll(signs, 1)
    return np.where(np.isnan(products), np.nan, products < 0)


def _smooth(
    axes: Axes,
    steps: list[Record],
    metric: str | np.ndarray,
    label: str,
    style: str = "-",
) -> None:
    """Draws a metric as means over a few steps; nothing where none has a value."""
    values = series(steps, metric) if isinstance(metric, str) else metric
    usable = np.isfinite(values)
    if axes.get_yscale() == "log":
        usable &= values > 0.0
    if not usable.any():
        return
    width = max(SMOOTHING_STEPS, -(-len(steps) // MOST_POINTS))
    bins = np.arange(len(steps)) // width
    counts = np.bincount(bins, usable)
    sums = np.bincount(bins, np.where(usable, values, 0.0))
    places = np.bincount(bins, [r["step"] for r in steps]) / np.bincount(bins)
    means = sums / np.where(counts, counts, np.nan)
    axes.plot(places, means, style, marker=".", markersize=3, label=label)


def _draw_update_ratios(axes: Axes, steps: list[Record]) -> None:
    """Draws a line per layer, the median over its variables, from input to output.

    Of many layers the legend names some, evenly spread.
    """
    recorded = [record["update_ratio"] for record in steps if "update_ratio" in record]
    layers: dict[str, list[str]] = {}
    for path in recorded[0] if recorded else ():
        layers.setdefault(path.rpartition("/")[0], []).append(path)
    every = -(-len(layers) // MOST_LABELS)
    axes.set_prop_cycle(color=colormaps["viridis"](np.linspace(0, 0.95, len(layers))))
    for index, (layer, paths) in enumerate(layers.items()):
        medians = np.array([_median(r.get("update_ratio", {}), paths) for r in steps])
        # Matplotlib leaves names that begin with an underscore out of a legend.
        _smooth(axes, steps, medians, f"_{layer}" if index % every else layer)


def _median(ratios: dict[str, float | None], paths: list[str]) -> float:
    found = [ratio for path in paths if (ratio := ratios.get(path)) is not None]
    return float(np.median(found)) if found else float("nan")


def _draw_sparsity(axes: Axes, weights: list[tuple[int, dict[str, float]]]) -> None:
    """Draws every figure of the weights at the end of every epoch."""
    at = [step for step, _ in weights]
    for name in weights[0][1] if weights else ():
        values = [figures[name] for _, figures in weights]
        axes.plot(at, values, ".-", label=name.replace("_", " "))
