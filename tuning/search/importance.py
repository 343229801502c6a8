"""How much each hyperparameter has mattered to the scores of a search."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from tuning.search.spaces import Dimension, Range, Space, Value
from tuning.search.trials import TrialRecord

FEWEST_TRIALS = 10
_TREES = 300
_REPEATS = 30
_ABSENT = 0.5
"""Where a value stands that the trial has no use for: it says nothing."""


@dataclasses.dataclass(frozen=True)
class Importance:
    """What a random forest has learned about a search.

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
        space: What was searched.
        records: Of the trials.

    Returns:
        None where fewer than ten trials have a score, or all have the same.
    """
    scored = [record for record in records if record.score is not None]
    scores = np.array([record.score for record in scored])
    if len(scored) < FEWEST_TRIALS or np.ptp(scores) == 0:
        return None
    names = list(dict.fromkeys(dimension.name for dimension in space))
    places = [[_place(space, n, record.values) for n in names] for record in scored]
    forest = RandomForestRegressor(_TREES, oob_score=True, random_state=0)
    forest.fit(places, scores)
    found = permutation_importance(
        forest, places, scores, n_repeats=_REPEATS, random_state=0
    )
    drops = zip(found.importances_mean, found.importances_std, strict=True)
    by_name = dict(zip(names, drops, strict=True))
    return Importance(
        float(forest.oob_score_),
        {name: (float(mean), float(std)) for name, (mean, std) in by_name.items()},
    )


def active(space: Space, name: str, values: Mapping[str, Value]) -> Dimension | None:
    """The dimension of that name that a trial has chosen a value of."""
    for dimension in space:
        if dimension.name == name and name in values and dimension.exists(values):
            return dimension
    return None


def _place(space: Space, name: str, values: Mapping[str, Value]) -> float:
    """Where a value stands in what it was chosen from, from 0 to 1."""
    dimension = active(space, name, values)
    if dimension is None:
        return _ABSENT
    value, choices = values[name], dimension.values
    if not isinstance(choices, Range):
        return choices.index(value) / max(len(choices) - 1, 1)
    scale = math.log if choices.log else float
    low, high = scale(choices.low), scale(choices.high)
    return (scale(value) - low) / (high - low)
