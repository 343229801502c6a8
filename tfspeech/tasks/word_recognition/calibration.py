"""Probabilities that mean what they say, and words that are none of those known."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

BINS = 15
_LOG_TEMPERATURES = (math.log(0.1), math.log(10.0))
_LEAST = 1e-30


class Calibration(NamedTuple):
    """A fit to words of speakers that the model was not trained on.

    Attributes:
        temperature: By which logits are divided.
        unknown_below: The quantile of the highest probabilities at that temperature
            under which the share of false alarms lies.
        error_before: Expected calibration error without the temperature.
        error_after: With it, on the same words.
    """

    temperature: float
    unknown_below: float
    error_before: float
    error_after: float


def calibrate(
    probabilities: np.ndarray, targets: np.ndarray, false_alarms: float
) -> Calibration:
    """Fits temperature and threshold.

    The temperature minimises the negative log-likelihood of the targets; it is 1 where
    all are recognised, which has no minimum. Source: Guo et al. 2017, "On Calibration
    of Modern Neural Networks" (arXiv 1706.04599).

    Args:
        probabilities: Of every label, [utterances, labels].
        targets: The right labels, int [utterances].
        false_alarms: The share of the utterances that may be called unknown, in [0, 1).
    """
    logits = np.log(np.maximum(probabilities, _LEAST))
    rows = np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / math.exp(log_temperature), axis=1)
        return -scaled[rows, targets].mean()

    temperature = 1.0
    if np.any(probabilities.argmax(axis=1) != targets):
        found = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
        temperature = math.exp(found.x)
    scaled = np.exp(log_softmax(logits / temperature, axis=1))
    return Calibration(
        temperature,
        float(np.quantile(scaled.max(axis=1), false_alarms)),
        calibration_error(probabilities, targets),
        calibration_error(scaled, targets),
    )


def reliability(
    probabilities: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compares how sure a model is with how often it is right.

    Args:
        probabilities: Of every label, [utterances, labels].
        targets: The right labels, int [utterances].

    Returns:
        Of each bin of the highest probability that is not empty, out of 15 of equal
        width: its mean, the share of utterances that are right, and their number.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    sums = [np.bincount(bins, values, BINS)[filled] for values in (confidence, right)]
    counts = counts[filled]
    return sums[0] / counts, sums[1] / counts, counts


def calibration_error(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The expected calibration error: |mean confidence - accuracy|, over all bins.

    Source: Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian
    binning".
    """
    confidence, accuracy, counts = reliability(probabilities, targets)
    return float(np.abs(confidence - accuracy) @ counts / counts.sum())
