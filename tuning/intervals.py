"""Means over seeds with their confidence intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

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
    """Mean and Student's t interval of the values known, None where there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    half_width = None
    if len(known) > 1:
        half_width = student_t(len(known) - 1) * float(stats.sem(known))
    return Estimate(float(np.mean(known)), half_width, len(known))


def student_t(degrees: int) -> float:
    """The t that Student's distribution exceeds in size with probability 5 %.

    Args:
        degrees: The degrees of freedom.
    """
    return float(stats.t.ppf((1.0 + CONFIDENCE) / 2.0, degrees))
