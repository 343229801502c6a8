"""Means over seeds and how far they can be trusted."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over runs with its 95 % interval.

    Attributes:
        mean: Of the runs that have the figure.
        half_width: Of the interval, None for a single run.
        count: How many runs have the figure.
    """

    mean: float
    half_width: float | None
    count: int

    @property
    def low(self) -> float | None:
        """The lower end of the interval."""
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        """The upper end of the interval."""
        return None if self.half_width is None else self.mean + self.half_width

    def apart_from(self, other: Estimate) -> bool:
        """Whether both have an interval and the two do not overlap."""
        if self.half_width is None or other.half_width is None:
            return False
        return abs(self.mean - other.mean) > self.half_width + other.half_width


def estimate(values: Sequence[float | None]) -> Estimate | None:
    """Mean and Student's t interval of what was measured, None where nothing was."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    half_width = None
    if len(known) > 1:
        error = float(np.std(known, ddof=1)) / math.sqrt(len(known))
        half_width = student_t(len(known) - 1) * error
    return Estimate(float(np.mean(known)), half_width, len(known))


@functools.cache
def student_t(degrees: int) -> float:
    """The t that Student's distribution exceeds in size with probability 5 %.

    By bisection of P(|T| > t) = I_x(n/2, 1/2) with x = n / (n + t^2), where I is the
    regularized incomplete beta function and n the degrees of freedom (Abramowitz and
    Stegun 1964, 26.7.1).
    """
    low, high = 0.0, 1.0  # Of x, in which the probability rises.
    for _ in range(60):
        x = (low + high) / 2.0
        outside = tf.math.betainc(
            tf.constant(degrees / 2.0, tf.float64),
            tf.constant(0.5, tf.float64),
            tf.constant(x, tf.float64),
        )
        low, high = (x, high) if outside < 1.0 - CONFIDENCE else (low, x)
    return math.sqrt(degrees * (1.0 - x) / x)
