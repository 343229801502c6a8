"""Clipping to a threshold that follows the norms of past steps.

All of these scale the whole gradient, so that its direction stays. What they keep are a
few scalars or a window of norms. Skipped steps leave it alone, and so do gradients of
zero, which would make thresholds of zero.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf

from models.config import Bounds, argument
from tfspeech.strategies.clipping.base import Clipping
from tfspeech.strategies.gradients import Gradients, vector_norm
from tfspeech.strategies.strategy import COUNT, FRACTION, POSITIVE, State
from tfspeech.strategies.variables import VariableInfo

_SMALLEST = 1e-37
"""Norms below it have no logarithm worth knowing; float32 flushes them to zero."""
_MIN_LOG_STD = 0.1
"""Lower bound of the standard deviation of the log-norms: 10 % of the norm."""


@dataclasses.dataclass(frozen=True)
class Percentile(Clipping):
    """Bounds the global norm by the p-th percentile of the last norms, this one too.

    p = 10 as in the source, which clips nine steps of ten: nearly a normalised step.
    The source keeps all norms, and its threshold lags behind when they drift; hence the
    window, which lags less the shorter it is. `quantile` follows a drift. Source:
    Seetharaman et al. 2020, "AutoClip" (arXiv 2007.14469).
    """

    p: float = argument(10.0, Bounds("in (0, 100]", lambda x: 0 < x <= 100))
    window: int = argument(1000, COUNT)

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """Creates the window of norms."""
        return {"norms": _create_window(self.window)}

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Takes the norm in, then bounds by the percentile."""
        _push(state["norms"], gradients.global_norm)
        return gradients.bounded(_percentile(state["norms"], self.p))


@dataclasses.dataclass(frozen=True)
class Median(Clipping):
    """Bounds the global norm by k times the median of the last norms before it.

    Half of the window may be spikes without effect on the threshold, and a lasting
    change of the norms is followed within half a window. The first step is never
    clipped. Source: the ScaledAdam optimizer of icefall's recipes (Yao et al. 2023,
    "Zipformer", arXiv 2310.11230), which takes the median anew every 100 steps.
    """

    k: float = argument(2.0, POSITIVE)
    window: int = argument(100, COUNT)

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """Creates the window of norms."""
        return {"norms": _create_window(self.window)}

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Bounds by the median, then takes the norm in."""
        median = _percentile(state["norms"], 50.0)
        _push(state["norms"], gradients.global_norm)
        return gradients.bounded(self.k * median)


@dataclasses.dataclass(frozen=True)
class Quantile(Clipping):
    """Bounds the global norm by a C that leaves the share q of steps unclipped.

    C <- C exp(-eta (1[n <= C] - q)) after every step; the first sets C to its norm.
    One scalar, no window: the share of unclipped steps among T is q up to
    |ln(C_T / C_0)| / (eta T), however the norms drift, since the exponents add up. eta
    is how far C moves: at 0.2 and q = 0.9 up by 20 % at a clipped step and down by 2 %
    at others. Source: Andrew et al. 2019, "Differentially Private Learning with
    Adaptive Clipping", section 2.1 (arXiv 1905.03871).
    """

    q: float = argument(0.9, FRACTION)
    eta: float = argument(0.2, POSITIVE)

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """Creates C, which is 0 until a norm is known."""
        return {"threshold": tf.Variable(0.0, trainable=False)}

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Bounds by C, then moves C."""
        n = gradients.global_norm
        threshold = tf.convert_to_tensor(state["threshold"])
        c = tf.where(threshold > 0.0, threshold, n)
        unclipped = tf.cast(n <= c, tf.float32)
        state["threshold"].assign(c * tf.exp(-self.eta * (unclipped - self.q)))
        return gradients.bounded(c)


