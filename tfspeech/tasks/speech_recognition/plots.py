"""Plots of which words are taken for which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def plot_errors(scores: dict[str, Any], target: Path) -> None:
    """Plots the most frequent errors, and the error rate of every speaker.

    Args:
        scores: Of `transcript_scores`.
        target: The PNG.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    frequent, speakers = figure.subplots(1, 2)
    names = [f"{a or 'nothing'} → {b or 'nothing'}" for a, b, _ in scores["confusions"]]
    counts = [count for *_, count in scores["confusions"]]
    frequent.barh(names[::-1], counts[::-1])
    frequent.set(xlabel="count", title="Errors: said → recognised")
    if not names:
        frequent.text(0.5, 0.5, "none", ha="center", transform=frequent.transAxes)
    rates = {name: each["wer"] for name, each in scores["per_speaker"].items()}
    rates = {"all": scores["wer"], **rates}
    speakers.barh([*rates][::-1], [100 * rate for rate in rates.values()][::-1])
    speakers.set(xlabel="word error rate (%)", title="Speakers", xlim=(0, None))
    figure.savefig(target, dpi=120)
