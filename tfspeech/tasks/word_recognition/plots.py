"""Plots of which words are taken for which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure


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
