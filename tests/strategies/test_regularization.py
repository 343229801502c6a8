"""Penalties, update rules and constraints: formulas and invariants."""

import re

import keras
import numpy as np
import optax
import pytest
import tensorflow as tf
from optax import projections
from regularized import (
    ACTED_ON,
    RATE,
    make_chain,
    make_model,
    penalty,
    update,
    values,
)

from tfspeech.strategies import REGULARIZATIONS, Update


def per_unit(w, function):
    """Applies a function to [values per unit, units] of a kernel or an embedding."""
    columns = w.T if w.shape == (6, 4) else w.reshape(-1, w.shape[-1])
    new = function(columns)
    return (new.T if w.shape == (6, 4) else new).reshape(w.shape)


def shrink_units(columns):
    norms = np.linalg.norm(columns, axis=0)
    return columns * np.maximum(0, 1 - RATE * 9 * np.sqrt(len(columns)) / norms)


def kl_gaussian(w, prior):
    """0.5 KL(N(m, v) || N(0, v0)) in the form with two standard deviations."""
    distance = (w.var() + w.mean() ** 2) / (2 * prior) - 0.5
    return 0.5 * (np.log(np.sqrt(prior) / w.std()) + distance)


def orthogonality(w):
    singular = np.linalg.svd(w.reshape(-1, w.shape[-1]), compute_uv=False)
    return 0.5 * np.square(np.square(singular) - 1).sum()


PENALTIES = {
    "l1": ("l1(0.5)", "default", lambda w, v0: 0.5 * np.abs(w).sum()),
    "l2": ("l2(0.5)", "default", lambda w, v0: 0.5 * np.square(w).sum()),
    "l1_l2": (
        "l1_l2(0.5, 0.25)",
        "default",
        lambda w, v0: 0.5 * np.abs(w).sum() + 0.25 * np.square(w).sum(),
    ),
    "kl_gaussian": ("kl_gaussian(0.5)", "default", kl_gaussian),
    "orthogonal": ("orthogonal(0.5)", "matrices", lambda w, v0: orthogonality(w)),
}
UPDATES = {
    "weight_decay": ("weight_decay(0.5)", "default", lambda w: w * (1 - RATE * 0.5)),
    "l1_prox": (
        "l1_prox(5.0)",
        "default",
        lambda w: np.sign(w) * np.maximum(np.abs(w) - RATE * 5.0, 0),
    ),
    "group_lasso": ("group_lasso(9.0)", "hidden", lambda w: per_unit(w, shrink_units)),
    "box": (
        "box(-0.3, 0.2)",
        "default",
        lambda w: np.asarray(projections.projection_box(w, -0.3, 0.2)),
    ),
    "max_norm": (
        "max_norm(0.7)",
        "default",
        lambda w: per_unit(
            w, lambda u: u * np.minimum(1, 0.7 / np.linalg.norm(u, axis=0))
        ),
    ),
    "l2_ball": (
        "l2_ball(0.7)",
        "default",
        lambda w: np.asarray(projections.projection_l2_ball(w, 0.7)),
    ),
    "l1_ball": (
        "l1_ball(2.5)",
        "default",
        lambda w: np.asarray(projections.projection_l1_ball(w, 2.5)),
    ),
}
ELSEWHERE = {
    # Below: it needs time to reach its bound, and it changes nothing.
    "spectral",
    "none",
    # In test_pruning.py and test_regularization_specs.py.
    "prune",
    "budget",
    # In test_reparameterization.py and test_activation_penalties.py.
    "kl_mean_field",
    "hard_concrete_l0",
    "kl_sparsity",
}
BOUNDS = {
    "box(-0.3, 0.2)": lambda w: np.all(np.abs(w + 0.05) <= 0.25 * (1 + 1e-6)),
    "max_norm(0.7)": lambda w: np.all(
        per_unit(w, lambda u: np.linalg.norm(u, axis=0, keepdims=True) + 0 * u)
        <= 0.7 * (1 + 2e-6)
    ),
    "l2_ball(0.7)": lambda w: np.linalg.norm(w) <= 0.7 * (1 + 2e-6),
    "l1_ball(2.5)": lambda w: np.abs(w).sum() <= 2.5 * (1 + 2e-6),
}


