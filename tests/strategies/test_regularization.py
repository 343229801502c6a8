import keras
import numpy as np
import pytest
import tensorflow as tf

from tfspeech.strategies import (
    REGULARIZATIONS,
    RegularizationChain,
    VariableInfo,
    parse_regularization,
)

INFOS = [
    VariableInfo("net/conv/kernel", "kernel", (0, 1), 12, 80),
    VariableInfo("net/conv/bias", "bias", (), 12, 80),
    VariableInfo("net/out/kernel", "kernel", (0,), 5, 80),
]
SHAPES = [(3, 4, 5), (5,), (5, 2)]

PENALTIES = {
    "l1": ("l1(0.5)", lambda w: 0.5 * np.abs(w).sum()),
    "l2": ("l2(0.5)", lambda w: 0.5 * np.square(w).sum()),
}
UPDATES = {
    "weight_decay": ("weight_decay(0.5)", lambda w, axes: w * (1 - 0.1 * 0.5)),
    "box": ("box(-0.3, 0.2)", lambda w, axes: np.clip(w, -0.3, 0.2)),
    "max_norm": (
        "max_norm(0.7)",
        lambda w, axes: (
            w * np.minimum(1, 0.7 / np.sqrt(np.square(w).sum(axes, keepdims=True)))
        ),
    ),
}


def make_variables(scale=1.0):
    rng = np.random.default_rng(1)
    return [keras.Variable(rng.normal(size=s) * scale, dtype="float32") for s in SHAPES]


def update(spec, variables):
    chain = RegularizationChain(parse_regularization([spec]), INFOS)
    chain.update(variables, tf.constant(0.1))


def test_the_tables_of_this_test_name_every_strategy():
    assert {"none", *PENALTIES, *UPDATES} == set(REGULARIZATIONS)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_those_of_numpy_and_leave_biases_alone(name):
    spec, formula = PENALTIES[name]
    variables = make_variables()
    chain = RegularizationChain(parse_regularization([spec]), INFOS)
    wanted = sum(formula(variables[i].numpy().astype(float)) for i in (0, 2))
    assert float(chain.penalty(variables)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_reach_the_gradient(name):
    variables = make_variables()
    chain = RegularizationChain(parse_regularization([PENALTIES[name][0]]), INFOS)
    with tf.GradientTape() as tape:
        penalty = chain.penalty(variables)
    gradients = tape.gradient(penalty, [v.value for v in variables])
    weight = variables[0].numpy()
    wanted = 0.5 * np.sign(weight) if name == "l1" else weight
    np.testing.assert_allclose(gradients[0], wanted, rtol=1e-6)
    assert gradients[1] is None


@pytest.mark.parametrize("name", UPDATES)
def test_updates_are_those_of_numpy_and_leave_biases_alone(name):
    spec, formula = UPDATES[name]
    variables = make_variables()
    before = [v.numpy().astype(float) for v in variables]
    update(spec, variables)
    for i in (0, 2):
        wanted = formula(before[i], INFOS[i].unit_axes)
        np.testing.assert_allclose(variables[i], wanted, rtol=1e-6)
    np.testing.assert_array_equal(variables[1], before[1])


@pytest.mark.parametrize("spec", ["box(-9, 9)", "max_norm(99.0)", "none()"])
def test_a_constraint_that_holds_changes_nothing_ever(spec):
    variables = make_variables()
    before = [v.numpy().tobytes() for v in variables]
    for _ in range(100):
        update(spec, variables)
    assert [v.numpy().tobytes() for v in variables] == before


def test_constraints_hold_after_one_update():
    variables = make_variables(scale=50.0)
    update("max_norm(0.7)", variables)
    for i in (0, 2):
        squares = np.square(variables[i].numpy()).sum(INFOS[i].unit_axes)
        assert np.all(np.sqrt(squares) <= 0.7 * (1 + 1e-6))


def test_weights_of_zero_stay_zero():
    variables = [keras.Variable(np.zeros(s, np.float32)) for s in SHAPES]
    update("max_norm(1.0)", variables)
    assert all(not v.numpy().any() for v in variables)


def test_match_reaches_biases():
    variables = make_variables()
    before = [v.numpy() for v in variables]
    update("weight_decay(1.0, match='bias')", variables)
    np.testing.assert_allclose(variables[1], 0.9 * before[1], rtol=1e-6)
    np.testing.assert_array_equal(variables[0], before[0])
