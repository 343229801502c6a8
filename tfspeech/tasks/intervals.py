"""Confidence intervals of scores."""

from __future__ import annotations

import numpy as np
from scipy import stats

_RESAMPLES = 2000


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, also right near 0 and 1.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical
    inference".

    Args:
        correct: Successes.
        total: Trials, at least one.

    Example:
        >>> [round(bound, 3) for bound in wilson_interval(95, 100)]
        [0.888, 0.978]
    """
    interval = stats.binomtest(correct, total).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def rate_interval(errors: np.ndarray, totals: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of an error rate over utterances, by bootstrap.

    The errors of an utterance depend on one another, so that utterances are drawn.
    Source: Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR
    performance evaluation".

    Args:
        errors: Of each utterance, [utterances].
        totals: What could have been wrong in it, such as its words, [utterances].
    """
    rng = np.random.default_rng(0)
    counts = rng.multinomial(
        len(errors), np.full(len(errors), 1 / len(errors)), _RESAMPLES
    )
    rates = (counts @ errors) / np.maximum(counts @ totals, 1)
    low, high = np.quantile(rates, (0.025, 0.975))
    return float(low), float(high)
