"""Plots of a run, from its `metrics.jsonl` and its scores, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from matplotlib import colormaps
from matplotlib.figure import Figure

from tfspeech.training.callbacks import read_metrics, writing_events
from tfspeech.training.diagnostics import SMALL_WEIGHT

SMOOTHING_STEPS = 25
MOST_POINTS = 200
MOST_LABELS = 10

USUAL_RATIOS = (1e-4, 1e-2)
"""Update-to-weight ratios within a factor of 10 of 1e-3, the rule of thumb in the notes
of Stanford's course CS231n ("Ratio of weights:updates")."""

_NORM, _SHARE, _RATIO = "L2 norm", "share", "|dw| / |w|"
_MEANINGS = {
    "zeros": "weights that are exactly 0",
    "small": f"weights below {SMALL_WEIGHT:g} in size",
    "zero_units": "units whose weights are all 0",
    "effective_parameters": "effective parameters: (sum |w|)² / (n sum w²)",
}

Record = dict[str, Any]

Panel = tuple[str, str, Sequence[str]]
"""Title, unit and names of scores."""


class Curve(NamedTuple):
    """A line in a panel.

    Attributes:
        steps: Numbers of steps.
        values: A value for each, NaN for a gap.
        style: Arguments of `Axes.plot`.
    """

    steps: np.ndarray
    values: np.ndarray
    style: dict[str, Any]