def test_the_tables_name_every_strategy():
    assert {*PENALTIES, *UPDATES, *ELSEWHERE} == set(REGULARIZATIONS)


@pytest.mark.parametrize("name", REGULARIZATIONS)
def test_a_docstring_says_which_kind_a_strategy_is(name):
    kinds = "Penalty|Update rule|Constraint|Check at build|Leaves"
    kinds += "|Reparameterization and penalty"
    assert re.match(kinds, REGULARIZATIONS[name].__doc__)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_those_of_numpy_and_leave_the_rest_alone(name):
    spec, acted_on, formula = PENALTIES[name]
    model = make_model()
    priors = [np.var(value.astype(float)) for value in values(model)]
    chain = make_chain(spec, model)
    # The weights have moved since: other means and variances than at the start.
    for variable, scale in zip(
        model.trainable_variables, (0.2, 1.0, 3.0, 0.6), strict=True
    ):
        variable.assign(variable * scale + 0.3)
    wanted = sum(
        formula(values(model)[i].astype(float), priors[i]) for i in ACTED_ON[acted_on]
    )
    found = chain.penalty({}, Update(tf.constant(0), tf.constant(RATE)))
    assert float(found) == pytest.approx(wanted, rel=2e-6)


@pytest.mark.parametrize("scale", [1.0, 0.0, 1e-20, 1e4])
@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_and_their_gradients_are_finite(name, scale):
    model = make_model()
    chain = make_chain(PENALTIES[name][0], model)
    for variable in model.trainable_variables:
        variable.assign(variable * scale)
    with tf.GradientTape() as tape:
        found = chain.penalty({}, Update(tf.constant(0), tf.constant(RATE)))
    weights = [v.value for v in model.trainable_variables]
    gradients = tape.gradient(found, weights)
    assert np.isfinite(found)
    reached = [i for i, g in enumerate(gradients) if g is not None]
    assert tuple(reached) == ACTED_ON[PENALTIES[name][1]]
    assert all(np.all(np.isfinite(gradients[i])) for i in reached)


def test_kl_gaussian_pushes_back_collapse_and_growth():
    for scale, sign in ((0.01, -1), (10.0, 1)):
        model = make_model()
        chain = make_chain("kl_gaussian(1.0)", model)
        for variable in model.trainable_variables:
            variable.assign(variable * scale)
        weight = model.trainable_variables[0].value
        with tf.GradientTape() as tape:
            found = chain.penalty({}, Update(tf.constant(0), tf.constant(RATE)))
        slope = tf.reduce_sum(tape.gradient(found, weight) * weight)
        assert np.sign(slope) == sign


