"""Every figure of a step against NumPy in float64."""

import numpy as np
import pytest
import tensorflow as tf
from toy import ToyModel, group_of, model_of, run, toy_data, toy_step

from tfspeech.strategies import Gradients, describe_variables, parse_clipping
from tfspeech.strategies.clipping import ClippingChain
from tfspeech.training.diagnostics import (
    SAMPLING_STEPS,
    SPIKE_MOMENTUM,
    SPIKE_WARMUP_STEPS,
    SpikeMeter,
    UpdateProbe,
    clipping_figures,
    weight_figures,
)
from tfspeech.training.group import METRICS

MODEL = ToyModel()
INFOS = describe_variables(MODEL)
ONCE_IN_A_WHILE = {"cosine", "clipped_elements"}
"""Measured by value clipping in one step of `SAMPLING_STEPS`."""


def random_gradients(seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    return [size * rng.normal(size=info.shape).astype(np.float32) for info in INFOS]


def figures_of(clip, tensors, step=0):
    """The figures, and the gradient as it was clipped."""
    weights = [tf.convert_to_tensor(v.value) for v in MODEL.trainable_variables]
    raw = Gradients([tf.constant(t) for t in tensors], INFOS, weights)
    clipped = ClippingChain(parse_clipping(clip), INFOS)(raw)
    found = clipping_figures(raw, clipped, tf.constant(step, tf.int64))
    values = [value.numpy() for value in clipped.values]
    return {name: float(value) for name, value in found.items()}, values


def flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors]).astype(np.float64)


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


CHAINS = [
    ["none()"],
    ["global_norm(0.3)"],
    ["norm(0.7)"],
    ["norm(0.7)", "global_norm(0.5)"],
    ["global_norm(0.4, match='kernel')"],
    ["value(0.4)"],
    ["value(0.4, match='kernel')", "norm(0.8)"],
    ["centralize()"],
]


@pytest.mark.parametrize("clip", CHAINS, ids="+".join)
@pytest.mark.parametrize("size", [1.0, 1e-30, 1e30])
def test_what_clipping_did_is_what_numpy_finds(clip, size):
    tensors = random_gradients(size=size)
    found, values = figures_of(clip, tensors)
    before, after = flat(tensors), flat(values)
    assert found["cosine"] == pytest.approx(cosine(before, after), rel=1e-5)
    energy = (after @ after) / (before @ before)
    assert found["retained_energy"] == pytest.approx(energy, rel=1e-5)
    assert found["clipped_norm"] == pytest.approx(np.linalg.norm(after), rel=1e-5)
    assert found["clipped_elements"] == pytest.approx(np.mean(before != after))
    pairs = zip(tensors, values, strict=True)
    touched = [bool(np.any(a != b)) for a, b in pairs]
    assert found["clipped_tensors"] == pytest.approx(np.mean(touched))
    assert found["clipped"] == float(any(touched))


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1.0, 1e20, 1e35])
def test_one_factor_for_all_tensors_has_a_cosine_of_exactly_one(size):
    for seed in range(20):
        found, _ = figures_of(
            [f"global_norm({size / 3})"], random_gradients(seed, size)
        )
        assert found["cosine"] == 1.0
        assert found["clipped"] == 1.0
        assert found["threshold"] == pytest.approx(size / 3)


def test_a_gradient_that_was_not_clipped_has_lost_nothing():
    tensors = random_gradients()
    scaled, _ = figures_of(["global_norm(1e6)"], tensors)
    bounded, _ = figures_of(["value(1e6)"], tensors)
    for found in (scaled, bounded):
        assert found["cosine"] == pytest.approx(1.0, abs=1e-6)
        assert found["retained_energy"] == 1.0
        for name in ("clipped", "clipped_tensors", "clipped_elements"):
            assert found[name] == 0.0


def test_the_cosine_of_an_opposite_gradient_is_minus_one():
    raw = Gradients([tf.constant([3e30, -4e30])], INFOS[:1])
    turned = raw.replaced([tf.constant([-3e-30, 4e-30])])
    found = clipping_figures(raw, turned, tf.constant(0))
    assert float(found["cosine"]) == pytest.approx(-1.0)
    assert float(found["retained_energy"]) == 0.0


