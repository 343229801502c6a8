"""Plots of which words are taken for which, and how sure the model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def plot_errors(scores: dict[str, Any], target: Path) -> None:
    """Plots the most frequent errors, the error rates of speakers, and confidences.

    Args:
        scores: Of `transcript_scores` and `reliability`.
        target: The PNG.
    """
    figure = Figure(figsize=(13, 5), layout="constrained")
    frequent, speakers, sure = figure.subplots(1, 3)
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
    sure.plot([0, 1], [0, 1], ":", color="gray")
    rows = scores["reliability"]
    sure.plot([row[0] for row in rows], [row[1] for row in rows], "o-")
    sure.set(xlabel="confidence", ylabel="share of transcripts that are right")
    sure.set_title(f"Calibration error {scores['calibration_error']:.2%}")
    figure.savefig(target, dpi=120)
