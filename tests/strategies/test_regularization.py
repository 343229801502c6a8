"""Penalties, update rules and constraints: formulas, invariants and checks."""

import re

import keras
import numpy as np
import optax
import pytest
import tensorflow as tf
from optax import projections

from tfspeech.errors import SpecError
from tfspeech.strategies import (
    REGULARIZATIONS,
    RegularizationChain,
    Run,
    Update,
    describe_variables,
    parse_regularization,
)

RATE = 0.1
ACTED_ON = {"default": (0, 2, 3), "matrices": (0, 2), "hidden": (0,)}
"""Places of the variables of `make_model`: kernel, bias, kernel, embedding."""


def make_model(scale=1.0):
    """A model of a convolution, an output layer and an embedding."""
    keras.utils.set_random_seed(0)
    model = keras.Model(name="net")
    model.convolution = keras.layers.Conv1D(5, 3, name="conv")
    model.classifier = keras.layers.Dense(2, name="out", use_bias=False)
    model.embedding = keras.layers.Embedding(6, 4, name="symbols")
    model.output_layers = [model.classifier]
    model.convolution.build((None, None, 4))
    model.classifier.build((None, 5))
    model.embedding.build()
    model.built = True
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * scale)
    return model


def make_chain(spec, model, run=None):
    infos = describe_variables(model)
    strategies = parse_regularization([spec])
    return RegularizationChain(strategies, model, infos, run or Run(1000, 100))


def update(spec, model, times=1, rate=RATE):
    """Updates as a training step does: in a graph, in a branch of it."""
    chain = make_chain(spec, model)

    @tf.function
    def step(number):
        def make():
            chain.update(Update(number, tf.constant(rate)))
            return True

        return tf.cond(number >= 0, make, lambda: False)

    for number in range(times):
        step(tf.constant(number, tf.int64))
    return chain


def penalty(spec, model):
    step = Update(tf.constant(0, tf.int64), tf.constant(RATE))
    return make_chain(spec, model).penalty({}, step)


def values(model):
    return [v.numpy() for v in model.trainable_variables]


def per_unit(w, function):
    """Applies a function to [values per unit, units] of a kernel or an embedding."""
    columns = w.T if w.shape == (6, 4) else w.reshape(-1, w.shape[-1])
    new = function(columns)
    return (new.T if w.shape == (6, 4) else new).reshape(w.shape)


def shrink_units(columns):
    norms = np.linalg.norm(columns, axis=0)
    return columns * np.maximum(0, 1 - RATE * 9 * np.sqrt(len(columns)) / norms)


def kl_gaussian(w, prior):
    ratio = (w.var() + w.mean() ** 2) / prior
    return 0.5 * 0.5 * (ratio - 1 - np.log(w.var() / prior))


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
    # Tested below, for they need time to reach what they bound.
    "spectral",
    "prune",
    # Have tests of their own here.
    "none",
    "budget",
    # In test_surgery.py and test_activation_penalties.py.
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
    kinds = "Penalty|Update rule|Constraint|Surgery and penalty|Check at build|Leaves"
    assert re.match(kinds, REGULARIZATIONS[name].__doc__)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_those_of_numpy_and_leave_the_rest_alone(name):
    spec, acted_on, formula = PENALTIES[name]
    model = make_model()
    infos = describe_variables(model)
    wanted = sum(
        formula(values(model)[i].astype(float), infos[i].initial_variance)
        for i in ACTED_ON[acted_on]
    )
    assert float(penalty(spec, model)) == pytest.approx(wanted, rel=2e-6)


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


