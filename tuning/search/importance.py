"""Importance of the hyperparameters of a search for its scores."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from models.config import Range
from tuning.search.dimensions import Dimension, Space, Value
from tuning.search.trials import TrialRecord

MIN_TRIALS = 10
_TREES = 300
_REPEATS = 30
_ABSENT = 0.5
"""Code of a hyperparameter in trials that do not use it: the middle of its range."""


@dataclasses.dataclass(frozen=True)
class Importance:
    """Permutation importance in a random forest that predicts the scores.

    Attributes:
        explained: The share of the variance of the scores that it explains in trials
            which its trees have not seen (R squared out of bag). At 0 or below it has
            learned nothing, and the drops say nothing.
        drops: For every name of a dimension, by how much R squared drops when its
            values are shuffled among the trials; mean and standard deviation over
            shuffles. Source: Breiman 2001, "Random Forests", section 10.
    """

    explained: float
    drops: dict[str, tuple[float, float]]


def find_importance(space: Space, records: Sequence[TrialRecord]) -> Importance | None:
    """Fits a forest to the trials that have a score.

    Args:
        space: The hyperparameters.
        records: Of the trials.

    Returns:
        None where fewer than ten trials have a score, or all have the same.
    """
    scored = [record for record in records if record.score is not None]
    scores = np.array([record.score for record in scored])
    if len(scored) < MIN_TRIALS or np.ptp(scores) == 0:
        return None
    names = list(dict.fromkeys(dimension.name for dimension in space))
    inputs = [[_encode(space, n, record.values) for n in names] for record in scored]
    forest = RandomForestRegressor(_TREES, oob_score=True, random_state=0)
    forest.fit(inputs, scores)
    result = permutation_importance(
        forest, inputs, scores, n_repeats=_REPEATS, random_state=0
    )
    means, stds = result.importances_mean.tolist(), result.importances_std.tolist()
    drops = zip(means, stds, strict=True)
    return Importance(float(forest.oob_score_), dict(zip(names, drops, strict=True)))


def active_dimension(
    space: Space, name: str, values: Mapping[str, Value]
) -> Dimension | None:
    """The dimension of a name whose value a trial has chosen, None where it has not."""
    for dimension in space:
        if dimension.name == name and name in values and dimension.is_active(values):
            return dimension
    return None


def _encode(space: Space, name: str, values: Mapping[str, Value]) -> float:
    """A value as a fraction of its range or list of choices, from 0 to 1."""
    dimension = active_dimension(space, name, values)
    if dimension is None:
        return _ABSENT
    value, choices = values[name], dimension.values
    if not isinstance(choices, Range):
        return choices.index(value) / max(len(choices) - 1, 1)
    scale = math.log if choices.log else float
    low, high = scale(choices.low), scale(choices.high)
    return (scale(value) - low) / (high - low)
