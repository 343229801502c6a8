"""Figures for how near generated words are to recordings, and how diverse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.fft import dct
from scipy.spatial.distance import cdist

COLUMNS = {
    "": "generated",
    "recording_": "recordings",
    "vocoded_": "recordings, vocoded",
}
"""Prefix of a score -> what it was measured on."""

_COEFFICIENTS = 6  # Of the cosine transform over time.
_SMALLEST = 1e-12  # Of a probability.


def coarse_shapes(contours: np.ndarray) -> np.ndarray:
    """The first six coefficients over time of the cosine transform of every value.

    Args:
        contours: [clips, frames, values].

    Returns:
        [clips, coefficients], means over time of products with cosines.
    """
    found = dct(contours, axis=1, norm="ortho")[:, :_COEFFICIENTS]
    return found.reshape(len(contours), -1) / np.sqrt(contours.shape[1])


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The Frechet distance of two sets of vectors, each taken as normally distributed.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), as by M. Heusel et al., "GANs Trained
    by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017. Of few
    vectors it is too large: sets of other sizes have other distances.

    Args:
        first: [vectors, dim], at least two of them.
        second: Likewise.
    """
    means = [each.mean(axis=0, dtype=np.float64) for each in (first, second)]
    covariances = [
        np.cov(each, rowvar=False, dtype=np.float64) for each in (first, second)
    ]
    # The trace of the root of a matrix is the sum of the roots of its eigenvalues.
    eigenvalues = np.linalg.eigvals(covariances[0] @ covariances[1]).real
    shared = np.sqrt(np.maximum(eigenvalues, 0.0)).sum()
    traces = sum(np.trace(each) for each in covariances)
    return float(np.sum((means[0] - means[1]) ** 2) + traces - 2.0 * shared)


def word_scores(probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """How sure a recogniser is of the words that it hears, and how diverse they are.

    Args:
        probabilities: Of every label, [clips, labels].
        labels: The names of the labels.

    Returns:
        `mean_probability` of the most probable label; `inception_score`, the
        exponential of the mean divergence of a clip's probabilities from their mean
        over the clips (T. Salimans et al., "Improved Techniques for Training GANs",
        2016), which is 1 for clips that are all alike or all unclear, and the number of
        labels for clips that are clear and have all labels as often; `label_entropy`,
        the entropy of that mean in nats; and `shares`, label -> the share of clips that
        it is heard in.
    """
    p = np.maximum(probabilities.astype(np.float64), _SMALLEST)
    mean = p.mean(axis=0)
    divergence = np.sum(p * (np.log(p) - np.log(mean)), axis=1).mean()
    counts = np.bincount(p.argmax(axis=1), minlength=len(labels))
    return {
        "mean_probability": float(p.max(axis=1).mean()),
        "inception_score": float(np.exp(divergence)),
        "label_entropy": float(-np.sum(mean * np.log(mean))),
        "shares": {
            label: float(count / len(p))
            for label, count in zip(labels, counts, strict=True)
        },
    }


def nearest_distances(clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The root mean square difference of each clip from the nearest of some others.

    Args:
        clips: [clips, frames, values].
        others: Likewise.

    Returns:
        [clips], in the unit of the values.
    """
    rows, columns = (x.reshape(len(x), -1).astype(np.float64) for x in (clips, others))
    squares = cdist(rows, columns, "sqeuclidean").min(axis=1)
    return np.sqrt(squares / rows.shape[1])


def describe_scores(scores: Mapping[str, Any]) -> str:
    """The scores of `WordGeneration.evaluate_split` as text."""
    lines = [
        f"{scores['clips']} clips, {scores['recordings']} recordings",
        f"Frechet distance {scores['frechet']:.2f}, of training recordings "
        f"{scores['recording_frechet']:.2f}",
        f"difference from the nearest training recording {scores['nearest']:.3f}, of "
        f"recordings of the split {scores['recording_nearest']:.3f}",
        f"the discriminator tells {scores['discriminator_accuracy']:.0%}",
    ]
    if "shares" not in scores:
        return "\n".join(lines)
    lines += ["", " " * 22 + "".join(f"{title:>21}" for title in COLUMNS.values())]
    for name, title, form in (
        ("mean_probability", "mean probability", ".1%"),
        ("inception_score", "inception score", ".2f"),
        ("label_entropy", "label entropy, nats", ".2f"),
        ("embedding_frechet", "embeddings, Frechet", ".2f"),
    ):
        row = "".join(f"{scores[f'{prefix}{name}']:>21{form}}" for prefix in COLUMNS)
        lines.append(f"{title:<22}{row}")
    for label in scores["shares"]:
        shares = (scores[f"{prefix}shares"][label] for prefix in COLUMNS)
        row = "".join(f"{share:>21.1%}" for share in shares)
        lines.append(f"{'heard as ' + label:<22}{row}")
    return "\n".join(lines)
