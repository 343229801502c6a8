"""Reparameterization: weights computed from themselves and a parameter."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import RnnRecognizer, RnnRecognizerConfig
from tfspeech.errors import SpecError
from tfspeech.strategies import (
    RegularizationChain,
    Run,
    Update,
    describe_variables,
    parse_regularization,
)
from tfspeech.strategies.regularization import substituted

RUN = Run(updates=1000, examples=50, seed=3)
REPARAMETERIZATIONS = ["kl_mean_field()", "hard_concrete_l0()"]


def make_model(cell="gru"):
    keras.utils.set_random_seed(0)
    config = RnnRecognizerConfig(cell=cell, units=6, conv_filters=8, dropout=0.4)
    return RnnRecognizer(config, 5, 3)


def make_chain(model, *specs, run=RUN):
    infos = describe_variables(model)
    return RegularizationChain(parse_regularization(specs), [model], infos, run)


def update_number(number):
    return Update(tf.constant(number, tf.int64), tf.constant(0.1))


def inputs():
    rng = np.random.default_rng(0)
    return {
        "features": rng.normal(size=(4, 9, 5)).astype(np.float32),
        "lengths": np.array([9, 4, 5, 7], np.int32),
    }


def by_path(model, chain):
    """(info, weight, parameter) of every reparameterized weight."""
    parameters = {
        info.path.rpartition("/")[0]: parameter
        for info, parameter in zip(chain.parameter_infos, chain.parameters, strict=True)
    }
    return [
        (info, weight, parameters[info.path])
        for info, weight in zip(
            describe_variables(model), model.trainable_variables, strict=True
        )
        if info.path in parameters
    ]


def used_weights(model, chain, number):
    with substituted([chain], update_number(number)):
        return [
            tf.convert_to_tensor(v.value).numpy() for v in model.trainable_variables
        ]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("spec", REPARAMETERIZATIONS)
def test_the_gradient_reaches_weights_and_parameters_in_a_graph(spec, cell):
    model = make_model(cell)
    chain = make_chain(model, spec)
    variables = [*model.trainable_variables, *chain.parameters]
    seeds = [v for v in model.non_trainable_variables if "seed" in v.path]
    before = [v.numpy() for v in variables]

    @tf.function
    def step(number):
        update = Update(number, tf.constant(0.1))
        with tf.GradientTape() as tape:
            with substituted([chain], update):
                logits = model(inputs(), training=True)["logits"]
            loss = tf.reduce_sum(tf.square(logits - 1.0))
            objective = loss + chain.penalty({}, update)
        return tape.gradient(objective, [v.value for v in variables])

    start = [seed.numpy().copy() for seed in seeds]
    gradients = step(tf.constant(0, tf.int64))
    once = [seed.numpy().copy() for seed in seeds]
    step(tf.constant(1, tf.int64))
    assert all(g is not None and np.all(np.isfinite(g)) for g in gradients)
    assert all(np.any(g) for g in gradients)
    # What layers assign under the scope, such as where dropout is, is not lost.
    assert any(np.any(a != b) for a, b in zip(start, once, strict=True))
    assert any(np.any(a.numpy() != b) for a, b in zip(seeds, once, strict=True))
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("spec", REPARAMETERIZATIONS)
def test_noise_is_drawn_anew_at_every_update_and_again_after_a_restart(spec):
    model = make_model()
    chain = make_chain(model, spec)
    first, second = used_weights(model, chain, 0), used_weights(model, chain, 1)
    again = used_weights(model, make_chain(model, spec), 0)
    other = used_weights(model, make_chain(model, spec, run=Run(9, 9, seed=4)), 0)
    for info, *values in zip(
        describe_variables(model), first, second, again, other, strict=True
    ):
        acted_on = any(info.path in p.path for p in chain.parameter_infos)
        np.testing.assert_array_equal(values[0], values[2])
        assert np.array_equal(values[0], values[1]) != acted_on
        assert np.array_equal(values[0], values[3]) != acted_on


@pytest.mark.parametrize("spec", REPARAMETERIZATIONS)
def test_noise_differs_between_weights_of_one_shape(spec):
    model = make_model()
    chain = make_chain(model, spec)
    shares = [
        used / weight.numpy()
        for weight, used in zip(
            model.trainable_variables, used_weights(model, chain, 0), strict=True
        )
        if weight.name == "recurrent_kernel"
    ]
    assert not np.allclose(*shares)


def test_biases_and_norms_are_left_alone_and_so_are_words_and_symbols():
    model = make_model()
    everything = {info.path for info in describe_variables(model)}
    for spec, without in (
        ("kl_mean_field()", ("bias", "gamma", "beta")),
        (
            "hard_concrete_l0()",
            ("bias", "gamma", "beta", "classifier/kernel", "score/kernel"),
        ),
    ):
        found = {info.path for info, *_ in by_path(model, make_chain(model, spec))}
        assert found == {p for p in everything if not p.endswith(without)}


def test_the_mean_field_has_the_divergence_of_numpy():
    model = make_model()
    chain = make_chain(model, "kl_mean_field(0.5, warmup=10)")
    total = 0.0
    for info, weight, parameter in by_path(model, chain):
        mean, rho = weight.numpy().astype(float), parameter.numpy().astype(float)
        std = np.log1p(np.exp(rho))
        prior = info.initial_variance
        np.testing.assert_allclose(std, 0.1 * np.sqrt(prior), rtol=1e-4)
        total += np.sum(
            np.log(np.sqrt(prior) / std) + (std**2 + mean**2) / (2 * prior) - 0.5
        )
    for number, beta in ((0, 0.1), (4, 0.5), (9, 1.0), (500, 1.0)):
        wanted = 0.5 * beta * total / RUN.examples
        penalty = chain.penalty({}, update_number(number))
        assert float(penalty) == pytest.approx(wanted, rel=1e-4)


def test_the_mean_field_draws_from_its_distribution_and_is_evaluated_at_the_mean():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(200)])
    chain = make_chain(model, "kl_mean_field()")
    ((_, weight, parameter),) = by_path(model, chain)
    parameter.assign(np.full(parameter.shape, 0.5))
    noise = used_weights(model, chain, 7)[0] - weight.numpy()
    assert np.mean(noise) == pytest.approx(0.0, abs=0.02)
    assert np.std(noise) == pytest.approx(np.log1p(np.exp(0.5)), rel=0.02)
    ((variable, value),) = chain.evaluated_weights()
    assert variable is weight
    np.testing.assert_array_equal(value, weight)


def test_gates_are_those_of_the_paper():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(20_000)])
    chain = make_chain(model, "hard_concrete_l0(0.5, drop_rate=0.3)")
    ((_, weight, parameter),) = by_path(model, chain)
    assert parameter.shape == (1, 20_000)
    np.testing.assert_allclose(parameter, np.log(0.7 / 0.3), rtol=1e-6)
    gates = used_weights(model, chain, 3)[0] / weight.numpy()
    np.testing.assert_allclose(gates, gates[:1].repeat(30, 0), atol=1e-5)
    assert gates.min() == 0.0
    assert gates.max() == pytest.approx(1.0, abs=1e-6)
    logit = np.log(0.7 / 0.3) - 2 / 3 * np.log(0.1 / 1.1)
    is_open = 1 / (1 + np.exp(-logit))
    assert np.mean(gates[0] > 0) == pytest.approx(is_open, abs=0.01)
    wanted = 0.5 * 30 * 20_000 * is_open
    assert float(chain.penalty({}, update_number(0))) == pytest.approx(wanted, 1e-5)


def test_shut_gates_are_exact_zeros_in_evaluation():
    model = make_model()
    chain = make_chain(model, "hard_concrete_l0()")
    for _, _, parameter in by_path(model, chain):
        logits = np.linspace(-6, 6, parameter.shape[-1])
        parameter.assign(np.broadcast_to(logits, parameter.shape))
    for (_, value), (_, weight, parameter) in zip(
        chain.evaluated_weights(), by_path(model, chain), strict=True
    ):
        gate = 1.2 / (1 + np.exp(-parameter.numpy().astype(float))) - 0.1
        gate = np.broadcast_to(np.clip(gate, 0, 1), weight.shape)
        np.testing.assert_allclose(value, weight.numpy() * gate, atol=1e-6)
        shut = gate == 0.0
        assert 0 < np.count_nonzero(shut) < shut.size
        assert not np.any(value.numpy()[shut])


def test_gates_of_useless_units_shut_and_the_others_stay_open():
    """y = x_0 + x_1 from one unit each; six of eight units are not needed."""
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(8, use_bias=False)
    output = keras.layers.Dense(1, use_bias=False, trainable=False)
    model = keras.Sequential([keras.Input((2,)), hidden, output])
    output.kernel.assign([[1.0]] * 2 + [[0.0]] * 6)
    chain = make_chain(model, "hard_concrete_l0(0.01)")
    variables = [*model.trainable_variables, *chain.parameters]
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(variables)
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)

    @tf.function
    def step(number):
        update = Update(number, tf.constant(0.1))
        with tf.GradientTape() as tape:
            with substituted([chain], update):
                error = model(x) - tf.reduce_sum(x, axis=1, keepdims=True)
            loss = tf.reduce_mean(tf.square(error)) + chain.penalty({}, update)
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)

    for number in range(150):
        step(tf.constant(number, tf.int64))
    ((weight, value),) = chain.evaluated_weights()
    zeros = np.all(value.numpy() == 0.0, axis=0)
    assert zeros[2:].all()
    assert not zeros[:2].all()
    weight.assign(value)
    np.testing.assert_allclose(model(x)[:, 0], x.sum(1), atol=0.4)


def test_two_reparameterizations_of_one_weight_are_refused():
    with pytest.raises(SpecError, match="part them by match="):
        make_chain(make_model(), *REPARAMETERIZATIONS)
    make_chain(
        make_model(),
        "kl_mean_field(match='conv.*kernel')",
        "hard_concrete_l0(match='recurrent.*kernel')",
    )


def test_without_reparameterization_the_model_works_with_its_own_weights():
    model = make_model()
    chain = make_chain(model, "l2()")
    for value, variable in zip(
        used_weights(model, chain, 0), model.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(value, variable)
    assert chain.parameters == chain.evaluated_weights() == []
