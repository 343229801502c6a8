"""Figures for how near generated words are to recordings, and how diverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_SMALLEST = 1e-12  # Of a probability.


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
        clips: [clips, values].
        others: [others, values].

    Returns:
        [clips], in the unit of the values.
    """
    squares = [np.sum(each.astype(np.float64) ** 2, axis=1) for each in (clips, others)]
    products = clips.astype(np.float64) @ others.astype(np.float64).T
    distances = squares[0][:, np.newaxis] + squares[1] - 2.0 * products
    return np.sqrt(np.maximum(distances.min(axis=1), 0.0) / clips.shape[1])
