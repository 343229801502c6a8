"""Clipping against NumPy in float64, and the properties every strategy must have."""

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.strategies import (
    CLIPPINGS,
    ClippingChain,
    Gradients,
    VariableInfo,
    densify,
    parse_clipping,
)

INFOS = [
    VariableInfo("net/conv/kernel", "kernel", (0, 1), 12, 80),
    VariableInfo("net/conv/bias", "bias", (), 12, 80),
    VariableInfo("net/out/kernel", "kernel", (0,), 5, 80),
]
SHAPES = [(3, 4, 5), (5,), (5, 2)]

# A spec that clips hard, and one that never does, for every strategy there is.
ACTIVE = {
    "none": "none()",
    "value": "value(0.01)",
    "inverse_sqrt_dim": "inverse_sqrt_dim()",
    "norm": "norm(0.5)",
    "global_norm": "global_norm(0.5)",
}
INACTIVE = {
    "none": "none()",
    "value": "value(1e6)",
    "norm": "norm(1e6)",
    "global_norm": "global_norm(1e6)",
}


def tree(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=s) * scale).astype(np.float32) for s in SHAPES]


def clip(spec, values):
    chain = ClippingChain(parse_clipping([spec]), INFOS)
    return chain(Gradients([tf.constant(v) for v in values], INFOS))


def numpy_norm(values):
    return np.sqrt(sum(np.square(v, dtype=np.float64).sum() for v in values))


def expected(name, values):
    wide = [v.astype(np.float64) for v in values]
    match name:
        case "none":
            return wide
        case "value":
            return [np.clip(v, -0.01, 0.01) for v in wide]
        case "inverse_sqrt_dim":
            limits = [1 / np.sqrt(info.fan_in) for info in INFOS]
            return [np.clip(v, -c, c) for v, c in zip(wide, limits, strict=True)]
        case "norm":
            return [v * min(1, 0.5 / np.linalg.norm(v)) for v in wide]
        case "global_norm":
            return [v * min(1, 0.5 / numpy_norm(wide)) for v in wide]


def test_the_tables_of_this_test_name_every_strategy():
    assert set(ACTIVE) == set(CLIPPINGS)


@pytest.mark.parametrize("name", ACTIVE)
@pytest.mark.parametrize("scale", [1e-25, 1e-3, 1.0, 1e3, 1e25])
def test_clipped_values_and_norms_are_those_of_numpy(name, scale):
    values = tree(scale=scale)
    clipped = clip(ACTIVE[name], values)
    wanted = expected(name, values)
    for value, want in zip(clipped.values, wanted, strict=True):
        np.testing.assert_allclose(value, want, rtol=2e-6)
    np.testing.assert_allclose(clipped.global_norm, numpy_norm(wanted), rtol=2e-6)
    assert bool(tf.reduce_any(clipped.clipped)) == (
        name != "none"
        and any(np.any(v != w) for v, w in zip(values, wanted, strict=True))
    )


@pytest.mark.parametrize("name", INACTIVE)
def test_below_the_threshold_nothing_changes_to_the_bit(name):
    values = tree()
    clipped = clip(INACTIVE[name], values)
    for before, after in zip(values, clipped.values, strict=True):
        assert after.numpy().tobytes() == before.tobytes()
    assert not clipped.clipped.numpy().any()


@pytest.mark.parametrize("name", ACTIVE)
def test_clipping_twice_changes_nothing(name):
    once = clip(ACTIVE[name], tree())
    twice = clip(ACTIVE[name], [v.numpy() for v in once.values])
    for first, second in zip(once.values, twice.values, strict=True):
        np.testing.assert_allclose(first, second, rtol=2e-7)


@pytest.mark.parametrize("seed", range(5))
def test_norms_end_at_their_thresholds(seed):
    values = tree(seed, scale=100.0)
    assert float(clip("global_norm(0.5)", values).global_norm) <= 0.5 * (1 + 1e-6)
    assert np.all(clip("norm(0.5)", values).norms <= 0.5 * (1 + 1e-6))


def test_global_norm_keeps_the_direction():
    values = tree()
    clipped = np.concatenate(
        [v.numpy().ravel() for v in clip("global_norm(0.1)", values).values]
    )
    raw = np.concatenate([v.ravel() for v in values])
    cosine = raw @ clipped / np.linalg.norm(raw) / np.linalg.norm(clipped)
    assert cosine == pytest.approx(1.0, abs=1e-6)


def test_with_a_threshold_of_one_over_root_fan_in_no_unit_is_above_norm_one():
    clipped = clip("inverse_sqrt_dim()", tree(scale=1e4))
    for value, info in zip(clipped.values, INFOS, strict=True):
        norms = np.sqrt(np.square(value).sum(axis=info.unit_axes))
        assert np.all(norms <= 1 + 1e-6)


def test_the_input_variant_takes_the_feature_dimension():
    clipped = clip("inverse_sqrt_dim('input')", tree(scale=1e4))
    largest = max(np.abs(value).max() for value in clipped.values)
    assert largest == pytest.approx(0.1118, abs=1e-4)


def test_match_selects_variables_by_path():
    values = tree()
    clipped = clip("norm(0.1, match='out/')", values)
    assert clipped.values[0].numpy().tobytes() == values[0].tobytes()
    assert clipped.values[1].numpy().tobytes() == values[1].tobytes()
    assert np.linalg.norm(clipped.values[2]) == pytest.approx(0.1, rel=1e-6)
    assert clipped.clipped.numpy().tolist() == [False, False, True]


def test_a_match_that_selects_nothing_is_an_error():
    with pytest.raises(SpecError, match="selects none of: net/conv/kernel"):
        ClippingChain(parse_clipping(["norm(1, match='gru')"]), INFOS)


def test_a_chain_acts_in_its_order():
    chain = ClippingChain(parse_clipping(["value(0.1)", "global_norm(0.2)"]), INFOS)
    values = tree()
    clipped = chain(Gradients([tf.constant(v) for v in values], INFOS))
    bounded = [np.clip(v.astype(np.float64), -0.1, 0.1) for v in values]
    for value, want in zip(clipped.values, bounded, strict=True):
        np.testing.assert_allclose(value, want * 0.2 / numpy_norm(bounded), rtol=2e-6)


def test_repeated_rows_of_indexed_slices_are_added_up():
    slices = tf.IndexedSlices(tf.ones([2, 3]), tf.constant([1, 1]), tf.constant([4, 3]))
    dense = densify(slices)
    np.testing.assert_array_equal(dense, [[0] * 3, [2] * 3, [0] * 3, [0] * 3])
    assert densify(None) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_shows_in_the_norm(bad):
    values = tree()
    values[1][2] = bad
    assert not np.isfinite(
        Gradients([tf.constant(v) for v in values], INFOS).global_norm
    )


def test_a_zero_gradient_stays_zero():
    for spec in ACTIVE.values():
        clipped = clip(spec, [np.zeros(s, np.float32) for s in SHAPES])
        assert all(not value.numpy().any() for value in clipped.values)
