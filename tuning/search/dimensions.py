"""Dimensions of a search space, and the ranges of clipping and regularization."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from models.config import Range, Values
from tfspeech.strategies import REGULARIZATIONS
from tfspeech.tasks.task import RunConfig

CLIP_KIND = "clip.kind"
CLIP_THRESHOLD = "clip.threshold"
REGULARIZE_KIND = "regularize.kind"
LAMBDA = ".lambda"
"""Ends the name of the strength of a regularization, as in `l2.lambda`."""

Value = bool | int | float | str


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One hyperparameter of a search.

    Attributes:
        name: `clip.kind`, `clip.threshold`, `regularize.kind`, `KIND.lambda`, or that
            of a field of the configuration.
        values: Its range or its choices; None for a threshold whose range is still to
            come from the norms of the gradient.
        default: Where a grid starts; None for the first value.
        kind: The kind of clipping or regularization that a threshold or lambda is of.
        parent: The dimension that must have chosen this kind, empty for none.
    """

    name: str
    values: Values | None
    default: Value | None = None
    kind: str = ""
    parent: str = ""

    @property
    def key(self) -> str:
        """Its name in Keras Tuner, where all that depends on one parent is one number.

        With a number for every kind, most trials would not use most numbers, and the
        Bayesian oracle would keep exploring numbers that make no difference.
        """
        return f"{self.parent}/strength" if self.parent else self.name

    def is_active(self, values: Mapping[str, Value]) -> bool:
        """Whether a trial uses it, by the kinds that the trial has chosen."""
        return not self.parent or values.get(self.parent) == self.kind

    def decode(self, value: Value) -> Value:
        """The value that a value of Keras Tuner stands for.

        That may have 32-bit precision. For a dimension with a parent it is a fraction
        of the range or of the list of choices, from 0 to 1.
        """
        choices = self.values
        if self.parent and isinstance(choices, Range):
            return choices.at(float(value))
        if self.parent:
            return choices[min(int(value * len(choices)), len(choices) - 1)]
        if not isinstance(value, float):
            return value
        if isinstance(choices, Range):
            return min(max(value, choices.low), choices.high)
        return min(choices, key=lambda choice: abs(choice - value))


Space = tuple[Dimension, ...]


class Norms(NamedTuple):
    """Norms of the gradients of a training run, before clipping.

    Attributes:
        low: The 10th percentile of the global norm.
        high: Its 99th percentile.
        tensors: Number of trainable variables.
        parameters: Number of weights in them.
    """

    low: float
    high: float
    tensors: int
    parameters: int


THRESHOLDS: dict[str, Range | None] = {
    **dict.fromkeys(("value", "norm", "global_norm", "block_rms", "smooth")),
    "adaptive": Range(1e-3, 1.0),
    "percentile": Range(10.0, 99.0),
    "median": Range(0.1, 10.0),
    "quantile": Range(0.1, 0.99),
    "zscore": Range(1.0, 5.0),
}
"""Clipping whose first argument is a threshold, with its range.

None is for thresholds in the unit of the gradient; see `with_norms`.
"""
DEFAULT_CLIPS = ("none", "value", "norm", "global_norm", "adaptive", "quantile")
"""The kinds that are searched where the user names none."""

LAMBDAS = tuple(
    kind
    for kind, strategy in REGULARIZATIONS.items()
    if [f.name for f in dataclasses.fields(strategy) if not f.kw_only] == ["s"]
)
"""Regularization whose only argument is its strength."""
DEFAULT_REGULARIZERS = ("none", "l1", "l2", "weight_decay")
"""The kinds that are searched where the user names none."""


def lambda_range(kind: str) -> Range:
    """Two orders of magnitude to both sides of a regularization's own default."""
    default = REGULARIZATIONS[kind]().s
    return Range(default / 100, default * 100)


def with_norms(space: Space, norms: Norms) -> Space:
    """Gives thresholds that have no range yet one from the norms of the gradient.

    It goes from a tenth of the 10th percentile, which clips practically every step, to
    the 99th, which clips practically none. What bounds a tensor or an element gets its
    share: the norm of a tensor is about 1 / sqrt(tensors) of the global norm n, and the
    root mean square of the elements is n / sqrt(parameters), of which the largest
    elements are some tens of times.
    """
    per_tensor, per_element = norms.tensors**-0.5, norms.parameters**-0.5
    low, high = norms.low / 10, norms.high
    ranges = {
        "global_norm": Range(low, high),
        "smooth": Range(low, high),
        "norm": Range(low * per_tensor, high * per_tensor),
        "block_rms": Range(low * per_element, high * per_element),
        "value": Range(low * per_element, 30 * high * per_element),
    }
    return tuple(
        dataclasses.replace(dimension, values=ranges[dimension.kind])
        if dimension.values is None
        else dimension
        for dimension in space
    )


def option_ranges(config: RunConfig) -> dict[str, Values]:
    """The range of every option that declares one, around the value that it has.

    Those of training come before those of the model; see `models.config.option`.
    """
    ranges = {}
    for section in reversed(config.sections().values()):
        for field in dataclasses.fields(section):
            search = field.metadata.get("search")
            if callable(search):
                search = search(getattr(section, field.name))
            if search is not None:
                ranges[field.name] = search
    return ranges
