"""The dense network: the experiment of its documentation, and what it promises."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import DenseNet, DenseSynthesis, DenseSynthesisConfig

DOCS = Path(__file__).parents[2] / "docs" / "dense_synthesis.md"
EPOCHS, RATE, LIMIT = 100, 1e-3, 0.01


def numpy_training(weights, features, targets):
    """The experiment again, with nothing of ours: weights are k, b, k, b, k, b."""
    weights = [w.astype(np.float64) for w in weights]
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    losses = []
    for epoch in range(1, EPOCHS + 1):
        k1, b1, k2, b2, k3, b3 = weights
        h1 = np.maximum(features @ k1 + b1, 0)
        h2 = np.maximum(h1 @ k2 + b2, 0)
        y = np.tanh(h2 @ k3 + b3)
        losses.append(np.mean((y - targets) ** 2))
        d3 = 2 * (y - targets) / y.size * (1 - y**2)
        d2 = (d3 @ k3.T) * (h2 > 0)
        d1 = (d2 @ k2.T) * (h1 > 0)
        gradients = [
            *(features.T @ d1, d1.sum(0)),
            *(h1.T @ d2, d2.sum(0)),
            *(h2.T @ d3, d3.sum(0)),
        ]
        # Keras corrects the bias with powers of these numbers in single precision.
        beta_1, beta_2 = (np.float64(np.float32(beta)) for beta in (0.9, 0.999))
        rate = RATE * np.sqrt(1 - beta_2**epoch) / (1 - beta_1**epoch)
        for w, m, v, g in zip(weights, first, second, gradients, strict=True):
            g = np.clip(g, -LIMIT, LIMIT)
            m += 0.1 * (g - m)
            v += 0.001 * (g**2 - v)
            w -= rate * m / (np.sqrt(v) + 1e-7)
    return weights, losses


@pytest.fixture(scope="module")
def experiment():
    """Runs the example of the documentation; returns its variables."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    variables = {}
    exec(code, variables)
    return variables


def test_the_experiment_learns(experiment):
    metrics = experiment["metrics"]
    assert len(metrics["loss"]) == EPOCHS
    assert metrics["loss"][-1] < 0.5 * metrics["loss"][0]
    assert metrics["clipped"].any()


def test_numpy_makes_the_same_weights_of_the_experiment(experiment):
    batch = {name: value.numpy() for name, value in experiment["batch"].items()}
    keras.utils.set_random_seed(0)
    tf.random.normal([100, 128]), tf.random.uniform([100, 128])
    start = [w.numpy() for w in DenseNet(128, 128).weights]
    assert [w.shape for w in start] == [
        *((128, 128), (128,)),
        *((128, 64), (64,)),
        *((64, 128), (128,)),
    ]
    weights, losses = numpy_training(start, batch["features"], batch["targets"])
    np.testing.assert_allclose(experiment["metrics"]["loss"], losses, rtol=1e-5)
    for ours, wanted in zip(experiment["model"].weights, weights, strict=True):
        np.testing.assert_allclose(ours.numpy(), wanted, atol=1e-5)


def test_statistics_bring_nearly_all_of_the_training_set_into_the_range_of_tanh():
    model = DenseSynthesis(DenseSynthesisConfig(), 6, 4)
    rng = np.random.default_rng(0)
    spread = [1.0, 50.0, 0.0, 0.0]
    frames = rng.normal([5.0, -300.0, 2.0, 0.0], spread, (1000, 4)).astype("f4")
    frames[0] = [5000.0, -300.0, 2.0, 1.0]  # A gross error, and an event that is rare.
    durations = rng.exponential(2.0, 900).astype("f4")
    model.set_statistics(frames, durations)
    for layer, values in (
        (model.normalization, frames),
        (model.duration_normalization, durations[:, None]),
    ):
        normal = layer(values).numpy()
        low, high = np.percentile(normal, [0.5, 99.5], axis=0)
        np.testing.assert_allclose(-low[:2], 0.9, rtol=1e-4)
        np.testing.assert_allclose(high[:2], 0.9, rtol=1e-4)
        back = layer(normal, invert=True)
        np.testing.assert_allclose(back, values, rtol=1e-5, atol=1e-5)
    normal = model.normalization(frames).numpy()
    assert not normal[:, 2].any()
    assert np.abs(normal[:, 3]).max() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"hidden_units": (8, 0)}, "hidden_units must be at least 1"),
        ({"duration_units": (-1,)}, "duration_units must be at least 1"),
        ({"hidden_activation": "step"}, "must be one of relu"),
        ({"output_activation": "relu"}, "must be one of tanh, linear"),
    ],
)
def test_what_is_out_of_range_is_refused(wrong, reason):
    with pytest.raises(ValueError, match=reason):
        DenseSynthesisConfig(**wrong)


def test_layers_units_and_activations_are_those_of_the_configuration():
    config = DenseSynthesisConfig((7,), (), "tanh", "linear")
    model = DenseSynthesis(config, 6, 3)
    shapes = {w.path.partition("/")[2]: tuple(w.shape) for w in model.trainable_weights}
    assert shapes == {
        "acoustic/hidden_0/kernel": (6, 7),
        "acoustic/hidden_0/bias": (7,),
        "acoustic/output/kernel": (7, 3),
        "acoustic/output/bias": (3,),
        "duration/output/kernel": (6, 1),
        "duration/output/bias": (1,),
    }
    features = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("f4")
    k1, b1, k2, b2 = (w.numpy() for w in model.acoustic.weights)
    wanted = np.tanh(features @ k1 + b1) @ k2 + b2
    frames = model.predict_frames(
        {"frame_features": features, "frame_lengths": tf.constant([4, 4])}
    )
    np.testing.assert_allclose(frames, wanted, atol=1e-5)
