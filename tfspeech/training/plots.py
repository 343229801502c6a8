"""Plots of a run, from its `metrics.jsonl` and its scores, as PNG."""

from __future__ import annotations

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


def plot_learning(metrics: Path, target: Path) -> None:
    """Plots the loss of training and validation, and the validation accuracy."""
    steps, epochs = _split(metrics)
    figure = Figure(figsize=(9, 4), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    _smooth_line(losses, steps, "loss", "training, augmented")
    at = [record["step"] for record in epochs]
    for axes, name in ((losses, "loss"), (accuracies, "accuracy")):
        values = [record["validation"][name] for record in epochs]
        axes.plot(at, values, ".-", label="validation")
    losses.set(xlabel="step", ylabel="cross-entropy (nats)", title="Loss")
    accuracies.set(xlabel="step", ylabel="share correct", title="Accuracy")
    losses.legend()
    figure.savefig(target, dpi=120)


def plot_diagnostics(metrics: Path, target: Path) -> None:
    """Plots what clipping and regularization did, a panel for every question.

    What was not measured is a gap: skipped steps, and the cosine of strategies that
    bound elements, of which dots are left, since it is sampled.
    """
    steps, epochs = _split(metrics)
    figure = Figure(figsize=(12, 11), layout="constrained")
    norms, shares, losses, turns, ratios, sparsity = figure.subplots(3, 2).flat
    norms.set(title="How large is the gradient?", ylabel="L2 norm", yscale="log")
    _smooth_line(norms, steps, "gradient_norm", "raw")
    _smooth_line(norms, steps, "clipped_norm", "clipped")
    _smooth_line(norms, steps, "threshold", "threshold", "--")
    _smooth_line(shares, steps, "clipped", "steps clipped")
    _smooth_line(shares, steps, "clipped_tensors", "tensors clipped")
    _smooth_line(shares, steps, "clipped_elements", "elements clipped")
    _smooth_line(shares, steps, "skipped", "steps skipped", "--")
    shares.set(title="How often is it clipped?", ylabel="share", ylim=(-0.02, 1.02))
    _smooth_line(losses, steps, "cosine", "cosine, clipped to raw")
    _smooth_line(losses, steps, "retained_energy", "energy retained")
    losses.set(title="What is lost?", ylabel="share or cosine")
    _smooth_line(turns, steps, "update_cosine", "cosine of successive updates")
    _smooth_line(turns, steps, "sign_flips", "weights that turn round")
    _smooth(turns, steps, _turns(_series(steps, "loss")), "the loss turns round", "--")
    turns.set(title="Does it oscillate?", ylabel="share or cosine")
    ratios.set(title="Is the step sane?", ylabel="|dw| / |w|", yscale="log")
    _draw_update_ratios(ratios, steps)
    _draw_sparsity(sparsity, epochs)
    sparsity.set(title="How sparse are the weights?", ylabel="share of the weights")
    for axes in figure.axes:
        axes.set_xlabel("step")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    figure.savefig(target, dpi=120)


def plot_confusion(scores: dict[str, Any], target: Path) -> None:
    """Plots which words were taken for which, as shares of what was said."""
    counts = np.array(scores["confusion"], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = scores["labels"]
    size = max(4.0, 0.35 * len(labels) + 2.0)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of what was said")
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="recognised", ylabel="said")
    axes.set_title(f"Accuracy {scores['accuracy']:.2%}")
    figure.savefig(target, dpi=120)


def _split(metrics: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records of steps and those of epochs."""
    records = read_metrics(metrics)
    epochs = [record for record in records if "validation" in record]
    return [record for record in records if "validation" not in record], epochs


def _series(steps: list[dict[str, Any]], name: str) -> np.ndarray:
    """A metric of every step; NaN where it was not measured."""
    return np.array([record[name] for record in steps], float)  # None becomes NaN.


def _turns(values: np.ndarray) -> np.ndarray:
    """Whether a series turns round at a place: 1 or 0, NaN where that is not known."""
    signs = np.sign(np.diff(values, prepend=np.nan))
    products = signs * np.roll(signs, 1)
    return np.where(np.isnan(products), np.nan, products < 0)


def _smooth_line(
    axes: Axes, steps: list[dict[str, Any]], name: str, label: str, style: str = "-"
) -> None:
    """Draws a metric of every step as means over a few steps."""
    _smooth(axes, steps, _series(steps, name), label, style)


def _smooth(
    axes: Axes,
    steps: list[dict[str, Any]],
    values: np.ndarray,
    label: str,
    style: str = "-",
) -> None:
    """Draws means over a few steps; nothing where none of them has a value."""
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


def _draw_update_ratios(axes: Axes, steps: list[dict[str, Any]]) -> None:
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


def _draw_sparsity(axes: Axes, epochs: list[dict[str, Any]]) -> None:
    """Draws every figure of the weights at the end of every epoch."""
    at = [record["step"] for record in epochs]
    for name in epochs[0]["weights"] if epochs else ():
        values = [record["weights"][name] for record in epochs]
        axes.plot(at, values, ".-", label=name.replace("_", " "))
