"""What strategies are told, what they refuse, and in which order they act."""

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