@pytest.mark.parametrize("clip", CHAINS, ids="+".join)
def test_of_a_gradient_of_zeros_nothing_is_known_and_nothing_was_clipped(clip):
    found, _ = figures_of(clip, [np.zeros(info.shape, np.float32) for info in INFOS])
    assert np.isnan([found["cosine"], found["retained_energy"]]).all()
    for name in ("clipped_norm", "clipped", "clipped_tensors", "clipped_elements"):
        assert found[name] == 0.0


def test_a_pass_over_the_elements_is_made_once_in_a_while():
    for step in (1, SAMPLING_STEPS - 1, SAMPLING_STEPS, SAMPLING_STEPS + 1):
        found, _ = figures_of(["value(0.4)"], random_gradients(), step)
        assert found["element_threshold"] == pytest.approx(0.4)
        missing = {name for name in found if np.isnan(found[name])} - {"threshold"}
        assert missing == (set() if step == SAMPLING_STEPS else ONCE_IN_A_WHILE)
        assert 0.0 < found["retained_energy"] < 1.0


# A sequence of weights by hand, for the probe.


def probe_of(values):
    """A probe, and a function that moves its variables and asks it."""
    variables = [tf.Variable(v, dtype=tf.float32) for v in values]
    keras_like = [type("Weight", (), {"value": v})() for v in variables]
    infos = [
        type("Info", (), {"size": v.shape.num_elements(), "path": f"w{i}"})()
        for i, v in enumerate(variables)
    ]
    probe = UpdateProbe(keras_like, infos)

    def after(*new):
        for variable, value in zip(variables, new, strict=True):
            variable.assign(value)
        figures, ratios = probe.measure()
        return (*(float(figures[n]) for n in ("update_cosine", "sign_flips")), ratios)

    return probe, after


def test_moves_of_weights_are_compared_with_the_moves_before():
    _, after = probe_of([[1.0, 2.0], [2.0, 1.0]])
    similarity, flips, ratios = after([1.0, 2.5], [2.0, 1.0])
    assert np.isnan([similarity, flips]).all()  # There is no move before the first.
    np.testing.assert_allclose(ratios, [0.5 / 5**0.5, 0.0], rtol=1e-6)

    similarity, flips, ratios = after([1.0, 3.5], [2.0, 2.0])
    assert similarity == pytest.approx(0.5**0.5)
    assert flips == 0.0
    np.testing.assert_allclose(ratios, [1 / 7.25**0.5, 1 / 5**0.5], rtol=1e-6)

    # Moves (0, 1, 0, 1) and (4, -2, 0, 1): one of the two that moved again turned.
    similarity, flips, ratios = after([5.0, 1.5], [2.0, 3.0])
    assert similarity == pytest.approx(-1 / (21 * 2) ** 0.5)
    assert flips == 0.5
    np.testing.assert_allclose(ratios, [(20 / 13.25) ** 0.5, 8**-0.5], rtol=1e-6)

    similarity, flips, ratios = after([5.0, 1.5], [2.0, 3.0])  # Nothing moves.
    assert np.isnan([similarity, flips]).all()
    np.testing.assert_array_equal(ratios, [0.0, 0.0])
    assert np.isnan(after([5.0, 1.5], [2.0, 4.0])[0])


def test_back_and_forth_is_minus_one_and_straight_on_is_one_at_any_size():
    for size in (1e-30, 1.0, 1e30):
        for turn in (-1.0, 1.0):
            _, after = probe_of([[0.0, 0.0]])
            after([size, 2 * size])
            similarity, flips, _ = after([size * (1 + turn), 2 * size * (1 + turn)])
            assert similarity == pytest.approx(turn)
            assert flips == (turn < 0)


def test_the_ratio_of_a_weight_that_was_zero_is_not_finite():
    _, after = probe_of([[0.0], [0.0]])
    assert not np.isfinite(after([1.0], [0.0])[2]).any()


