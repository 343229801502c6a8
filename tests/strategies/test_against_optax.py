"""Agreement with Optax, an independent implementation of the same formulas."""

import numpy as np
import optax
import pytest
import tensorflow as tf

from tfspeech.strategies import (
    ClippingChain,
    Gradients,
    VariableInfo,
    parse_clipping,
)

INFOS = [
    VariableInfo("a/kernel", "kernel", (0,), 7, 7),
    VariableInfo("a/bias", "bias", (), 7, 7),
]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(
    ("spec", "transformation"),
    [
        ("value(0.01)", optax.clip(0.01)),
        ("global_norm(5.0)", optax.clip_by_global_norm(5.0)),
    ],
)
def test_agrees_with_optax(spec, transformation, scale):
    rng = np.random.default_rng(3)
    values = [(rng.normal(size=s) * scale).astype(np.float32) for s in ((7, 9), (9,))]
    wanted, _ = transformation.update(values, transformation.init(values))
    chain = ClippingChain(parse_clipping([spec]), INFOS)
    clipped = chain(Gradients([tf.constant(v) for v in values], INFOS))
    for ours, theirs in zip(clipped.values, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
