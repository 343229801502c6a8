import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import RnnRecognizer, RnnRecognizerConfig
from models.layers import MaskedConv1D, TiedConv1D, TiedEmbedding
from tfspeech.strategies import (
    RegularizationChain,
    Run,
    Update,
    describe_variables,
    parse_regularization,
)

CHANNELS, SIZE = 4, 3


def frames(channels=CHANNELS, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, 11, channels)).astype(np.float32)


def tied(strides, shared):
    layer = TiedConv1D(SIZE, strides, shared=shared)
    layer.build((None, None, CHANNELS))
    layer.bias.assign([0.3])
    return layer


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_it_is_a_dense_convolution_with_a_diagonal_kernel(strides, shared):
    layer = tied(strides, shared)
    dense = keras.layers.Conv1D(CHANNELS, SIZE, strides=strides)
    dense.build((None, None, CHANNELS))
    kernel = layer.kernel.numpy()[:, :, np.newaxis] * np.eye(CHANNELS)
    dense.set_weights([kernel, np.full(CHANNELS, 0.3)])
    np.testing.assert_allclose(layer(frames()), dense(frames()), atol=1e-6)


@pytest.mark.parametrize("strides", [1, 2])
def test_it_is_a_depthwise_convolution(strides):
    layer = tied(strides, shared=False)
    depthwise = keras.layers.DepthwiseConv1D(SIZE, strides=strides)
    depthwise.build((None, None, CHANNELS))
    kernel = layer.kernel.numpy()[:, :, np.newaxis]
    depthwise.set_weights([kernel, np.full(CHANNELS, 0.3)])
    np.testing.assert_array_equal(layer(frames()), depthwise(frames()))


def test_the_weights_are_few():
    assert (
        sum(math.prod(v.shape) for v in tied(1, False).weights) == SIZE * CHANNELS + 1
    )
    assert sum(math.prod(v.shape) for v in tied(1, True).weights) == SIZE + 1


def test_a_unit_is_the_filter_of_a_channel():
    model = keras.Sequential([keras.Input((None, CHANNELS)), TiedConv1D(SIZE)])
    kernel, bias = describe_variables(model)
    assert (kernel.kind, kernel.unit_axes, kernel.fan_in) == ("kernel", (0,), SIZE)
    assert (bias.kind, bias.fan_in) == ("bias", SIZE)


def test_padding_changes_no_tied_convolution():
    layer = MaskedConv1D(CHANNELS, SIZE, 2, tied=True)
    inputs, lengths = frames(), np.array([11, 5], np.int32)
    together, new_lengths = layer(inputs, lengths)
    np.testing.assert_array_equal(new_lengths, [6, 3])
    inputs[1, 5:] = np.nan
    alone, _ = layer(inputs[1:, :7], lengths[1:])
    np.testing.assert_allclose(alone[0, :3], together[1, :3], atol=1e-6)


def test_channels_that_differ_cannot_be_tied():
    layer = MaskedConv1D(CHANNELS, SIZE, tied=True)
    with pytest.raises(ValueError, match="as many channels in as out"):
        layer(frames(CHANNELS + 1), np.array([11, 11], np.int32))


@pytest.mark.parametrize("features", [6, 20])
def test_the_recogniser_ties_the_convolutions_that_can_be(features):
    free = RnnRecognizerConfig(
        units=4, conv_filters=6, conv_layers=3, conv_stride=1, dropout=0.0
    )
    config = dataclasses.replace(free, tied_convolutions=True)
    model = RnnRecognizer(config, features, 5)
    kinds = [isinstance(c.convolution, TiedConv1D) for c in model.convolutions]
    assert kinds == [features == 6, True, True]
    saved = RnnRecognizer(free, features, 5).count_params() - model.count_params()
    assert saved == sum(kinds) * (5 * 6 * 6 + 6 - (5 * 6 + 1))
    inputs = {"features": frames(features), "lengths": np.array([11, 4], np.int32)}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(inputs, training=True)["logits"] - 1.0))
    # What follows normalises over channels, so that a bias they share has no influence.
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]
    gradients = tape.gradient(loss, [v.value for v in kernels])
    assert all(g is not None and np.any(g.numpy()) for g in gradients)


class Speller(keras.Model):
    """Predicts a symbol from a symbol, with one matrix for both."""

    def __init__(self):
        super().__init__(name="speller")
        self.embedding = TiedEmbedding(7, 5, name="embedding")
        self.embedding.build()

    def call(self, symbols):
        return self.embedding(tf.tanh(self.embedding(symbols)), reverse=True)


def test_a_tied_embedding_scores_with_the_matrix_it_looks_up_in():
    model = Speller()
    matrix = model.embedding.embeddings.numpy()
    symbols = np.array([[3, 0, 6]], np.int32)
    vectors = matrix[symbols] * math.sqrt(5)
    np.testing.assert_allclose(model.embedding(symbols), vectors, rtol=1e-6)
    wanted = np.tanh(vectors) @ matrix.T
    np.testing.assert_allclose(model(symbols), wanted, rtol=1e-5, atol=1e-6)


def test_a_tied_embedding_learns_from_both_uses():
    model = Speller()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(np.array([[3, 3]], np.int32))[..., 1])
    gradient = tape.gradient(loss, model.embedding.embeddings.value)
    rows = np.any(tf.convert_to_tensor(gradient).numpy(), axis=1)
    np.testing.assert_array_equal(np.flatnonzero(rows), [1, 3])


def test_a_tied_embedding_counts_once_and_decays_once():
    model = Speller()
    (info,) = infos = describe_variables(model)
    assert (info.kind, info.unit_axes, info.size) == ("embedding", (1,), 35)
    before = model.embedding.embeddings.numpy()
    strategies = parse_regularization(["weight_decay(0.5)", "budget(parameters=35)"])
    chain = RegularizationChain(strategies, [model], infos, Run(10, 10))
    chain.update(Update(tf.constant(0, tf.int64), tf.constant(0.1)))
    np.testing.assert_allclose(model.embedding.embeddings, 0.95 * before, rtol=1e-6)


def test_a_tied_embedding_is_rebuilt_from_its_configuration():
    layer = TiedEmbedding(7, 5)
    again = TiedEmbedding.from_config(layer.get_config())
    assert (again.input_dim, again.output_dim) == (7, 5)
    std = np.std(TiedEmbedding(4000, 16)(np.arange(4000, dtype=np.int32)))
    assert std == pytest.approx(1.0, rel=0.05)
