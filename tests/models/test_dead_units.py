"""Models without dead units: smaller, with the same outputs."""

import numpy as np
import pytest
import tensorflow as tf

from models import (
    CtcRecognizer,
    CtcRecognizerConfig,
    DenseSynthesis,
    DenseSynthesisConfig,
    ParallelTts,
    ParallelTtsConfig,
    RnnRecognizer,
    RnnRecognizerConfig,
)
from models.layers.dead_units import live_units

CANDIDATE = {"elman": 0, "lstm": 2, "gru": 2}


def jitter(model):
    """Gives all weights values of chance, also those that begin at 0."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(weight + rng.normal(0.0, 0.1, weight.shape))


def kill(weight, gate, units, places):
    """Zeroes the values of a weight that enter the states of some units."""
    values = weight.numpy()
    values[..., gate * units + np.array(places)] = 0.0
    weight.assign(values)


def kill_units(recurrent, cell, places):
    layer = recurrent.layer
    both = hasattr(layer, "forward_layer")
    directions = [layer.forward_layer, layer.backward_layer] if both else [layer]
    for direction, dead in zip(directions, places, strict=False):
        for weight in direction.cell.weights:
            kill(weight, CANDIDATE[cell], direction.units, dead)


def features(dim):
    rng = np.random.default_rng(1)
    values = tf.constant(rng.normal(size=(3, 30, dim)), tf.float32)
    return {"features": values, "lengths": tf.constant([30, 17, 5])}


@pytest.mark.parametrize("both", [True, False], ids=["both", "forward"])
@pytest.mark.parametrize("cell", CANDIDATE)
def test_a_recogniser_without_dead_units_has_the_same_outputs(cell, both):
    config = RnnRecognizerConfig(
        cell=cell, layers=2, units=6, bidirectional=both, conv_filters=4
    )
    model = RnnRecognizer(config, 5, 3)
    jitter(model)
    # The second layer keeps four units, and so does every direction of both.
    kill_units(model.recurrent[0], cell, ([0, 2, 4], [1, 2, 5]))
    kill_units(model.recurrent[1], cell, ([3, 5], [0, 1]))
    hidden = model.pooling.hidden.kernel
    hidden.assign(hidden * np.array([1.0, 0.0, 1.0, 1.0, 1.0, 0.0]))
    smaller = model.without_dead_units()
    assert (smaller.config.units, smaller.config.pooling_units) == (4, 4)
    inputs = features(5)
    np.testing.assert_allclose(
        smaller(inputs)["logits"], model(inputs)["logits"], atol=1e-5
    )
    assert smaller.without_dead_units() is smaller


def test_a_transcriber_without_dead_units_has_the_same_outputs():
    model = CtcRecognizer(CtcRecognizerConfig(units=5, conv_filters=4), 5, 3)
    jitter(model)
    for layer in model.recurrent:
        kill_units(layer, "gru", ([0, 1, 2], [2, 3, 4]))
    smaller = model.without_dead_units()
    assert smaller.config.units == 2
    inputs = features(5)
    for name, values in model(inputs).items():
        np.testing.assert_allclose(smaller(inputs)[name], values, atol=1e-5)


def test_a_unit_with_a_bias_into_its_state_is_live():
    model = RnnRecognizer(RnnRecognizerConfig(units=4, bidirectional=False), 5, 3)
    kill_units(model.recurrent[0], "gru", [[1, 2]])
    bias = model.recurrent[0].layer.cell.bias
    values = bias.numpy()
    values[1, 2 * 4 + 2] = 0.1
    bias.assign(values)
    assert live_units(model.recurrent)[0][0].tolist() == [0, 2, 3]


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_a_synthesiser_without_constant_units_has_the_same_outputs(activation):
    config = DenseSynthesisConfig(
        hidden_units=(6, 5), duration_units=(4,), hidden_activation=activation
    )
    model = DenseSynthesis(config, 7, 3)
    jitter(model)
    for layer, dead in zip(model.acoustic.hidden, ([0, 3], [1]), strict=True):
        kill(layer.kernel, 0, layer.units, dead)
    smaller = model.without_dead_units()
    assert smaller.config.hidden_units == (4, 4)
    assert smaller.config.duration_units == (4,)
    rng = np.random.default_rng(1)
    values = tf.constant(rng.normal(size=(2, 9, 7)), tf.float32)
    inputs = {
        f"{of}_{name}": value
        for of in ("frame", "segment")
        for name, value in (("features", values), ("lengths", tf.constant([9, 4])))
    }
    for name, wanted in model(inputs).items():
        np.testing.assert_allclose(smaller(inputs)[name], wanted, atol=1e-5)


@pytest.mark.parametrize("body", ["cnn", "untied_cnn", "transformer", "rnn", "dense"])
def test_parallel_tts_without_constant_units_has_the_same_outputs(body):
    config = ParallelTtsConfig(
        units=8, heads=2, encoder_layers=2, attention_layers=1, body=body, body_layers=2
    )
    model = ParallelTts(config, num_symbols=5, feature_dim=3, target_dim=4)
    jitter(model)
    blocks = [*model.encoder, *(model.body if body != "rnn" else ())]
    for count, block in enumerate(blocks):
        kill(block.hidden.kernel, 0, 16, range(count + 1))
    smaller = model.without_dead_units()
    sizes = tuple(15 - count for count in range(len(blocks)))
    assert smaller.config.hidden_units == sizes
    rng = np.random.default_rng(1)
    inputs = {
        "segments": tf.constant(rng.integers(1, 5, (2, 4)), tf.int32),
        "segment_features": tf.constant(rng.normal(size=(2, 4, 3)), tf.float32),
        "segment_lengths": tf.constant([4, 3]),
        "durations": tf.constant([[2, 2, 2, 2], [3, 1, 1, 0]]),
        "prosody": tf.constant(rng.normal(size=(2, 4, 2)), tf.float32),
        "frame_segments": tf.constant(
            [[0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 1, 2, 0, 0, 0]]
        ),
        "frame_lengths": tf.constant([8, 5]),
    }
    for name, wanted in model(inputs).items():
        np.testing.assert_allclose(smaller(inputs)[name], wanted, atol=1e-5)
    assert smaller.without_dead_units() is smaller


def test_a_net_of_dead_layers_keeps_a_unit_of_each():
    model = DenseSynthesis(DenseSynthesisConfig((3, 2), (2,)), 4, 2)
    for layer in model.acoustic.hidden:
        layer.kernel.assign(tf.zeros_like(layer.kernel))
    assert model.without_dead_units().config.hidden_units == (1, 1)
    whole = DenseSynthesis(DenseSynthesisConfig((3, 2), (2,)), 4, 2)
    assert whole.without_dead_units() is whole
