"""Figures for how well words are recognised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from tfspeech.tasks.intervals import wilson_interval
from tfspeech.tasks.word_recognition.calibration import calibration_error, reliability


def recognition_scores(
    probabilities: np.ndarray,
    targets: np.ndarray,
    labels: Sequence[str],
    speakers: Sequence[str],
) -> dict[str, Any]:
    """Scores the classification of utterances.

    Args:
        probabilities: Of every label, [utterances, labels].
        targets: The right label of each utterance, its index, [utterances].
        labels: The names of the labels.
        speakers: The speaker of each utterance, empty where unknown.

    Returns:
        `loss` (mean negative log-likelihood in nats), `accuracy` with its 95 % interval
        `accuracy_interval`, `utterances`, `per_speaker` (accuracy and utterances),
        `labels` and `confusion` (rows: said, columns: recognised);
        `calibration_error` and `reliability`, rows of a bin's mean confidence, share
        correct and utterances.
    """
    targets = np.asarray(targets)
    chosen = probabilities.argmax(axis=1)
    correct = chosen == targets
    likelihood = probabilities[np.arange(len(targets)), targets]
    confusion = confusion_matrix(targets, chosen, labels=range(len(labels)))
    names = np.asarray(speakers)
    return {
        "loss": float(-np.log(np.maximum(likelihood, 1e-30)).mean()),
        "accuracy": float(correct.mean()),
        "accuracy_interval": wilson_interval(int(correct.sum()), len(correct)),
        "utterances": len(targets),
        "per_speaker": {
            str(name): {
                "accuracy": float(correct[names == name].mean()),
                "utterances": int((names == name).sum()),
            }
            for name in np.unique(names)
            if name
        },
        "labels": list(labels),
        "confusion": confusion.tolist(),
        "calibration_error": calibration_error(probabilities, targets),
        "reliability": np.column_stack(reliability(probabilities, targets)).tolist(),
    }


def describe_scores(scores: dict[str, Any]) -> str:
    """The scores as text: accuracy, speakers, confusion matrix."""
    low, high = scores["accuracy_interval"]
    lines = [
        f"loss      {scores['loss']:.4f} nats",
        f"accuracy  {scores['accuracy']:.2%} of {scores['utterances']} utterances "
        f"(95 % interval {low:.2%} to {high:.2%})",
        f"expected calibration error  {scores['calibration_error']:.2%}",
    ]
    if scores["per_speaker"]:
        lines += ["", f"{'speaker':<24}  accuracy  utterances"]
        lines += [
            f"{name:<24}  {entry['accuracy']:>8.2%}  {entry['utterances']:>10}"
            for name, entry in scores["per_speaker"].items()
        ]
    width = max(map(len, scores["labels"])) + 1
    cell = max(width, len(str(scores["utterances"])) + 1)
    head = "".join(label.rjust(cell) for label in scores["labels"])
    lines += ["", "said \\ recognised".ljust(width), " " * width + head]
    for label, row in zip(scores["labels"], scores["confusion"], strict=True):
        counts = (str(n) if n else "." for n in row)
        lines.append(label.ljust(width) + "".join(c.rjust(cell) for c in counts))
    return "\n".join(lines)