def test_a_sample_stands_for_all_weights_of_its_variable():
    """200,000 weights go straight on, 100 turn back: the cosine is near 1."""
    probe, after = probe_of([np.zeros(200_000), np.zeros(100)])
    sampled = int(probe.variables[0].shape[0])
    assert 4096 <= sampled <= 4096 + 64
    after(np.ones(200_000), np.ones(100))
    similarity, flips, _ = after(np.full(200_000, 2.0), np.zeros(100))
    assert similarity == pytest.approx((200_000 - 100) / 200_100)
    assert flips == pytest.approx(100 / 200_100)


def test_small_variables_are_sampled_whole_and_never_twice():
    probe, after = probe_of([np.arange(1.0, 61.0), np.arange(1.0, 8.0)])
    assert np.unique(probe.variables[0].numpy()[:60]).size == 60
    ratios = after(2 * np.arange(1.0, 61.0), np.arange(1.0, 8.0))[2]
    np.testing.assert_allclose(ratios, [1.0, 0.0])


# How unusual a norm is.


def test_the_score_of_a_norm_is_that_of_its_logarithm():
    meter = SpikeMeter()
    norms = np.exp(np.random.default_rng(0).normal(size=200)).astype(np.float32)
    mean = variance = 0.0
    for count, norm in enumerate(norms):
        score = float(meter.measure(tf.constant(norm)))
        log = np.log(np.float64(norm))
        if count < SPIKE_WARMUP_STEPS:
            assert np.isnan(score)
        else:
            wanted = (log - mean) / np.sqrt(variance)
            assert score == pytest.approx(wanted, rel=1e-3, abs=1e-4)
        if count == SPIKE_WARMUP_STEPS:  # Until then the plain mean and variance.
            logs = np.log(norms[:count], dtype=np.float64)
            np.testing.assert_allclose([mean, variance], [logs.mean(), logs.var()])
        rate = max(1.0 - SPIKE_MOMENTUM, 1.0 / (count + 1))
        variance = (1 - rate) * (variance + rate * (log - mean) ** 2)
        mean += rate * (log - mean)
        meter.update(tf.constant(norm))


def test_a_gradient_of_zeros_is_no_norm_to_compare_with():
    meter = SpikeMeter()
    for norm in [2.0, 3.0] * SPIKE_WARMUP_STEPS:
        meter.update(tf.constant(norm))
    before = [v.numpy() for v in meter.variables]
    meter.update(tf.constant(0.0))
    assert [v.numpy() for v in meter.variables] == before
    assert float(meter.measure(tf.constant(0.0))) == -np.inf
    assert float(meter.measure(tf.constant(1e30))) > 100.0


# How sparse the weights are.


def test_weights_are_counted_over_kernels():
    model = ToyModel()
    kernel, bias, last, _ = model.trainable_variables
    kernel.assign([[0, 0, 1, 0], [0, 5e-4, -1, 0], [0, 0, 2, 1e-3]])
    bias.assign([0.0] * 4)  # Biases do not count.
    last.assign([[0.5], [0.0], [-0.5], [3.0]])
    figures = weight_figures(model.trainable_variables, describe_variables(model))
    assert figures.zeros == 8 / 16
    assert figures.small == 9 / 16
    assert figures.zero_units == 1 / 5
    values = np.concatenate([np.ravel(kernel), np.ravel(last)]).astype(np.float64)
    effective = np.abs(values).sum() ** 2 / np.square(values).sum() / 16
    assert figures.effective_parameters == pytest.approx(effective, rel=1e-6)


@pytest.mark.parametrize(("value", "zeros"), [(0.0, 1.0), (1e-30, 0.0), (1e30, 0.0)])
def test_equal_weights_are_all_effective_and_zeros_are_none(value, zeros):
    model = ToyModel()
    for variable in model.trainable_variables:
        variable.assign(tf.fill(variable.shape, value))
    figures = weight_figures(model.trainable_variables, describe_variables(model))
    assert figures.effective_parameters == pytest.approx(1.0 - zeros)
    assert (figures.zeros, figures.zero_units) == (zeros, zeros)
    assert weight_figures([], []).effective_parameters == 0.0


# Through the training step.


