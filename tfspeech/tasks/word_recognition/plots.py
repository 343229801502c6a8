"""Plots of which words are taken for which, and of how sure the model is of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

_MOST_COUNTED = 40
"""Of more words the counts would not be readable."""


def plot_confusion(scores: dict[str, Any], target: Path) -> None:
    """Plots which words were taken for which: shares of what was said, and counts."""
    counts = np.array(scores["confusion"], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = scores["labels"]
    size = max(4.0, 0.35 * len(labels) + 2.0)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of what was said")
    for (row, column), count in np.ndenumerate(counts):
        if count and len(labels) <= _MOST_COUNTED:
            color = "white" if shares[row, column] > 0.5 else "black"
            text = {"ha": "center", "va": "center", "size": "small", "color": color}
            axes.text(column, row, f"{count:.0f}", **text)
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="recognised", ylabel="said")
    axes.set_title(f"Accuracy {scores['accuracy']:.2%}")
    figure.savefig(target, dpi=120)


def plot_reliability(scores: dict[str, Any], target: Path) -> None:
    """Plots how often words are right against how sure the model is of them."""
    confidence, accuracy, utterances = np.array(scores["reliability"]).T
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", linewidth=1)
    area = 10 + 290 * utterances / utterances.max()
    axes.scatter(confidence, accuracy, s=area, alpha=0.7)
    axes.set(
        xlabel="mean probability of the best word",
        ylabel="share correct",
        xlim=(0, 1.03),
        ylim=(0, 1.03),
        title=f"Expected calibration error {scores['calibration_error']:.2%}",
    )
    figure.savefig(target, dpi=120)
