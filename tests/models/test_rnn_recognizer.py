import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import RnnRecognizer, RnnRecognizerConfig

SMALL = RnnRecognizerConfig(units=12, conv_filters=10)
ELMAN = RnnRecognizerConfig(
    cell="elman",
    layers=1,
    units=256,
    bidirectional=False,
    conv_layers=0,
    pooling="last",
    dropout=0.0,
)

VARIANTS = [
    SMALL,
    dataclasses.replace(SMALL, cell="lstm", layers=2, pooling="mean"),
    dataclasses.replace(SMALL, cell="elman", conv_layers=0, pooling="last"),
    dataclasses.replace(SMALL, bidirectional=False, pooling="last", conv_stride=3),
    dataclasses.replace(SMALL, conv_kernel_size=4, conv_layers=1),
]


def batch(frames=23, size=3):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(size, frames, 20)).astype(np.float32)
    lengths = np.array([frames, frames // 2, 1][:size], np.int32)
    return {"features": features, "lengths": lengths}


def test_a_plain_elman_network_is_one_configuration():
    model = RnnRecognizer(ELMAN, feature_dim=128, num_classes=10)
    shapes = [tuple(v.shape) for v in model.trainable_variables]
    assert shapes == [(128, 256), (256, 256), (256,), (256, 10), (10,)]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 7, 128)).astype(np.float32)
    lengths = np.array([7, 4], np.int32)
    w_xh, w_hh, b, w, c = (v.numpy().astype(float) for v in model.trainable_variables)
    wanted = []
    for row, length in zip(x, lengths, strict=True):
        h = np.zeros(256)
        for t in range(length):
            h = np.tanh(row[t] @ w_xh + h @ w_hh + b)
        wanted.append(h @ w + c)
    logits = model({"features": x, "lengths": lengths})["logits"]
    np.testing.assert_allclose(logits, wanted, atol=2e-5)


@pytest.mark.parametrize("config", VARIANTS)
def test_padding_and_neighbours_change_nothing(config):
    model = RnnRecognizer(config, 20, 10)
    inputs = batch()
    together = model(inputs)["logits"].numpy()
    assert together.shape == (3, 10)
    for row, length in enumerate(inputs["lengths"]):
        alone = {
            "features": inputs["features"][row : row + 1, :length],
            "lengths": inputs["lengths"][row : row + 1],
        }
        np.testing.assert_allclose(model(alone)["logits"][0], together[row], atol=1e-5)
    garbage = inputs["features"].copy()
    for row, length in enumerate(inputs["lengths"]):
        garbage[row, length:] = np.nan
    with_garbage = model({"features": garbage, "lengths": inputs["lengths"]})["logits"]
    np.testing.assert_allclose(with_garbage, together, atol=1e-5)


@pytest.mark.parametrize("config", VARIANTS)
def test_every_trainable_variable_gets_a_gradient(config):
    model = RnnRecognizer(config, 20, 10)
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        logits = model(batch(), training=True)["logits"]
        loss = tf.reduce_sum(tf.square(logits - 1.0))
    gradients = tape.gradient(loss, variables)
    assert all(g is not None and np.any(g.numpy()) for g in gradients)


def test_an_utterance_without_frames_is_scored_without_nan():
    model = RnnRecognizer(SMALL, 20, 10)
    features = np.zeros((1, 1, 20), np.float32)
    logits = model({"features": features, "lengths": np.array([0], np.int32)})["logits"]
    assert np.all(np.isfinite(logits))


def test_statistics_are_applied_and_saved_with_the_weights(tmp_path):
    model = RnnRecognizer(SMALL, 20, 10)
    rng = np.random.default_rng(1)
    model.normalization.set_statistics(rng.normal(size=20), rng.uniform(1, 2, size=20))
    model.save_weights(tmp_path / "x.weights.h5")
    again = RnnRecognizer(SMALL, 20, 10)
    assert not np.allclose(again(batch())["logits"], model(batch())["logits"])
    again.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_array_equal(again(batch())["logits"], model(batch())["logits"])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_float32_weights_and_logits(policy):
    keras.utils.set_random_seed(0)
    model = RnnRecognizer(SMALL, 20, 10, dtype=policy)
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    logits = model(batch())["logits"]
    assert logits.dtype == tf.float32
    keras.utils.set_random_seed(0)
    exact = RnnRecognizer(SMALL, 20, 10)(batch())["logits"]
    np.testing.assert_allclose(logits, exact, atol=0.1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cell", "rnn"),
        ("pooling", "max"),
        ("layers", 0),
        ("units", -1),
        ("conv_layers", -1),
        ("conv_stride", 0),
        ("dropout", 1.0),
    ],
)
def test_a_configuration_out_of_range_names_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        RnnRecognizerConfig(**{field: value})
