"""How far the confidence of a recogniser is from how often it is right."""

from __future__ import annotations

from typing import Any

import numpy as np

_RANGES = 10


def reliability(confidences: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Compares how sure a model is with how often it is right.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 2.

    Args:
        confidences: In [0, 1], [utterances].
        right: Whether the answer has no error, bool [utterances].

    Returns:
        `calibration_error`, the mean distance between the two over ten ranges of
        confidence, weighted by their utterances; and `reliability`, for each range that
        has any, [mean confidence, share that is right, utterances].
    """
    ranges = np.minimum((confidences * _RANGES).astype(int), _RANGES - 1)
    rows = []
    for place in np.unique(ranges):
        inside = ranges == place
        confidence, share = confidences[inside].mean(), right[inside].mean()
        rows.append([float(confidence), float(share), int(inside.sum())])
    distances = [count * abs(one - other) for one, other, count in rows]
    return {
        "calibration_error": float(sum(distances) / max(len(right), 1)),
        "reliability": rows,
    }
