"""Plots of how a synthesiser has learned."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from tfspeech.training.callbacks import read_metrics

PANELS = (
    ("Loss under teacher forcing", "loss", ("loss",)),
    ("Mel-cepstral distortion, spoken freely", "dB", ("mcd_db",)),
    (
        "Attention",
        "share",
        ("focus", "diagonality", "monotonic_coverage", "stopped"),
    ),
    ("Words lost", "share of the words", ("skipped_words", "repeated_words")),
)


def plot_synthesis(metrics: Path, target: Path) -> None:
    """Plots the scores of all validations of a run.

    Args:
        metrics: The `metrics.jsonl` of the run.
        target: The PNG.
    """
    records = [r for r in read_metrics(metrics) if "validation" in r]
    steps = [record["step"] for record in records]
    figure = Figure(figsize=(10, 7), layout="constrained")
    for axes, (title, unit, names) in zip(
        figure.subplots(2, 2).flat, PANELS, strict=True
    ):
        for name in names:
            values = [record["validation"][name] for record in records]
            axes.plot(steps, values, ".-", label=name.replace("_", " "))
        axes.set(xlabel="step", ylabel=unit, title=title)
        if len(names) > 1:
            axes.legend()
    figure.savefig(target, dpi=120)
