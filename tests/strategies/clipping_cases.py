"""References in float64 for every clipping strategy, for test_clipping.py."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfspeech.strategies import (
    ClippingChain,
    Gradients,
    VariableInfo,
    parse_clipping,
)

INFOS = [
    VariableInfo("net/conv/kernel", "kernel", (0, 1), 12, 80, (3, 4, 5)),
    VariableInfo("net/conv/bias", "bias", (), 12, 80, (5,)),
    VariableInfo("net/text/embeddings", "embedding", (1,), 3, 80, (4, 3)),
    VariableInfo("net/out/kernel", "kernel", (0,), 5, 80, (5, 2), output=True),
]


def tree(seed=0, scale=1.0, infos=INFOS):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=i.shape) * scale).astype(np.float32) for i in infos]


WEIGHTS = tree(99)


def gradients_of(values, infos=INFOS, weights=WEIGHTS):
    tensors = [tf.constant(v) for v in values]
    return Gradients(tensors, infos, [tf.constant(w) for w in weights])


def chain_of(*specs, infos=INFOS):
    return ClippingChain(parse_clipping(specs), infos)


def norm(values):
    flat = np.concatenate([np.ravel(v).astype(np.float64) for v in values])
    return np.linalg.norm(flat)


# References in float64: step(values, infos, weights) -> values, or None for a refusal.


def each(formula):
    def step(values, infos, weights):
        return [formula(*args) for args in zip(values, infos, weights, strict=True)]

    return lambda: step


def factor(c, n):
    return c / n if n > c else 1.0


def units(value, info):
    axes = info.unit_axes or None
    return np.sqrt(np.square(value).sum(axis=axes, keepdims=True))


def adaptive(value, info, weight):
    if info.kind == "bias" or info.output:
        return value
    limits = 0.05 * np.maximum(units(weight, info), 1e-3)
    n = units(value, info)
    return value * np.where(n > limits, limits / np.where(n > 0, n, 1), 1)


def centralize(value, info, weight):
    if info.kind != "kernel":
        return value
    return value - value.mean(axis=info.unit_axes, keepdims=True)


def bounding(threshold_of):
    """A reference that bounds by `threshold_of(norm, norms before it)`."""

    def create():
        norms = []

        def step(values, infos, weights):
            n = norm(values)
            c = threshold_of(n, norms)
            norms.append(n)
            return [v * factor(c, n) for v in values]

        return step

    return create


def quantile(n, before):
    c = None
    for past in before:
        c = past if c is None else c
        c *= np.exp(-0.5 * ((past <= c) - 0.6))
    return n if c is None else c


def moments(values, decay):
    """Weighted mean and std from their definition: weights, then one sum."""
    weights = np.zeros(0)
    for count in range(len(values)):
        rate = max(1 / (count + 1), 1 - decay)
        weights = np.append(weights * (1 - rate), rate)
    mean = weights @ values
    return mean, np.sqrt(weights @ np.square(values - mean))


def zscore(n, before):
    taken, c = [], np.inf
    for past in [*before, n]:
        usual = np.inf
        if len(taken) >= 3:
            mean, std = moments(np.array(taken), 0.6)
            std = max(std, 0.01 * mean)
            usual = mean + std
            c = usual if past <= usual else mean + std**2 / (past - mean)
        taken.append(min(past, usual))
    return c


def skip_spikes():
    taken = []

    def step(values, infos, weights):
        value = np.log(norm(values))
        if len(taken) >= 3:
            mean, std = moments(np.array(taken), 0.7)
            if value > mean + max(std, 0.1):
                return None
            value = max(value, mean - max(std, 0.1))
        taken.append(value)
        return values

    return step


def error_feedback():
    carried = {}

    def step(values, infos, weights):
        sums = [
            v + carried.get(i.path, 0.0) for v, i in zip(values, infos, strict=True)
        ]
        clipped = [s * factor(0.5, np.linalg.norm(s)) for s in sums]
        for info, whole, part in zip(infos, sums, clipped, strict=True):
            carried[info.path] = 0.9 * (whole - part)
        return clipped

    return step


@dataclasses.dataclass(frozen=True)
class Case:
    """One strategy: a spec that clips hard, its reference, and what holds for it."""

    spec: str
    reference: Callable
    idle: str = ""  # A spec that never clips.
    idempotent: bool = False
    one_factor: bool = True  # The whole gradient is scaled, or stays.


CASES = {
    "none": Case("none()", each(lambda g, i, w: g), "none()", True),
    "value": Case(
        "value(0.01)",
        each(lambda g, i, w: np.clip(g, -0.01, 0.01)),
        "value(1e6)",
        True,
        False,
    ),
    "inverse_sqrt_dim": Case(
        "inverse_sqrt_dim()",
        each(lambda g, i, w: np.clip(g, -(i.fan_in**-0.5), i.fan_in**-0.5)),
        "",
        True,
        False,
    ),
    "norm": Case(
        "norm(0.5)",
        each(lambda g, i, w: g * factor(0.5, np.linalg.norm(g))),
        "norm(1e6)",
        True,
        False,
    ),
    "global_norm": Case(
        "global_norm(0.5)", bounding(lambda n, past: 0.5), "global_norm(1e6)", True
    ),
    "block_rms": Case(
        "block_rms(0.1)",
        each(lambda g, i, w: g * factor(0.1, np.sqrt(np.mean(g * g)))),
        "block_rms(1e6)",
        True,
        False,
    ),
    "adaptive": Case("adaptive(0.05)", each(adaptive), "adaptive(1e6)", True, False),
    "smooth": Case(
        "smooth(0.5)",
        lambda: lambda g, i, w: [v * (0.5 / (0.5 + norm(g))) for v in g],
        "smooth(1e30)",
    ),
    "centralize": Case("centralize()", each(centralize), "", True, False),
    "percentile": Case(
        "percentile(20, window=4)",
        bounding(lambda n, past: np.percentile([*past[-3:], n], 20)),
        "percentile(100)",
    ),
    "quantile": Case("quantile(0.6, eta=0.5)", bounding(quantile)),
    "zscore": Case("zscore(1.0, decay=0.6, warmup=3)", bounding(zscore), "zscore(1e3)"),
    "median": Case(
        "median(0.8, window=3)",
        bounding(lambda n, past: 0.8 * np.median(past[-3:]) if past else np.inf),
        "median(1e6)",
    ),
    "skip_spikes": Case(
        "skip_spikes(1.0, decay=0.7, warmup=3)", skip_spikes, "skip_spikes()", True
    ),
    "error_feedback": Case(
        "error_feedback('norm(0.5)', decay=0.9)",
        error_feedback,
        "error_feedback('norm(1e6)')",
        one_factor=False,
    ),
}
