"""Plots of a run, from its `metrics.jsonl` and its scores, as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfspeech.training.actions import read_metrics

SMOOTHING_STEPS = 25


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


def plot_gradients(metrics: Path, target: Path) -> None:
    """Plots the norm of the gradient before and after clipping, and how much clips."""
    steps, _ = _split(metrics)
    figure = Figure(figsize=(9, 4), layout="constrained")
    norms, shares = figure.subplots(1, 2)
    _smooth_line(norms, steps, "gradient_norm", "raw")
    _smooth_line(norms, steps, "clipped_norm", "clipped", "--")
    norms.set(xlabel="step", ylabel="L2 norm", yscale="log", title="Gradient norm")
    norms.legend()
    _smooth_line(shares, steps, "clipped", "clipped")
    _smooth_line(shares, steps, "skipped", "skipped", "--")
    shares.set(xlabel="step", ylabel="share of steps", ylim=(-0.02, 1.02))
    shares.set_title("Steps clipped and skipped")
    shares.legend()
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


def _smooth_line(
    axes: Axes, steps: list[dict[str, Any]], name: str, label: str, style: str = "-"
) -> None:
    """Draws a metric of every step as means over a few steps."""
    values = np.array([record[name] for record in steps], float)  # None becomes NaN.
    usable = np.isfinite(values)
    places = np.array([record["step"] for record in steps])[usable]
    bounds = range(SMOOTHING_STEPS, len(places) - SMOOTHING_STEPS + 1, SMOOTHING_STEPS)
    x, y = (
        [part.mean() for part in np.split(series, bounds) if part.size]
        for series in (places, values[usable])
    )
    axes.plot(x, y, style, label=label)
