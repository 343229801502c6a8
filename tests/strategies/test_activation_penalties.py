import dataclasses

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

UPDATE = Update(tf.constant(0, tf.int64), tf.constant(0.1))
RHO, STRENGTH = 0.1, 0.5
SPEC = f"kl_sparsity({RHO}, {STRENGTH})"


class Silent(keras.Model):
    """A model that shows no activations."""

    def call(self, inputs):
        return inputs


class Showing(Silent):
    activation_names = ("low", "high")


def chain(spec, *models):
    infos = describe_variables(*models)
    return RegularizationChain(parse_regularization([spec]), models, infos, Run(9, 9))


def outputs(scale=1.0, frames=6):
    rng = np.random.default_rng(0)
    lengths = np.array([frames, 2, 0], np.int32)
    activations = {
        name: np.tanh(rng.normal(size=(3, frames, units)) * scale).astype(np.float32)
        for name, units in (("low", 4), ("high", 3))
    }
    return {
        "activations": {k: tf.constant(v) for k, v in activations.items()},
        "activation_lengths": {k: tf.constant(lengths) for k in activations},
    }


def divergence(activations, lengths):
    real = np.concatenate(
        [row[:n] for row, n in zip(activations, lengths, strict=True)]
    )
    r = np.abs(real.astype(float)).mean(axis=0)
    return np.sum(RHO * np.log(RHO / r) + (1 - RHO) * np.log((1 - RHO) / (1 - r)))


def test_it_is_that_of_numpy_over_all_frames_that_are_no_padding():
    found = outputs()
    for match, names in (("", ("low", "high")), ("hi", ("high",))):
        spec = f"kl_sparsity({RHO}, {STRENGTH}, match='{match}')"
        wanted = STRENGTH * sum(
            divergence(
                found["activations"][n].numpy(), found["activation_lengths"][n].numpy()
            )
            for n in names
        )
        penalty = float(chain(spec, Showing()).penalty(found, UPDATE))
        assert penalty == pytest.approx(wanted, rel=1e-5)


def test_padding_changes_nothing():
    found = outputs()
    wanted = chain(SPEC, Showing()).penalty(found, UPDATE)
    low = found["activations"]["low"].numpy()
    low[1, 2:] = np.nan
    found["activations"]["low"] = tf.constant(low)
    assert float(chain(SPEC, Showing()).penalty(found, UPDATE)) == float(wanted)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e9])
def test_units_that_are_always_off_or_on_have_finite_gradients(scale):
    found = outputs(scale)
    low = found["activations"]["low"]
    with tf.GradientTape() as tape:
        tape.watch(low)
        penalty = chain(SPEC, Showing()).penalty(found, UPDATE)
    assert np.isfinite(penalty)
    assert np.all(np.isfinite(tape.gradient(penalty, low)))


def test_units_that_are_too_active_become_less_so():
    low = outputs()["activations"]["low"]
    with tf.GradientTape() as tape:
        tape.watch(low)
        found = outputs() | {"activations": {"low": low}}
        penalty = chain(SPEC, Showing()).penalty(found, UPDATE)
    slope = tape.gradient(penalty, low)[0]
    np.testing.assert_array_equal(np.sign(slope), np.sign(low[0]))


def test_a_model_that_shows_no_activations_is_refused():
    with pytest.raises(SpecError, match="no activations"):
        chain("kl_sparsity()", Silent())
    with pytest.raises(SpecError, match="selects none of: low, high"):
        chain("kl_sparsity(match='middle')", Showing())


def test_one_of_several_models_shows_activations():
    wanted = chain(SPEC, Showing()).penalty(outputs(), UPDATE)
    for models in ((Silent(), Showing()), (Showing(), Silent())):
        found = chain(SPEC, *models).penalty(outputs(), UPDATE)
        assert float(found) == float(wanted)
    with pytest.raises(SpecError, match=r"no activations to penalise in: one, two"):
        chain(SPEC, Silent(name="one"), Silent(name="two"))


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_the_recogniser_shows_what_its_recurrent_layers_say(cell):
    keras.utils.set_random_seed(0)
    config = RnnRecognizerConfig(cell=cell, layers=2, units=6, conv_filters=8)
    model = RnnRecognizer(dataclasses.replace(config, dropout=0.5), 5, 3)
    rng = np.random.default_rng(0)
    inputs = {
        "features": rng.normal(size=(2, 9, 5)).astype(np.float32) * 100,
        "lengths": np.array([9, 5], np.int32),
    }
    with tf.GradientTape() as tape:
        found = model(inputs, training=True, with_activations=True)
        penalty = chain("kl_sparsity()", model).penalty(found, UPDATE)
    assert tuple(found["activations"]) == model.activation_names
    for name, activations in found["activations"].items():
        assert activations.shape == (2, 3, 12)
        # Without dropout, which would leave zeros.
        assert np.all(np.abs(activations[0]) <= 1.0)
        assert np.all(activations[0] != 0.0)
        np.testing.assert_array_equal(found["activation_lengths"][name], [3, 2])
    kernels = [v for v in model.trainable_variables if v.name == "recurrent_kernel"]
    gradients = tape.gradient(penalty, [v.value for v in kernels])
    assert all(np.any(g) for g in gradients)