def test_a_wide_kernel_can_be_orthogonal():
    model = make_model()
    rows, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 4)))
    model.embedding.embeddings.assign(np.eye(6, 4))
    spec = "orthogonal(1.0, match='symbols')"
    assert float(penalty(spec, model)) == pytest.approx(0.0, abs=1e-6)
    model.classifier.kernel.assign(rows[:, :2])
    spec = "orthogonal(1.0, match='out')"
    assert float(penalty(spec, model)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", UPDATES)
def test_updates_are_those_of_numpy_and_optax_and_leave_the_rest_alone(name):
    spec, acted_on, formula = UPDATES[name]
    model = make_model()
    before = values(model)
    update(spec, model)
    after = values(model)
    for i in ACTED_ON[acted_on]:
        wanted = formula(before[i].astype(float))
        np.testing.assert_allclose(after[i], wanted, rtol=3e-6, atol=1e-7)
        assert np.any(after[i] != before[i])
    for i in set(range(4)) - set(ACTED_ON[acted_on]):
        np.testing.assert_array_equal(after[i], before[i])


def test_weight_decay_is_that_of_optax():
    model = make_model()
    before = values(model)[0]
    decay = optax.chain(optax.add_decayed_weights(0.5), optax.scale(-RATE))
    moves, _ = decay.update(np.zeros_like(before), decay.init(before), before)
    update("weight_decay(0.5)", model)
    np.testing.assert_allclose(values(model)[0], before + moves, rtol=1e-6)


@pytest.mark.parametrize(
    "spec",
    [
        "none()",
        "box(-99, 99)",
        "max_norm(99.0)",
        "l2_ball(99.0)",
        "l1_ball(999.0)",
        "spectral(99.0)",
        "prune(0.9, begin=500, end=900)",
    ],
)
def test_a_constraint_that_holds_changes_nothing_ever(spec):
    model = make_model()
    before = [v.tobytes() for v in values(model)]
    update(spec, model, times=50)
    assert [v.tobytes() for v in values(model)] == before


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e9])
@pytest.mark.parametrize("spec", BOUNDS)
def test_constraints_hold_and_act_once(spec, scale):
    model = make_model(scale)
    update(spec, model)
    once = values(model)
    for i in ACTED_ON["default"]:
        assert BOUNDS[spec](once[i].astype(float))
    update(spec, model)
    for before, after in zip(once, values(model), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "spec", [*(spec for spec, *_ in UPDATES.values()), "spectral(0.5)", "prune(0.5)"]
)
def test_weights_of_zero_stay_zero(spec):
    model = make_model(scale=0.0)
    update(spec, model, times=3)
    assert all(not np.any(v) for v in values(model))


def test_the_l1_ball_is_right_for_many_weights():
    rng = np.random.default_rng(5)
    model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(200)])
    model.layers[0].kernel.assign(rng.standard_t(2, size=(300, 200)))
    before = model.layers[0].kernel.numpy()
    update("l1_ball(40.0)", model)
    wanted = projections.projection_l1_ball(before.astype(float), 40.0)
    after = model.layers[0].kernel.numpy()
    np.testing.assert_allclose(after, wanted, atol=2e-5)
    assert np.count_nonzero(after) < 0.1 * after.size
    assert np.abs(after.astype(float)).sum() == pytest.approx(40.0, rel=1e-6)


def test_l1_prox_makes_exact_zeros():
    model = make_model()
    before = values(model)
    update("l1_prox(5.0)", model)
    for i in ACTED_ON["default"]:
        small = np.abs(before[i]) <= RATE * 5.0
        assert 0 < np.count_nonzero(small) < small.size
        np.testing.assert_array_equal(values(model)[i] == 0.0, small)


def test_group_lasso_makes_whole_units_zero():
    model = make_model()
    kernel = model.convolution.kernel
    kernel.assign(kernel * [1.0, 0.1, 1.0, 0.2, 1.0])
    update("group_lasso(5.0)", model)
    zeros = kernel.numpy() == 0.0
    np.testing.assert_array_equal(zeros.all((0, 1)), [False, True, False, True, False])
    np.testing.assert_array_equal(zeros.any((0, 1)), zeros.all((0, 1)))


def test_spectral_bounds_the_largest_singular_value_in_time():
    model = make_model(scale=3.0)
    before = values(model)
    chain = update("spectral(1.5)", model, times=60)
    assert len(chain.variables) == 2
    for i in ACTED_ON["matrices"]:
        matrix = values(model)[i].reshape(-1, values(model)[i].shape[-1])
        sigma = np.linalg.svd(matrix.astype(float), compute_uv=False)[0]
        assert sigma == pytest.approx(1.5, rel=1e-3)
        scale = values(model)[i] / before[i]
        np.testing.assert_allclose(scale, scale.flat[0], rtol=1e-5)
    np.testing.assert_array_equal(values(model)[3], before[3])
