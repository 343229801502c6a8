"""Clipping strategies that remember: what they make of hundreds of steps."""

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.strategies import (
    ClippingChain,
    Gradients,
    VariableInfo,
    parse_clipping,
)

INFOS = [VariableInfo("net/kernel", "kernel", (0,), 2, 80, (2, 1))]


def gradient_of(norm):
    """A gradient of that norm."""
    direction = tf.constant([[0.6], [-0.8]])
    return Gradients([norm * direction], INFOS)


def chain_of(*specs):
    return ClippingChain(parse_clipping(specs), INFOS)


def follow(chain, norms):
    """Norms after clipping of a run of steps; -1 where the chain skips one."""

    def step(norm):
        gradients = gradient_of(norm)
        return tf.cond(
            chain.accepts(gradients),
            lambda: chain(gradients).global_norm,
            lambda: tf.constant(-1.0),
        )

    @tf.function
    def run(norms):
        return tf.map_fn(step, norms, parallel_iterations=1)

    return run(tf.constant(norms, tf.float32)).numpy()


def unclipped(norms, after):
    return np.mean(np.abs(after - norms) <= 1e-6 * norms)


def noisy(levels, spread=0.3, seed=0):
    """Norms that scatter around given levels."""
    levels = np.asarray(levels, float)
    noise = np.random.default_rng(seed).normal(size=levels.shape) * spread
    return (levels * np.exp(noise)).astype(np.float32)


DRIFT = noisy(100 * np.exp(-np.linspace(0, 4, 3000)))
"""Norms that fall to a fiftieth in the course of a run, as in a training."""


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_quantile_leaves_the_share_unclipped_that_it_was_asked_for(q):
    share = unclipped(DRIFT, follow(chain_of(f"quantile({q})"), DRIFT))
    assert share == pytest.approx(q, abs=0.015)


@pytest.mark.parametrize(("q", "least"), [(0.1, 0.2), (0.5, 0.65), (0.9, 0.93)])
def test_a_percentile_of_all_norms_lags_behind_their_drift(q, least):
    spec = f"percentile({100 * q}, window=3000)"
    long = unclipped(DRIFT, follow(chain_of(spec), DRIFT))
    spec = f"percentile({100 * q}, window=100)"
    short = unclipped(DRIFT, follow(chain_of(spec), DRIFT))
    assert long > least
    assert abs(short - q) < abs(long - q)


def test_quantile_follows_a_level_up_and_down():
    norms = noisy([1.0] * 300 + [1e4] * 300 + [1e-3] * 1500)
    after = follow(chain_of("quantile(0.8)"), norms)
    for start, end in ((100, 300), (400, 600), (1900, 2100)):
        share = unclipped(norms[start:end], after[start:end])
        assert share == pytest.approx(0.8, abs=0.05)


def test_the_first_step_sets_the_threshold_of_quantile():
    after = follow(chain_of("quantile(0.9)"), [3.0, 100.0])
    np.testing.assert_allclose(after, [3.0, 3.0 * np.exp(-0.2 * 0.1)], rtol=1e-6)


@pytest.mark.parametrize("spec", ["zscore()", "median()"])
def test_a_spike_is_bounded_and_soon_forgotten(spec):
    norms = noisy([1.0] * 200, spread=0.1)
    norms[100] = 1e6
    after = follow(chain_of(spec), norms)
    assert after[100] < 2.5
    assert unclipped(norms[101:], after[101:]) > 0.95


def test_outliers_end_the_nearer_to_the_mean_the_further_out_they_are():
    ends = []
    for spike in (2.0, 5.0, 1e3, 1e30):
        norms = noisy([1.0] * 60, spread=0.1)
        norms[59] = spike
        ends.append(follow(chain_of("zscore()"), norms)[59])
    assert sorted(ends, reverse=True) == ends
    assert ends[0] < 1.6
    assert ends[-1] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("jump", [10.0, 1e4])
@pytest.mark.parametrize("spec", ["zscore()", "median()"])
def test_a_new_level_is_reached(spec, jump):
    norms = noisy([1.0] * 100 + [jump] * 200, spread=0.1)
    after = follow(chain_of(spec), norms)
    assert after[100] < 2.5
    assert unclipped(norms[-50:], after[-50:]) > 0.95


def test_norms_that_never_vary_do_not_freeze_the_threshold():
    norms = np.array([1.0] * 40 + [5.0] * 200, np.float32)
    after = follow(chain_of("zscore()"), norms)
    np.testing.assert_allclose(after[:40], 1.0)
    np.testing.assert_allclose(after[-50:], 5.0)


def test_nothing_is_clipped_before_enough_is_known():
    norms = np.geomspace(1.0, 1e6, 25)
    after = follow(chain_of("zscore()"), norms)
    np.testing.assert_allclose(after, norms, rtol=1e-6)
    assert follow(chain_of("median()"), [7.0])[0] == pytest.approx(7.0)


def test_median_bounds_by_the_median_of_its_window():
    after = follow(chain_of("median(2, window=3)"), [1, 1, 1, 100, 100, 100, 100])
    np.testing.assert_allclose(after, [1, 1, 1, 2, 2, 100, 100], rtol=1e-6)


