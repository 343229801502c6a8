"""Plots of how a parametric synthesiser has learned."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from tfspeech.training.callbacks import read_metrics

PANELS = (
    ("Loss", "squared error, normalised", "loss"),
    ("Mel-cepstral distortion, true durations", "dB", "aligned_mcd_db"),
    ("Duration RMSE", "frames", "duration_rmse_frames"),
)


def plot_parametric(metrics: Path, target: Path) -> None:
    """Plots the scores of all validations of a run.

    Args:
        metrics: The `metrics.jsonl` of the run.
        target: The PNG.
    """
    records = [r for r in read_metrics(metrics) if "validation" in r]
    steps = [record["step"] for record in records]
    figure = Figure(figsize=(12, 4), layout="constrained")
    for axes, (title, unit, name) in zip(
        figure.subplots(1, 3).flat, PANELS, strict=True
    ):
        axes.plot(steps, [record["validation"][name] for record in records], ".-")
        axes.set(xlabel="step", ylabel=unit, title=title)
    figure.savefig(target, dpi=120)