def plot_diagnostics(metrics: Path, folder: Path) -> None:
    """Plots what clipping and regularization did, a panel for every question.

    What was not measured is a gap: skipped steps, and the cosine of strategies that
    bound elements, of which dots are left, since it is sampled. Panels that have
    nothing to show are left out.

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
    turns = _turns(series(steps, "loss"))
    panels = {
        ("How large is the gradient?", _NORM): [
            _sizes(steps, "gradient_norm", "raw", linewidth=4, alpha=0.4),
            _sizes(steps, "clipped_norm", "clipped", linewidth=1),
            _sizes(steps, "threshold", "threshold of the norm", linestyle="--"),
            _sizes(
                steps, "element_threshold", "threshold of each element", linestyle=":"
            ),
        ],
        ("How often is it clipped?", _SHARE): [
            _means(steps, "clipped", "steps clipped"),
            _means(steps, "clipped_tensors", "tensors clipped"),
            _means(steps, "clipped_elements", "elements clipped"),
            _means(steps, "skipped", "steps skipped", linestyle="--"),
        ],
        ("What is lost?", "share or cosine"): [
            _means(steps, "cosine", "cosine, clipped to raw"),
            _means(steps, "retained_energy", "energy retained"),
        ],
        ("Does it oscillate?", "share or cosine"): [
            _means(steps, "update_cosine", "cosine of successive updates"),
            _means(steps, "sign_flips", "weights that change direction"),
            _means(steps, turns, "loss changes direction", linestyle="--"),
        ],
        ("Is the step sane?", _RATIO): _update_ratios(steps),
        ("How sparse are the weights?", "share of their number"): _sparsity(weights),
    }
    shown = {
        panel: found
        for panel, curves in panels.items()
        if (found := [curve for curve in curves if curve is not None])
    }
    rows = max(-(-len(shown) // 2), 1)
    figure = Figure(figsize=(12, 3.7 * rows), layout="constrained")
    if not shown:
        figure.suptitle("No step was measured.")
    for place, ((title, unit), curves) in enumerate(shown.items(), 1):
        axes = figure.add_subplot(rows, 2, place)
        for curve in curves:
            axes.plot(curve.steps, curve.values, **curve.style)
        if unit in (_NORM, _RATIO):
            axes.set_yscale("log")
        if unit == _RATIO:
            low, high = USUAL_RATIOS
            label = f"usual: {low:g} to {high:g}"
            axes.axhspan(low, high, color="tab:green", alpha=0.1, label=label)
        if unit == _SHARE:
            axes.set_ylim(-0.02, 1.02)
        axes.set(title=title, ylabel=unit, xlabel="step")
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


def series(records: list[Record], name: str) -> np.ndarray:
    """A metric of every record; NaN where it was not measured."""
    # None becomes NaN.
    return np.array([record.get(name) for record in records], float)


def plot_validation(metrics: Path, panels: Sequence[Panel], target: Path) -> None:
    """Plots scores of all validations of a run, and the training loss beside its own.

    Args:
        metrics: The `metrics.jsonl` of the run.
        panels: Of the figure; those without any score are left out.
        target: The PNG.
    """
    groups, epochs = read_records(metrics)
    steps = next(iter(groups.values()), [])
    at = [record["step"] for record in epochs]
    scores = [record["validation"] for record in epochs]
    shown = [
        panel
        for panel in panels
        if any(np.isfinite(series(scores, name)).any() for name in panel[2])
    ]
    columns = min(len(shown), 3) if len(shown) % 2 else 2
    rows = max(-(-len(shown) // max(columns, 1)), 1)
    figure = Figure(figsize=(4.5 * max(columns, 1), 4 * rows), layout="constrained")
    if not shown:
        figure.suptitle("Nothing was validated.")
    for place, (title, unit, names) in enumerate(shown, 1):
        axes = figure.add_subplot(rows, columns, place)
        for name in names:
            training = _means(steps, "loss", "training") if name == "loss" else None
            if training:
                axes.plot(training.steps, training.values, **training.style)
            label = "validation" if name == "loss" else name.replace("_", " ")
            axes.plot(at, series(scores, name), ".-", label=label)
        axes.set(xlabel="step", ylabel=unit, title=title)
        axes.legend()
    figure.savefig(target, dpi=120)


def log_images(plots: Path, tensorboard: Path, step: int) -> None:
    """Writes the plots of a run to TensorBoard as images.

    Args:
        plots: The folder of their PNGs.
        tensorboard: The folder of the run's events.
        step: The number of the last step.
    """
    writer = tf.summary.create_file_writer(str(tensorboard))
    with writing_events(tensorboard), writer.as_default(step):
        for path in sorted(plots.glob("*.png")):
            picture = tf.io.decode_png(path.read_bytes(), channels=3)
            tf.summary.image(f"plots/{path.stem}", picture[tf.newaxis])
        writer.close()


def _turns(values: np.ndarray) -> np.ndarray:
    """Whether a series turns round at a place: 1 or 0, NaN where that is not known."""
    signs = np.sign(np.diff(values, prepend=np.nan))
    products = signs * np.roll(signs, 1)
    return np.where(np.isnan(products), np.nan, products < 0)


def _means(
    steps: list[Record], metric: str | np.ndarray, label: str, **style: Any
) -> Curve | None:
    """Returns means of a metric over a few steps; None where none has a value."""
    values = series(steps, metric) if isinstance(metric, str) else metric
    usable = np.isfinite(values)
    if not usable.any():
        return None
    width = max(SMOOTHING_STEPS, -(-len(steps) // MOST_POINTS))
    # The last few steps join the bin before them: a mean over them alone would jump.
    bins = np.minimum(np.arange(len(steps)) // width, max(len(steps) // width - 1, 0))
    counts = np.bincount(bins, usable)
    sums = np.bincount(bins, np.where(usable, values, 0.0))
    places = np.bincount(bins, [r["step"] for r in steps]) / np.bincount(bins)
    means = sums / np.where(counts, counts, np.nan)
    return Curve(
        places, means, {"marker": ".", "markersize": 3, "label": label} | style
    )


def _sizes(
    steps: list[Record], metric: str | np.ndarray, label: str, **style: Any
) -> Curve | None:
    """As `_means`, for a logarithmic axis, on which 0 has no place."""
    values = series(steps, metric) if isinstance(metric, str) else metric
    return _means(steps, np.where(values > 0.0, values, np.nan), label, **style)


def _update_ratios(steps: list[Record]) -> list[Curve | None]:
    """A curve per layer, the median over its variables, from input to output.

    Of many layers the legend names some, evenly spread.
    """
    recorded = [record["update_ratio"] for record in steps if "update_ratio" in record]
    layers: dict[str, list[str]] = {}
    for path in recorded[0] if recorded else ():
        layers.setdefault(path.rpartition("/")[0], []).append(path)
    every = -(-len(layers) // MOST_LABELS)
    # The name of the model, where there is but one.
    models = {layer.partition("/")[0] for layer in layers}
    common = f"{min(models)}/" if len(models) == 1 else ""
    colors = colormaps["viridis"](np.linspace(0, 0.95, len(layers)))
    curves = []
    for index, (layer, paths) in enumerate(layers.items()):
        medians = np.array([_median(r.get("update_ratio", {}), paths) for r in steps])
        # Matplotlib leaves names that begin with an underscore out of a legend.
        label = f"{'_' if index % every else ''}{layer.removeprefix(common)}"
        curves.append(_sizes(steps, medians, label, color=colors[index]))
    return curves


def _median(ratios: dict[str, float | None], paths: list[str]) -> float:
    found = [ratio for path in paths if (ratio := ratios.get(path)) is not None]
    return float(np.median(found)) if found else float("nan")


def _sparsity(weights: list[tuple[int, dict[str, float]]]) -> list[Curve]:
    """A curve for each figure of the weights, which are measured after every epoch."""
    steps = np.array([step for step, _ in weights])
    figures = [figures for _, figures in weights]
    return [
        Curve(
            steps,
            series(figures, name),
            {"marker": ".", "label": _MEANINGS.get(name, name)},
        )
        for name in (figures[0] if figures else ())
    ]
