"""Plots of which words are taken for which."""

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