def metrics_of(clip, steps=SAMPLING_STEPS + 10, **settings):
    step = toy_step(clip=clip, **settings)
    return step, run(step, toy_data(bad=[5]), steps)


def test_a_step_reports_a_cosine_of_one_for_a_bound_of_the_global_norm():
    _, metrics = metrics_of(["global_norm(0.1)"])
    made = metrics["skipped"] == 0
    assert made.sum() == made.size - 1
    np.testing.assert_array_equal(metrics["cosine"][made], 1.0)
    assert np.isnan(metrics["cosine"][~made]).all()
    np.testing.assert_allclose(metrics["clipped_norm"][made], 0.1, rtol=1e-6)
    np.testing.assert_allclose(metrics["threshold"][made], 0.1, rtol=1e-6)
    energy = (metrics["clipped_norm"] / metrics["gradient_norm"]) ** 2
    np.testing.assert_allclose(
        metrics["retained_energy"][made], energy[made], rtol=1e-5
    )


def test_a_step_samples_what_value_clipping_does():
    _, metrics = metrics_of(["value(0.05)"])
    for name in ONCE_IN_A_WHILE:
        measured = np.flatnonzero(np.isfinite(metrics[name]))
        assert measured.tolist() == [0, SAMPLING_STEPS]
    assert (metrics["cosine"][[0, SAMPLING_STEPS]] < 1.0).all()
    assert (metrics["clipped_elements"][[0, SAMPLING_STEPS]] > 0.1).all()
    made = metrics["skipped"] == 0
    assert (metrics["retained_energy"][made] <= 1.0).all()
    assert metrics["clipped_tensors"][made].max() == 1.0


def test_a_step_reports_how_its_weights_moved():
    """Plain SGD of rate r moves the weights by -r g', whole in the sample."""
    step = toy_step(clip=["global_norm(0.1)"], optimizer="sgd()", learning_rate=0.5)
    variables, iterator = model_of(step).trainable_variables, iter(toy_data())
    weights, found, ratios = [[v.numpy() for v in variables]], [], {}
    for _ in range(4):
        metrics, ratios = step.run(iterator, 1)
        figures = metrics["model"].items()
        found.append({name: float(values[0]) for name, values in figures})
        weights.append([v.numpy() for v in variables])
    moves = np.diff([flat(w) for w in weights], axis=0)
    assert np.isnan([found[0]["update_cosine"], found[0]["sign_flips"]]).all()
    for number in range(1, 4):
        now, last = moves[number], moves[number - 1]
        wanted = cosine(now, last)
        assert found[number]["update_cosine"] == pytest.approx(wanted, abs=1e-5)
        assert found[number]["sign_flips"] == pytest.approx(np.mean(now * last < 0))
    for variable, new, old in zip(variables, weights[-1], weights[-2], strict=True):
        ratio = np.linalg.norm(new - old) / np.linalg.norm(old)
        assert ratios["model"][variable.path] == pytest.approx(ratio, rel=1e-4)


def test_of_a_skipped_step_only_the_gradient_is_known():
    step, metrics = metrics_of(["quantile(0.5)"], steps=6)
    assert metrics["skipped"].tolist() == [0, 0, 0, 0, 0, 1]
    known = {name for name in METRICS if np.isfinite(metrics[name][5])}
    counted = {"clipped_norm", "clipped", "skipped", "learning_rate", "loss_scale"}
    assert known == counted | {"loss", "penalty"}  # tanh hides the infinity.
    probe = group_of(step)._diagnostics
    before = [v.numpy() for v in probe.variables]
    step.run(iter(toy_data(bad=[0])), 1)
    for value, variable in zip(before, probe.variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())


def test_a_spike_stands_out():
    step = toy_step(clip=["none()"], learning_rate=1e-4)
    data = toy_data(batches=60)
    metrics = run(step, data, 40)
    usual = metrics["norm_zscore"][SPIKE_WARMUP_STEPS:]
    assert np.abs(usual).max() < 6.0
    large = data.map(lambda b: {"x": 100.0 * b["x"], "y": 100.0 * b["y"]})
    assert run(step, large, 1)["norm_zscore"][0] > 8.0