def test_spikes_are_skipped_and_the_steps_beside_them_are_not():
    norms = noisy([1.0] * 400)
    norms[[150, 151, 300]] = [1e3, 1e30, 50.0]
    chain = chain_of("skip_spikes()")
    after = follow(chain, norms)
    assert np.flatnonzero(after < 0).tolist() == [150, 151, 300]
    kept = np.delete(norms, [150, 151, 300])
    np.testing.assert_allclose(after[after >= 0], kept, rtol=1e-6)
    alone = chain_of("skip_spikes()")
    follow(alone, kept)
    for variable, wanted in zip(
        chain.variables.values(), alone.variables.values(), strict=True
    ):
        assert variable.numpy() == wanted.numpy()


@pytest.mark.parametrize(("spread", "bound"), [(0.3, 4 * 0.3), (0.0, 4 * 0.1)])
def test_a_spike_begins_at_s_deviations_of_the_log_norm(spread, bound):
    before = np.exp(spread * np.tile([1, -1], 60))
    for factor, skipped in ((0.97, False), (1.03, True)):
        norms = [*before, np.exp(bound * factor)]
        after = follow(chain_of("skip_spikes(4)"), norms)
        assert (after[-1] < 0) == skipped
        assert (after[:-1] > 0).all()


def test_a_hard_limit_holds_from_the_first_step():
    after = follow(chain_of("skip_spikes(limit=10)"), [11.0, 9.0, 1e20, 9.5])
    np.testing.assert_allclose(after, [-1, 9, -1, 9.5], rtol=1e-6)


def test_norms_that_drift_are_not_spikes():
    for drift in (DRIFT, DRIFT[::-1]):
        assert np.mean(follow(chain_of("skip_spikes()"), drift) < 0) < 0.002


def test_a_lasting_rise_is_skipped_to_the_end_by_intent():
    norms = noisy([1.0] * 150 + [1e3] * 100, spread=0.1)
    after = follow(chain_of("skip_spikes()"), norms)
    assert (after[:150] > 0).all()
    assert (after[150:] < 0).all()


def test_a_norm_of_nearly_zero_does_not_let_spikes_pass():
    norms = noisy([1.0] * 202, spread=0.1)
    norms[200:] = 1e-30, 10.0
    after = follow(chain_of("skip_spikes()"), norms)
    assert after[200] == pytest.approx(1e-30)
    assert after[201] == -1


def test_spikes_are_those_of_the_raw_gradient_wherever_in_a_chain():
    norms = noisy([10.0] * 200)
    norms[150] = 1e3
    after = follow(chain_of("global_norm(1)", "skip_spikes()"), norms)
    assert np.flatnonzero(after < 0).tolist() == [150]


@pytest.mark.parametrize("inner", ["value(0.01)", "global_norm(0.05)", "quantile(0.5)"])
def test_error_feedback_loses_nothing_without_decay(inner):
    chain = chain_of(f"error_feedback('{inner}', decay=1)")
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(20, 2, 1)) * 0.1).astype(np.float32)
    sent = sum(chain(Gradients([tf.constant(v)], INFOS)).values[0] for v in values)
    carried = next(iter(chain.variables.values())).numpy()
    assert np.abs(carried).max() > 0.01
    np.testing.assert_allclose(sent + carried, values.sum(axis=0), atol=2e-6)


def test_what_error_feedback_carries_is_bounded_by_its_decay():
    chain = chain_of("error_feedback('global_norm(1)', decay=0.9)")
    follow(chain, [11.0] * 200)
    (carried,) = chain.variables.values()
    assert np.linalg.norm(carried) == pytest.approx(90.0, rel=1e-3)
    after = follow(chain, [0.0] * 200)
    assert after[0] == pytest.approx(1.0, rel=1e-6)
    assert after[-1] == pytest.approx(0.0, abs=1e-6)


def test_error_feedback_never_carries_what_would_overflow():
    chain = chain_of("error_feedback('value(1)', decay=1)")
    after = follow(chain, [3e38, 3e38, 3e38, 0.1])
    assert np.isfinite(after).all()
    assert after[-1] == pytest.approx(0.1)


def test_error_feedback_acts_where_its_inner_strategy_does():
    bias = VariableInfo("net/bias", "bias", (), 2, 80, (1,))
    specs = parse_clipping(["error_feedback('adaptive()')"])
    assert len(ClippingChain(specs, [*INFOS, bias]).variables) == 1


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("error_feedback('skip_spikes()')", "unknown .* 'skip_spikes'"),
        ("error_feedback('error_feedback()')", "unknown .* 'error_feedback'"),
        ("error_feedback('norm(-1)')", "c must be a number above 0"),
        ("error_feedback('norm(1, match=\"a\")')", "match= belongs to"),
        ("error_feedback(0.01)", "inner must be a text"),
        ("error_feedback(decay=0)", "decay must be in"),
        ("percentile(0)", "p must be in"),
        ("percentile(window=2.5)", "whole number"),
        ("quantile(1)", "between 0 and 1"),
        ("quantile(90)", "between 0 and 1"),
        ("quantile(0.9, eta=-1)", "above 0"),
        ("zscore(decay=1)", "between 0 and 1"),
        ("zscore(0)", "above 0"),
        ("median(-2)", "above 0"),
        ("skip_spikes(limit=-1)", "above 0"),
        ("skip_spikes(limit='x')", "above 0"),
        ("adaptive(0)", "above 0"),
        ("smooth(-1)", "above 0"),
        ("block_rms(0)", "above 0"),
    ],
)
def test_arguments_out_of_range_are_one_clear_error(spec, reason):
    with pytest.raises(SpecError, match=reason) as error:
        parse_clipping([spec])
    assert "\n" not in str(error.value)
