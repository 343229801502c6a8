"""Settings of strategies, their refusals, and the order in which they act."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from regularized import RATE, make_chain, make_model, update, values

from tfspeech.errors import SpecError
from tfspeech.strategies import (
    RegularizationChain,
    Run,
    Update,
    describe_variables,
    parse_regularization,
)
from tfspeech.strategies.regularization import substituted


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
    assert chain.variables == {}
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
        chain = RegularizationChain(strategies, [model], infos, Run(10, 10))
        chain.update(Update(tf.constant(0, tf.int64), tf.constant(RATE)))
        return values(model)[0]

    box, decay = "box(-0.5, 0.5)", "weight_decay(5.0)"
    before = values(make_model())[0]
    np.testing.assert_allclose(after(box, decay), 0.5 * np.clip(before, -0.5, 0.5))
    np.testing.assert_allclose(after(decay, box), np.clip(0.5 * before, -0.5, 0.5))


def make_pair():
    return [
        keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(units, name="layer")], name=name
        )
        for name, units in (("encoder", 3), ("decoder", 5))
    ]


def make_chain_of(models, *specs):
    strategies = parse_regularization(specs)
    infos = describe_variables(*models)
    return RegularizationChain(strategies, models, infos, Run(10, 10))


def test_the_variables_of_several_models_are_trained_together():
    models = make_pair()
    before = [values(model) for model in models]
    chain = make_chain_of(models, "weight_decay(1.0, match='decoder')", "l1(1.0)")
    first = Update(tf.constant(0, tf.int64), tf.constant(RATE))
    wanted = sum(np.abs(kernel).sum() for kernel, _ in before)
    assert float(chain.penalty({}, first)) == pytest.approx(wanted, rel=1e-6)
    chain.update(first)
    np.testing.assert_array_equal(values(models[0])[0], before[0][0])
    np.testing.assert_allclose(values(models[1])[0], 0.9 * before[1][0], rtol=1e-6)


def test_what_the_layers_of_several_models_assign_is_kept():
    models = make_pair()
    for model in models:
        model.add(keras.layers.BatchNormalization(momentum=0.0))
    chain = make_chain_of(models, "kl_mean_field()")
    first = Update(tf.constant(0, tf.int64), tf.constant(RATE))
    with substituted([chain], first):
        for model in models:
            model(np.ones((4, 2), np.float32), training=True)
    for model in models:
        assert np.any(model.layers[-1].moving_mean.numpy() != 0.0)


def test_a_budget_counts_all_models():
    make_chain_of(make_pair(), "budget(layers=2, parameters=24)")
    message = r"encoder \+ decoder has 2 layers, 1 over .* and 24 parameters, 1 over"
    with pytest.raises(SpecError, match=message):
        make_chain_of(make_pair(), "budget(layers=1, parameters=23)")
