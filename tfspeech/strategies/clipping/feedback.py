"""Clipping that keeps what it takes away for later steps."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import tensorflow as tf

from models.config import Bounds, argument
from tfspeech.spec import build_spec
from tfspeech.strategies.clipping.base import Clipping
from tfspeech.strategies.clipping.fixed import FIXED
from tfspeech.strategies.clipping.history import HISTORY
from tfspeech.strategies.gradients import Gradients
from tfspeech.strategies.strategy import State
from tfspeech.strategies.variables import VariableInfo

_LARGEST = 1e37
"""Norms of what may be carried: the sum of such and a gradient does not overflow."""


@dataclasses.dataclass(frozen=True)
class ErrorFeedback(Clipping):
    """Clips what earlier steps cut off together with the gradient: u = clip(g + D).

    Then D <- decay (g + D - u), one buffer per variable. With decay = 1 nothing is lost
    for good, sum(u) + D = sum(g), and clipping is no longer biased. With less, old
    gradients, of weights that are long gone, fade: at most decay / (1 - decay) times
    the largest that one step cuts off is carried. `inner` is the spec of any strategy
    but `skip_spikes` and this one; it acts where this one does. Source: Elesedy, Hutter
    2023, "U-Clip" (arXiv 2302.02971), with decay = 1.
    """

    inner: str = "value(0.01)"
    decay: float = argument(0.99, Bounds("in (0, 1]", lambda x: 0 < x <= 1))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(isinstance(self.inner, str), "inner", "a quoted spec")
        if self._inner.match:
            raise ValueError("match= belongs to error_feedback, not to the spec in it")

    @functools.cached_property
    def _inner(self) -> Clipping:
        return build_spec(self.inner, _INNER, "clipping strategy for error_feedback")

    @property
    def by_unit(self) -> bool:
        """Whether the inner strategy looks at units."""
        return self._inner.by_unit

    def selects_by_default(self, info: VariableInfo) -> bool:
        """Selects what the inner strategy does."""
        return self._inner.selects_by_default(info)

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """Creates a buffer for each variable, and what the inner strategy keeps."""
        buffers = {
            info.path: tf.Variable(tf.zeros(info.shape), trainable=False)
            for info in infos
        }
        return buffers | self._inner.create_state(infos)

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Clips gradient and buffer, and puts what is cut off into the buffer."""
        buffers = [state[info.path] for info in gradients.infos]
        sums = [g + d for g, d in zip(gradients.values, buffers, strict=True)]
        total = gradients.replaced(sums)
        clipped = self._inner.clip(total, state)
        keep = tf.unstack(tf.where(total.norms < _LARGEST, float(self.decay), 0.0))
        for buffer, whole, part, factor in zip(
            buffers, sums, clipped.values, keep, strict=True
        ):
            buffer.assign(tf.math.multiply_no_nan(whole - part, factor))
        return clipped


_INNER = {**FIXED, **HISTORY}
del _INNER["skip_spikes"]  # It clips nothing.

FEEDBACK: dict[str, type[Clipping]] = {"error_feedback": ErrorFeedback}
"""Names and strategies."""