@dataclasses.dataclass(frozen=True)
class ZScore(Clipping):
    """Bounds norms that are outliers: if (n - m) / s = x > z, by m + z^2 s / x.

    m and s are the moving mean and standard deviation of the norms, s at least 1 % of
    m; the further out a norm, the nearer to the mean it ends. It leaves the usual norms
    alone, however large. Nothing is clipped in the first `warmup` steps, whose plain
    mean and standard deviation m and s are. Source: Kumar et al. 2025, "ZClip" (arXiv
    2504.02507).

    Unlike there, m and s take in a norm of at most m + z s, not the clipped norm: with
    that, s shrinks at every outlier, and once the norms have doubled for good all steps
    are clipped to the old mean for ever (measured). This way a spike hardly moves them,
    and a new level is reached within some tens of steps.
    """

    z: float = argument(2.5, POSITIVE)
    decay: float = argument(0.97, FRACTION)
    warmup: int = argument(25, COUNT)

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """Creates mean, standard deviation and count of the norms."""
        return _create_moments()

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Bounds an outlier, then updates the moments with the norm."""
        n = gradients.global_norm
        m, s = _moments(state, self.warmup)
        s = tf.maximum(s, 0.01 * m)
        usual = m + self.z * s
        # z^2 s / x, in an order that does not overflow; 0 / 0 is not chosen.
        pulled = m + self.z**2 * s * (s / (n - m))
        _add_value(state, tf.where(n > usual, usual, n), self.decay, known=n > 0.0)
        return gradients.bounded(tf.where(n > usual, pulled, usual))


@dataclasses.dataclass(frozen=True)
class SkipSpikes(Clipping):
    """Skips the step where ln n is more than s std above its moving mean.

    Or where n is above `limit`, if one is given, which holds from the first step on. A
    skipped step changes nothing at all; a gradient that is set to zero instead, as in
    Lingvo, still moves the weights, by the momentum of the optimizer. The norm is that
    of the raw gradient wherever the strategy stands in a chain. Nothing is skipped by
    the mean in the first `warmup` steps. The standard deviation (std) is taken as at
    least 0.1, so that s = 4 lets every norm up to 1.5 times the mean pass. Source: the
    gradient norm tracker of Lingvo (Shen et al. 2019, arXiv 1902.08295).

    Norms that rise for good, suddenly and beyond s std, are all skipped: the
    weights and the mean stay, so that nothing can change, and `--max-skipped-steps`
    ends the run. That is by intent, since to go on there is to make the very steps
    that were to be avoided: raise s, lower the learning rate, or clip (`zscore` and
    `quantile` follow a new level). Accepted norms enter the mean within s std of
    it, so that one that is nearly zero cannot widen the std by much.
    """

    s: float = argument(4.0, POSITIVE)
    limit: float | None = argument(None, POSITIVE)
    decay: float = argument(0.995, FRACTION)
    warmup: int = argument(100, COUNT)

    def create_state(self, infos: Sequence[VariableInfo]) -> State:
        """Creates mean, standard deviation and count of the log-norms."""
        return _create_moments()

    def accepts(self, gradients: Gradients, state: State) -> tf.Tensor:
        """Refuses a spike."""
        n = vector_norm(gradients.raw_norms)
        mean, reach = self._range(state)
        too_high = tf.math.log(n) > mean + reach
        return ~(too_high | (n > (self.limit or math.inf)))

    def clip(self, gradients: Gradients, state: State) -> Gradients:
        """Takes the norm of an accepted step in; the gradient stays as it is."""
        n = vector_norm(gradients.raw_norms)
        mean, reach = self._range(state)
        log_norm = tf.math.log(tf.maximum(n, _SMALLEST))
        value = tf.where(log_norm < mean - reach, mean - reach, log_norm)
        _add_value(state, value, self.decay, known=n > _SMALLEST)
        return gradients

    def _range(self, state: State) -> tuple[tf.Tensor, tf.Tensor]:
        """The mean log-norm, and how far from it one may be; NaN in the warm-up."""
        mean, std = _moments(state, self.warmup)
        return mean, self.s * tf.maximum(std, _MIN_LOG_STD)


def _create_window(length: int) -> tf.Variable:
    """A window of norms, the newest last, infinite where none is yet."""
    return tf.Variable(tf.fill([length], math.inf), trainable=False)


def _push(window: tf.Variable, norm: tf.Tensor) -> None:
    norms = tf.convert_to_tensor(window)
    pushed = tf.concat([norms[1:], norm[tf.newaxis]], 0)
    window.assign(tf.where(norm > 0.0, pushed, norms))


def _percentile(window: tf.Variable, p: float) -> tf.Tensor:
    """The p-th percentile of a window of norms, interpolated; NaN if it is empty."""
    ordered = tf.sort(window)
    last = tf.reduce_sum(tf.cast(tf.math.is_finite(ordered), tf.float32)) - 1.0
    position = tf.maximum(last * (p / 100.0), 0.0)
    below, above = tf.floor(position), tf.math.ceil(position)
    low, high = tf.unstack(tf.gather(ordered, tf.cast([below, above], tf.int32)))
    # Infinite less infinite is NaN, as it is to be.
    return low + (position - below) * (high - low)


def _create_moments() -> State:
    return {
        "count": tf.Variable(0.0, trainable=False),
        "mean": tf.Variable(0.0, trainable=False),
        "std": tf.Variable(0.0, trainable=False),
    }


def _moments(state: State, warmup: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and standard deviation of the values so far; NaN in the warm-up."""
    warm = state["count"] >= float(warmup)
    return (
        tf.where(warm, state["mean"], math.nan),
        tf.where(warm, state["std"], math.nan),
    )


def _add_value(state: State, value: tf.Tensor, decay: float, known: tf.Tensor) -> None:
    """Moves mean and std towards a value; they stay where it is not known.

    The first values count alike, so that the moments are the plain ones, until the
    moving average with `decay` forgets faster.
    """
    count = tf.convert_to_tensor(state["count"])
    mean = tf.convert_to_tensor(state["mean"])
    std = tf.convert_to_tensor(state["std"])
    rate = tf.maximum(1.0 / (count + 1.0), 1.0 - decay)
    step = value - mean
    # The root of (1 - rate) (std^2 + rate step^2), whose squares may overflow.
    spread = vector_norm(tf.stack([std, tf.sqrt(rate) * step]))
    state["mean"].assign(tf.where(known, mean + rate * step, mean))
    new = tf.sqrt(1.0 - rate) * spread
    state["std"].assign(tf.where(known, new, std))
    state["count"].assign(tf.where(known, count + 1.0, count))


HISTORY: dict[str, type[Clipping]] = {
    "percentile": Percentile,
    "quantile": Quantile,
    "zscore": ZScore,
    "median": Median,
    "skip_spikes": SkipSpikes,
}
"""Names and strategies."""
