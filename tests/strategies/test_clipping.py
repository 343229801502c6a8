"""Every clipping strategy against NumPy in float64, and what must hold for all."""

import numpy as np
import pytest
import tensorflow as tf
from clipping_cases import (
    CASES,
    INFOS,
    WEIGHTS,
    chain_of,
    gradients_of,
    norm,
    tree,
    units,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tfspeech.errors import SpecError
from tfspeech.strategies import CLIPPINGS, Gradients, VariableInfo, densify

IDLE = {name: case.idle for name, case in CASES.items() if case.idle}


def clip(spec, values):
    return chain_of(spec)(gradients_of(values))


def raw_bytes(tensors):
    return [np.asarray(t).tobytes() for t in tensors]


def names_of(**wanted):
    return [
        name
        for name, case in CASES.items()
        if all(getattr(case, field) == value for field, value in wanted.items())
    ]


def check_step(chain, step, values, infos, weights):
    """Takes one step on both sides and compares them; returns what was clipped."""
    wide = [v.astype(np.float64) for v in values]
    wanted = step(wide, infos, [w.astype(np.float64) for w in weights])
    gradients = gradients_of(values, infos, weights)
    assert bool(chain.accepts(gradients)) == (wanted is not None)
    if wanted is None:
        return None
    clipped = chain(gradients)
    for value, want, before in zip(clipped.values, wanted, wide, strict=True):
        # What is below the smallest normal float32 is flushed to zero.
        slack = 1e-6 * min(np.abs(want).max(), np.abs(before).max()) + 2e-38
        np.testing.assert_allclose(value, want, rtol=2e-5, atol=slack)
    np.testing.assert_allclose(clipped.global_norm, norm(wanted), rtol=2e-5, atol=1e-37)
    if np.isfinite(clipped.threshold):
        limit = float(clipped.threshold) * (1 + 1e-6)
        assert norm([v.numpy() for v in clipped.values]) <= limit
        assert float(clipped.global_norm) <= limit
    return clipped


def test_the_table_of_this_test_names_every_strategy():
    assert set(CASES) == set(CLIPPINGS)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
@pytest.mark.parametrize("name", CASES)
def test_a_run_of_steps_is_that_of_numpy(name, scale):
    chain = chain_of(CASES[name].spec)
    step = CASES[name].reference()
    levels = [1.0, 3.0, 0.5, 0.7, 30.0, 1.1, 0.6, 0.9, 2.0]
    for seed, level in enumerate(levels):
        values = tree(seed, scale * level)
        clipped = check_step(chain, step, values, INFOS, WEIGHTS)
        if clipped is not None and scale == 1.0:
            moved = not np.allclose(norm(clipped.values), norm(values), rtol=1e-5)
            assert not moved or clipped.clipped.numpy().any()


@st.composite
def trees(draw):
    """Variables of any rank, each with gradients of its own size, or zero."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    infos, values = [], []
    for index, rank in enumerate(draw(st.lists(st.integers(1, 4), min_size=1))[:4]):
        shape = tuple(int(n) for n in rng.integers(1, 5, size=rank))
        axes = tuple(range(rank - 1))
        kind = "kernel" if rank > 1 else "bias"
        fan_in = int(np.prod([shape[axis] for axis in axes]))
        infos.append(VariableInfo(f"net/{index}", kind, axes, fan_in, 80, shape))
        exponent = draw(st.sampled_from([None, -30, -12, -2, 0, 2, 12, 30]))
        scale = 0.0 if exponent is None else 10.0**exponent
        values.append((rng.normal(size=shape) * scale).astype(np.float32))
    return infos, values, tree(seed, infos=infos)


@given(trees())
@settings(max_examples=12, deadline=None, derandomize=True)
def test_all_strategies_are_those_of_numpy_on_trees_of_any_shape_and_size(drawn):
    infos, values, weights = drawn
    for name, case in CASES.items():
        if name != "skip_spikes" or norm(values) > 0:  # NumPy's logarithm warns of 0.
            chain = chain_of(case.spec, infos=infos)
            check_step(chain, case.reference(), values, infos, weights)


@pytest.mark.parametrize("name", IDLE)
def test_below_the_threshold_nothing_changes_to_the_bit(name):
    chain = chain_of(IDLE[name])
    for seed, level in enumerate((1.0, 1.5, 1.8)):
        values = tree(seed, level)
        clipped = chain(gradients_of(values))
        assert raw_bytes(clipped.values) == raw_bytes(values)
        assert not clipped.clipped.numpy().any()


@pytest.mark.parametrize("name", names_of(idempotent=True))
def test_clipping_twice_changes_nothing(name):
    once = clip(CASES[name].spec, tree())
    twice = clip(CASES[name].spec, [v.numpy() for v in once.values])
    for first, second in zip(once.values, twice.values, strict=True):
        np.testing.assert_allclose(first, second, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("name", names_of(one_factor=True))
def test_one_factor_for_all_keeps_the_direction(name):
    chain = chain_of(CASES[name].spec)
    chain(gradients_of(tree(1, 0.01)))
    gradients = gradients_of(tree(2))
    clipped = chain(gradients)
    assert clipped.only_scales(gradients)
    raw = np.concatenate([v.numpy().ravel() for v in gradients.values])
    after = np.concatenate([v.numpy().ravel() for v in clipped.values])
    cosine = raw @ after / np.linalg.norm(raw) / np.linalg.norm(after)
    assert cosine == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_zero_gradient_stays_zero_and_does_no_harm(name):
    chain = chain_of(CASES[name].spec)
    for level in (0.0, 0.0, 1.0):
        gradients = gradients_of(tree(scale=level))
        assert bool(chain.accepts(gradients))
        clipped = chain(gradients)
        assert all(np.isfinite(value).all() for value in clipped.values)
        assert bool(clipped.global_norm > 0) == (level > 0)


@pytest.mark.parametrize("name", CASES)
def test_skipped_steps_touch_nothing_and_state_is_all_there_is(name):
    """A compiled run with steps that are not finite, against an eager one without.

    The eager one stops halfway and goes on from a copy of its variables alone.
    """
    spec = CASES[name].spec
    chain, eager = chain_of(spec), chain_of(spec)

    @tf.function
    def step(*tensors):
        weights = [tf.constant(w) for w in WEIGHTS]
        gradients = Gradients(tensors, INFOS, weights)
        good = tf.math.is_finite(gradients.global_norm) & chain.accepts(gradients)
        return tf.cond(
            good,
            lambda: (*chain(gradients).values, True),
            lambda: (*gradients.values, False),
        )

    for seed, bad in enumerate([None, None, np.nan, None, np.inf, None, None]):
        values = tree(seed)
        if bad is not None:
            values[1][2] = bad
        *clipped, done = step(*map(tf.constant, values))
        gradients = gradients_of(values)
        if bad is None and bool(eager.accepts(gradients)):
            assert bool(done)
            for ours, theirs in zip(clipped, eager(gradients).values, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
        else:
            assert not bool(done)
        if seed == 3:
            stopped, eager = eager, chain_of(spec)
            for new, old in zip(
                eager.variables.values(), stopped.variables.values(), strict=True
            ):
                new.assign(old)
    for ours, theirs in zip(
        chain.variables.values(), eager.variables.values(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_variables_without_a_gradient_are_left_out(name):
    raw = [
        None,
        tf.ones([5]),
        tf.IndexedSlices(tf.ones([2, 3]), tf.constant([1, 1]), tf.constant([4, 3])),
        None,
    ]
    dense = [densify(gradient) for gradient in raw]
    present = [i for i, gradient in enumerate(dense) if gradient is not None]
    infos = [INFOS[i] for i in present]
    weights = [WEIGHTS[i] for i in present]
    values = [dense[i].numpy() for i in present]
    assert norm(values) == pytest.approx(np.sqrt(5 + 3 * 2**2))
    chain = chain_of(CASES[name].spec)
    check_step(chain, CASES[name].reference(), values, infos, weights)
    check_step(
        chain_of(CASES[name].spec), CASES[name].reference(), tree(), INFOS, WEIGHTS
    )


def test_match_selects_variables_by_path():
    values = tree()
    clipped = clip("norm(0.1, match='out/')", values)
    assert raw_bytes(clipped.values[:3]) == raw_bytes(values[:3])
    assert np.linalg.norm(clipped.values[3]) == pytest.approx(0.1, rel=1e-6)
    assert clipped.clipped.numpy().tolist() == [False, False, False, True]


def test_a_bound_of_some_variables_is_no_threshold_of_the_global_norm():
    values = tree()
    part = clip("global_norm(0.1, match='conv')", values)
    assert norm(part.values[:2]) == pytest.approx(0.1, rel=1e-6)
    assert np.isnan(part.threshold)
    both = chain_of("global_norm(0.7)", "norm(0.1, match='out/')")
    assert float(both(gradients_of(values)).threshold) == pytest.approx(0.7)


def test_a_match_that_selects_nothing_is_an_error():
    with pytest.raises(SpecError, match="selects none of: net/conv/kernel"):
        chain_of("norm(1, match='gru')")


def test_a_match_of_variables_without_a_gradient_does_nothing():
    chain = chain_of("norm(0.1, match='out/')", "skip_spikes(match='out/', limit=1e-9)")
    gradients = gradients_of(tree()[:2], INFOS[:2], WEIGHTS[:2])
    assert bool(chain.accepts(gradients))
    assert raw_bytes(chain(gradients).values) == raw_bytes(tree()[:2])


def test_a_chain_acts_in_its_order():
    clipped = chain_of("value(0.1)", "global_norm(0.2)")(gradients_of(tree()))
    bounded = [np.clip(v.astype(np.float64), -0.1, 0.1) for v in tree()]
    for value, want in zip(clipped.values, bounded, strict=True):
        np.testing.assert_allclose(value, want * 0.2 / norm(bounded), rtol=2e-6)


def test_centralized_then_bounded():
    clipped = chain_of("centralize()", "quantile(0.9)")(gradients_of(tree()))
    assert float(clipped.threshold) == pytest.approx(float(clipped.global_norm))
    assert np.abs(clipped.values[0].numpy().mean(axis=(0, 1))).max() < 1e-7


def test_with_a_threshold_of_one_over_root_fan_in_no_unit_is_above_norm_one():
    clipped = clip("inverse_sqrt_dim()", tree(scale=1e4))
    for value, info in zip(clipped.values, INFOS, strict=True):
        norms = np.sqrt(np.square(value).sum(axis=info.unit_axes))
        assert np.all(norms <= 1 + 1e-6)


def test_the_input_variant_takes_the_feature_dimension():
    clipped = clip("inverse_sqrt_dim('input')", tree(scale=1e4))
    largest = max(np.abs(value).max() for value in clipped.values)
    assert largest == pytest.approx(0.1118, abs=1e-4)


def test_adaptive_clipping_bounds_every_unit_by_its_weights():
    clipped = clip("adaptive(0.02)", tree(scale=1e4))
    for k in (0, 2):
        ratio = units(clipped.values[k], INFOS[k]) / units(WEIGHTS[k], INFOS[k])
        np.testing.assert_allclose(ratio, 0.02, rtol=1e-6)
    assert clipped.clipped.numpy().tolist() == [True, False, True, False]
    bias = clip("adaptive(0.02, match='bias')", tree(scale=1e4)).values[1]
    limit = 0.02 * np.linalg.norm(WEIGHTS[1])
    assert np.linalg.norm(bias) == pytest.approx(limit, rel=1e-6)


def test_whole_numbers_serve_as_arguments():
    specs = [
        *("value(1)", "norm(1)", "global_norm(1)", "block_rms(1)", "adaptive(1, 1)"),
        *("smooth(1)", "percentile(50)", "quantile(0.5, 1)", "zscore(1)", "median(1)"),
        *("skip_spikes(4, 9)", "error_feedback('norm(1)', 1)"),
    ]
    chain = chain_of(*specs)
    for _ in range(2):
        assert bool(chain.accepts(gradients_of(tree())))
        assert norm(chain(gradients_of(tree())).values) <= 1 + 1e-6


def test_centralize_leaves_alone_what_has_no_fan_in():
    values = tree()
    clipped = clip("centralize(match='bias')", values)
    assert raw_bytes(clipped.values) == raw_bytes(values)
