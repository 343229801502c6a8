"""What a search may choose: one space per model, and the strategies' once for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from models import AttentionTtsConfig, DenseSynthesisConfig, RnnRecognizerConfig
from tfspeech.strategies import REGULARIZATIONS
from tfspeech.tasks.task import RunConfig

CLIP_KIND = "clip.kind"
CLIP_THRESHOLD = "clip.threshold"
REGULARIZE_KIND = "regularize.kind"
LAMBDA = ".lambda"
"""Ends the name of the strength of a regularization, as in `l2.lambda`."""
JOIN = "+"
"""Joins the parts of a value that is more than one, as in `hidden_units=128+64`."""
_LOG_RATIO = 10.0

Value = bool | int | float | str


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: The least.
        high: The greatest.
        whole: Whether they are whole numbers.
    """

    low: float
    high: float
    whole: bool = False

    @property
    def log(self) -> bool:
        """Whether its ends are a factor of ten apart: a step is then a factor, too."""
        return self.low > 0 and self.high >= _LOG_RATIO * self.low

    def at(self, place: float) -> float:
        """The number at a place from 0, for the least, to 1."""
        if self.log:
            return self.low * (self.high / self.low) ** place
        return self.low + (self.high - self.low) * place


Values = Range | tuple[Value, ...]
Fields = dict[str, Values]
"""Values by the name of a field of the configuration."""


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One thing that a search chooses.

    Attributes:
        name: `clip.kind`, `clip.threshold`, `regularize.kind`, `KIND.lambda`, or that
            of a field of the configuration.
        values: What it is chosen from; None for a threshold whose range is still to
            come from the norms of the gradient.
        default: Where a grid starts; None for the first value.
        kind: Of a threshold or lambda, what it belongs to.
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

        A number for every kind would be one that most trials have no use for, and the
        Bayesian oracle goes on exploring what makes no difference.
        """
        return f"{self.parent}/strength" if self.parent else self.name

    def exists(self, values: Mapping[str, Value]) -> bool:
        """Whether it is there under the kinds that were chosen."""
        return not self.parent or values.get(self.parent) == self.kind

    def read(self, value: Value) -> Value:
        """What Keras Tuner's value means, which may have 32-bit precision.

        Of what depends on a parent it is the place in the values, from 0 to 1.
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
    """How large the gradients of a training run were, before clipping.

    Attributes:
        low: The 10th percentile of the global norm.
        high: Its 99th percentile.
        tensors: Trainable variables.
        parameters: Weights in them.
    """

    low: float
    high: float
    tensors: int
    parameters: int


THRESHOLDS: dict[str, Range | None] = {
    "value": None,
    "norm": None,
    "global_norm": None,
    "block_rms": None,
    "smooth": None,
    "adaptive": Range(1e-3, 1.0),
    "percentile": Range(10.0, 99.0),
    "median": Range(0.1, 10.0),
    "quantile": Range(0.1, 0.99),
    "zscore": Range(1.0, 5.0),
}
"""Clipping whose first argument is a threshold, with the range of what is relative.

None is for thresholds in the unit of the gradient; see `with_norms`.
"""
CLIPS = ("none", "value", "norm", "global_norm", "adaptive", "quantile")
"""The kinds that are searched where the user names none."""

LAMBDAS = (
    *("l1", "l2", "kl_gaussian", "orthogonal"),
    *("weight_decay", "l1_prox", "group_lasso"),
)
"""Regularization whose only argument is a strength."""
REGULARIZERS = ("none", "l1", "l2", "weight_decay")
"""The kinds that are searched where the user names none."""


def lambda_range(kind: str) -> Range:
    """Two orders of magnitude to both sides of a regularization's own default."""
    usual = REGULARIZATIONS[kind]().s
    return Range(usual / 100, usual * 100)


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


def training(config: RunConfig) -> Fields:
    """The space of the training loop, for all models alike."""
    rate = config.training.learning_rate
    return {"learning_rate": Range(rate / 10, rate * 10)}


def rnn_recognizer(config: RnnRecognizerConfig) -> Fields:
    """The space of the recogniser."""
    return {
        "units": sizes(config.units),
        "conv_filters": sizes(config.conv_filters),
        "layers": (1, 2),
        "dropout": Range(0.0, 0.5),
    }


def attention_tts(config: AttentionTtsConfig) -> Fields:
    """The space of the synthesiser with attention."""
    return {
        "encoder_units": sizes(config.encoder_units),
        "attention_units": sizes(config.attention_units),
        "prenet_units": sizes(config.prenet_units),
        "decoder_units": sizes(config.decoder_units),
    }


def dense_synthesis(config: DenseSynthesisConfig) -> Fields:
    """The space of the dense synthesiser."""
    return {
        "hidden_units": widths(config.hidden_units),
        "duration_units": widths(config.duration_units),
        "hidden_activation": ("relu", "tanh", "silu"),
    }


def sizes(value: int) -> tuple[int, ...]:
    """Half of a number of units, the number, and twice as many."""
    return tuple(sorted({max(1, value // 2), value, 2 * value}))


def widths(units: tuple[int, ...]) -> tuple[str, ...]:
    """The same for the units of several layers, halved and doubled together."""
    choices = zip(*(sizes(value) for value in units if value > 1), strict=True)
    return tuple(JOIN.join(map(str, layers)) for layers in choices)


MODELS: dict[str, Callable[[Any], Fields]] = {
    "attention_tts": attention_tts,
    "dense_synthesis": dense_synthesis,
    "rnn_recognizer": rnn_recognizer,
}
"""Model -> the space of its own fields around a configuration of it."""


def fields(config: RunConfig) -> Fields:
    """What is searched of a configuration besides its strategies."""
    return training(config) | MODELS[config.model](config.architecture)
