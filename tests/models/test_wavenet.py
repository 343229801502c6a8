"""WaveNet: what it knows when, and that the cache changes nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import WaveNet, WaveNetConfig
from models.layers.mu_law import mu_law_classes, mu_law_levels, mu_law_samples

HOP, FIELD = 10, 14
"""Samples of a hop, and how many samples before its own a prediction sees, at most:
cycles of the dilations 1, 2 and 4, twice."""


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    built = WaveNet(WaveNetConfig(6, 5, 2, 3, 4), 3, HOP)
    rng = np.random.default_rng(0)
    for variable in built.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * 0.3)
    return built


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(1)
    return {
        "frames": rng.normal(size=(2, 12, 3)).astype("f4"),
        "frame_lengths": np.array([12, 9], np.int32),
        "waveform": rng.normal(size=(2, 12, HOP)).astype("f4") * 0.2,
    }


def drawn_classes(logits, drawn):
    """The classes that numbers in [0, 1) stand for, by a reference in NumPy."""
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return (np.cumsum(shares, -1) < drawn[..., None]).sum(-1)


def test_generation_with_a_cache_draws_what_the_whole_network_predicts(model, inputs):
    drawn = np.random.default_rng(2).uniform(size=(2, 12 * HOP)).astype("f4")
    generate = tf.function(model.generate)
    waveform = generate(inputs["frames"], inputs["frame_lengths"], tf.constant(drawn))
    assert waveform.shape == (2, 12, HOP)
    logits = model({**inputs, "waveform": waveform})["logits"].numpy()
    for row, length in enumerate(inputs["frame_lengths"]):
        count = (length - 1) * HOP
        found = mu_law_classes(waveform[row]).numpy().ravel()
        wanted = drawn_classes(logits[row], drawn[row])
        np.testing.assert_array_equal(found[:count], wanted[:count])
        assert len(set(wanted[:count])) > 20
        assert not waveform[row].numpy().ravel()[count:].any()


@pytest.mark.slow
@pytest.mark.headline
def test_a_row_is_generated_as_if_it_were_alone(model, inputs):
    drawn = tf.tile(tf.random.stateless_uniform([1, 12 * HOP], [0, 1]), [2, 1])
    frames, lengths = inputs["frames"], inputs["frame_lengths"]
    together = model.generate(frames, lengths, drawn)
    alone = model.generate(frames[1:, :9], lengths[1:], drawn[1:, : 9 * HOP])
    np.testing.assert_array_equal(alone[0], together[1, :9])
    garbage = frames.copy()
    garbage[1, 9:] = np.nan
    np.testing.assert_array_equal(model.generate(garbage, lengths, drawn), together)


def test_a_sample_is_predicted_from_those_before_it_alone(model, inputs):
    before = model(inputs)["logits"].numpy()
    place = 57
    waveform = inputs["waveform"].copy()
    waveform.reshape(2, -1)[0, place] += 0.5
    after = model({**inputs, "waveform": waveform})["logits"].numpy()
    changed = np.flatnonzero(np.abs(after - before).max((0, 2)) > 1e-6)
    assert changed[0] == place + 1
    assert changed[-1] == place + 1 + FIELD


def test_frames_beyond_the_convolutions_change_nothing(model, inputs):
    before = model(inputs)["logits"].numpy()
    frames = inputs["frames"].copy()
    frames[0, 8:] += 1.0
    after = model({**inputs, "frames": frames})["logits"].numpy()
    # Two convolutions over three frames look ahead by two.
    np.testing.assert_array_equal(after[0, : 6 * HOP], before[0, : 6 * HOP])
    assert np.abs(after - before)[0, 6 * HOP].max() > 0


def test_mu_law_is_that_of_numpy_and_back():
    waveform = np.concatenate([np.linspace(-1, 1, 2001), [-3.0, 5.0]]).astype("f4")
    size = np.log1p(255 * np.abs(waveform.clip(-1, 1))) / np.log(256)
    wanted = np.floor((np.sign(waveform) * size + 1) / 2 * 255 + 0.5)
    classes = mu_law_classes(tf.constant(waveform))
    assert (classes.numpy() == wanted).mean() > 0.999
    assert (int(classes[-2]), int(classes[-1])) == (0, 255)
    np.testing.assert_array_equal(
        mu_law_classes(mu_law_samples(tf.range(256))), range(256)
    )
    np.testing.assert_allclose(mu_law_levels(tf.constant([0, 255])), [-1.0, 1.0])
    error = np.abs(mu_law_samples(classes)[:-2] - waveform[:-2])
    assert error.max() < 0.025
    assert error[np.abs(waveform[:-2]) < 0.01].max() < 4e-4