class TestPrune:
    SPEC = "prune(0.75, begin=2, end=12, every=5)"

    def zeros(self, times, moved=0.0):
        """The share of zeros after so many updates, each by an optimizer's move."""
        model = make_model()
        chain = make_chain(self.SPEC, model)
        shares = []
        for number in range(times):
            for variable in model.trainable_variables:
                variable.assign_add(tf.fill(variable.shape, moved))
            chain.update(Update(tf.constant(number, tf.int64), tf.constant(RATE)))
            shares.append(np.mean(values(model)[0] == 0.0))
        return model, shares

    def test_the_share_of_zeros_follows_the_schedule(self):
        _, shares = self.zeros(14)
        steps = {update: 0.75 * (1 - (1 - p) ** 3) for update, p in ((7, 0.5), (12, 1))}
        wanted = [0.0] * 6 + [steps[7]] * 5 + [steps[12]] * 3
        np.testing.assert_allclose(shares, wanted, atol=0.5 / 60)
        assert shares[-1] == 0.75

    def test_what_was_pruned_stays_zero_while_weights_move(self):
        moving, shares = self.zeros(40, moved=0.01)
        assert shares[-1] == 0.75
        first, _ = self.zeros(7, moved=0.01)
        for i in ACTED_ON["default"]:
            gone = values(first)[i] == 0.0
            assert gone.any()
            assert not values(moving)[i][gone].any()
        assert values(moving)[1].all()

    def test_the_smallest_go(self):
        before = values(make_model())[0]
        after, _ = self.zeros(12)
        gone = values(after)[0] == 0.0
        assert np.abs(before[gone]).max() < np.abs(before[~gone]).min()

    def test_weights_that_tie_are_counted_exactly(self):
        model = make_model()
        model.convolution.kernel.assign(np.ones((3, 4, 5)))
        update("prune(0.8, end=10, every=10)", model, times=10)
        assert np.count_nonzero(values(model)[0]) == 12

    def test_masks_are_state_of_the_run(self):
        model = make_model()
        chain = update(self.SPEC, model, times=20)
        assert chain.settled_after == 12
        assert [v.shape for v in chain.variables] == [(3, 4, 5), (5, 2), (6, 4)]
        np.testing.assert_array_equal(chain.variables[0], values(model)[0] != 0.0)

    def test_a_run_that_is_too_short_is_refused(self):
        with pytest.raises(SpecError, match=r"update 1000.*run after 999"):
            make_chain("prune()", make_model(), Run(999, 10))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("budget(layers=2)", "net has 3 layers, 1 over its budget of 2"),
        ("budget(parameters=90)", "net has 99 parameters, 9 over its budget of 90"),
        (
            "budget(layers=1, parameters=1)",
            "3 layers, 2 over .* and 99 parameters, 98 over",
        ),
        ("budget(parameters=60, match='conv')", "65 parameters, 5 over"),
    ],
)
def test_a_model_over_its_budget_is_refused(spec, message):
    with pytest.raises(SpecError, match=message):
        make_chain(spec, make_model())


@pytest.mark.parametrize(
    "spec", ["budget(layers=3, parameters=99)", "budget(parameters=65, match='conv')"]
)
def test_a_model_within_its_budget_is_left_alone(spec):
    model = make_model()
    before = [v.tobytes() for v in values(model)]
    chain = update(spec, model)
    assert chain.variables == []
    assert [v.tobytes() for v in values(model)] == before


@pytest.mark.parametrize(
    "spec",
    [
        *("l1(0)", "l2(-1.0)", "l1_l2(1.0, 0)", "kl_gaussian('a')", "l2(float('nan'))"),
        *("kl_sparsity(1.0)", "kl_sparsity(0.1, -1)", "orthogonal(0)"),
        *("weight_decay(0)", "l1_prox(-1)", "group_lasso(0)", "box(1, 1)"),
        *("box('a', 1)", "max_norm(-1.0)", "l2_ball(0)", "l1_ball(0)", "spectral(0)"),
        *("prune(1.0)", "prune(0.5, 10, 10)", "prune(0.5, -1, 9)", "prune(every=0)"),
        *("prune(0.5, 0.5, 9)", "kl_mean_field(0)", "kl_mean_field(1, 0)"),
        *("hard_concrete_l0(0)", "hard_concrete_l0(1, 1.0)", "budget()"),
        *("budget(layers=-1)", "budget(parameters=1.5)", "l1(match='(')"),
    ],
)
def test_arguments_out_of_range_are_refused(spec):
    with pytest.raises(SpecError, match="Received"):
        parse_regularization([spec])


def test_match_reaches_biases():
    model = make_model()
    before = values(model)
    update("weight_decay(1.0, match='bias')", model)
    np.testing.assert_allclose(values(model)[1], 0.9 * before[1], rtol=1e-6)
    np.testing.assert_array_equal(values(model)[0], before[0])


def test_a_match_of_nothing_is_refused():
    with pytest.raises(SpecError, match="selects none"):
        make_chain("l2(match='recurrent')", make_model())


def test_strategies_act_in_their_order():
    def after(*specs):
        model = make_model()
        infos = describe_variables(model)
        strategies = parse_regularization(specs)
        chain = RegularizationChain(strategies, model, infos, Run(10, 10))
        chain.update(Update(tf.constant(0, tf.int64), tf.constant(RATE)))
        return values(model)[0]

    box, decay = "box(-0.5, 0.5)", "weight_decay(5.0)"
    before = values(make_model())[0]
    np.testing.assert_allclose(after(box, decay), 0.5 * np.clip(before, -0.5, 0.5))
    np.testing.assert_allclose(after(decay, box), np.clip(0.5 * before, -0.5, 0.5))
