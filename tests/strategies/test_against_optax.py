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
    VariableInfo("a/kernel", "kernel", (0,), 7, 7, (7, 9)),
    VariableInfo("a/bias", "bias", (), 7, 7, (9,)),
    VariableInfo("b/kernel", "kernel", (0, 1), 15, 7, (3, 5, 4)),
]


def tree(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=i.shape) * scale).astype(np.float32) for i in INFOS]


WEIGHTS = tree(1)


def clip(spec, values):
    chain = ClippingChain(parse_clipping([spec]), INFOS)
    tensors = [tf.constant(v) for v in values]
    return chain(Gradients(tensors, INFOS, [tf.constant(w) for w in WEIGHTS])).values


def updated(transformation, values, weights=WEIGHTS):
    update, _ = transformation.update(values, transformation.init(values), weights)
    return update


@pytest.mark.parametrize("scale", [1e-15, 1e-3, 1.0, 1e6, 1e15])
@pytest.mark.parametrize(
    ("spec", "transformation"),
    [
        ("none()", optax.identity()),
        ("value(0.01)", optax.clip(0.01)),
        ("global_norm(5.0)", optax.clip_by_global_norm(5.0)),
        ("block_rms(0.3)", optax.clip_by_block_rms(0.3)),
    ],
)
def test_agrees_with_optax(spec, transformation, scale):
    values = tree(3, scale)
    wanted = updated(transformation, values)
    for ours, theirs in zip(clip(spec, values), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def as_matrices(values):
    """Kernels as Optax takes them for, [fan-in, units].

    A kernel of rank 3 is to Optax that of a layer with several heads, whose units have
    other axes; as a matrix it cannot be mistaken.
    """
    return [v.reshape(-1, v.shape[-1]) if v.ndim > 1 else v for v in values]


@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1.0, 1e6])
def test_adaptive_clipping_agrees_with_optax(scale):
    values = tree(3, scale)
    weights = [np.copy(w) for w in WEIGHTS]
    transformation = optax.adaptive_grad_clip(0.01, eps=1e-3)
    wanted = updated(transformation, as_matrices(values), as_matrices(weights))
    clipped = clip("adaptive(0.01, eps=1e-3, match='.')", values)
    for ours, theirs in zip(clipped, wanted, strict=True):
        np.testing.assert_allclose(np.reshape(ours, theirs.shape), theirs, rtol=2e-6)
    # With the axes that Optax has for rank 3, the convolution would come out otherwise.
    if scale == 1.0:
        mistaken = updated(transformation, values, weights)[2]
        assert not np.allclose(mistaken, clipped[2], rtol=1e-2)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_centralize_agrees_with_optax(scale):
    values = tree(3, scale)
    # Optax takes the first axis for the units.
    transposed = [np.moveaxis(v, -1, 0) for v in values]
    wanted = updated(optax.centralize(), transposed)
    for ours, theirs in zip(clip("centralize()", values), wanted, strict=True):
        np.testing.assert_allclose(
            np.moveaxis(ours, -1, 0), theirs, rtol=1e-5, atol=1e-6 * scale
        )
