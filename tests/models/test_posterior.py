"""The latent variable of the parallel synthesiser: its posterior and what it moves."""

import keras
import numpy as np
import tensorflow as tf
from test_parallel_tts import FEATURES, SMALL, SYMBOLS, VALUES, inputs

from models import ParallelTts, ParallelTtsConfig
from models.layers import Posterior
from models.layers.posterior import Gaussian

SIZE = 3


def build(**options):
    keras.utils.set_random_seed(0)
    config = ParallelTtsConfig(**SMALL | {"latent_size": SIZE} | options)
    return ParallelTts(config, SYMBOLS, FEATURES, VALUES)


def recorded(durations, lengths=None):
    """A batch with frames of recordings, words and seeds: a word has two segments."""
    batch = inputs(durations, lengths)
    words = np.arange(batch["segments"].shape[1]) // 2 * np.ones_like(durations)
    inside = np.arange(words.shape[1]) < batch["segment_lengths"][:, None]
    batch["segment_words"] = (words * inside).astype(np.int32)
    rng = np.random.default_rng(1)
    rows, frames = batch["frame_segments"].shape
    batch["frames"] = rng.normal(size=(rows, frames, VALUES)).astype("f4")
    return batch | {"seeds": np.arange(3, 3 + rows)}


def test_samples_have_mean_and_variance_and_belong_to_the_example():
    layer = Posterior(2, 4, 3, 0.0, name="posterior")
    layer.build((None, None, 4), (None, None, 4))
    count = 20_000
    wanted = Gaussian(tf.constant([[[1.0, -2.0]]]), tf.math.log([[[0.25, 4.0]]]))
    many = Gaussian(*(tf.tile(each, [count, 2, 1]) for each in wanted))
    drawn = layer.sample(many, tf.range(count, dtype=tf.int64)).numpy()
    for word in (0, 1):
        np.testing.assert_allclose(drawn[:, word].mean(0), [1.0, -2.0], atol=0.05)
        np.testing.assert_allclose(drawn[:, word].std(0), [0.5, 2.0], rtol=0.03)
    correlations = np.corrcoef(drawn.reshape(count, 4).T)
    assert np.abs(correlations - np.eye(4)).max() < 0.03
    one = layer.sample(wanted, tf.constant([7], tf.int64))
    np.testing.assert_array_equal(one[0], drawn[7, :1])
    assert np.any(layer.sample(wanted) != layer.sample(wanted))


def test_padding_and_neighbours_leave_posteriors_and_samples_as_they_are():
    model = build(dropout=0.2)
    batch = recorded([[3, 0, 2, 1], [1, 1, 2, 0]], lengths=[4, 3])
    for training in (False, True):
        outputs = model(batch, training=training)
        assert outputs["latent_mean"].shape == (2, 2, SIZE)
        alone = model({k: v[1:] for k, v in batch.items()}, training=training)
        for name, found in alone.items():
            np.testing.assert_allclose(found[0], outputs[name][1], atol=1e-5)
    changed = {**batch, "frames": batch["frames"].copy()}
    changed["frames"][1, 4:] = 99.0
    for name, found in model(changed).items():
        np.testing.assert_allclose(found, model(batch)[name], atol=1e-5)
    changed["frames"][1, 3] = 9.0
    moved = np.abs(model(changed)["latent_mean"] - model(batch)["latent_mean"])
    assert moved[1, 1].max() > 1e-3
    assert moved[0].max() < 1e-6


def test_every_weight_learns_with_a_latent_variable():
    model = build(dropout=0.2)
    batch = recorded([[3, 0, 2, 1]])
    with tf.GradientTape() as tape:
        outputs = model(batch, training=True)
        loss = tf.add_n([tf.reduce_sum(tf.square(x)) for x in outputs.values()])
    variables = [v.value for v in model.trainable_variables]
    gradients = tape.gradient(loss, variables)
    assert all(np.any(gradient) for gradient in map(tf.convert_to_tensor, gradients))


def test_a_given_latent_variable_takes_the_place_of_the_posterior():
    model = build()
    batch = recorded([[3, 1, 2], [1, 1, 1]])
    found = model(batch)
    means = found["latent_mean"].numpy()
    latent = means[np.arange(2)[:, None], batch["segment_words"]]
    assert np.abs(latent[:, 1] - latent[:, 2]).min() > 1e-3
    given = model(batch | {"latent": latent})
    assert set(found) - set(given) == {"latent_mean", "latent_log_variance"}
    for name, value in given.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6)
    # It may change within an utterance, and moves all that is predicted.
    inside = tf.constant([[[0.0]], [[1.0]]]) * tf.ones([1, 3, SIZE])
    inside *= [[[0.0], [0.0], [1.0]]]
    moved, still = (model(batch | {"latent": x}) for x in (inside, 0 * inside))
    for name in given:
        np.testing.assert_array_equal(moved[name][0], still[name][0])
        assert np.abs(moved[name] - still[name])[1].max() > 1e-3
    free = {k: v for k, v in batch.items() if k != "frames"} | {"latent": latent}
    durations = model.predict_log_durations(free)
    np.testing.assert_allclose(durations, found["log_durations"], atol=1e-6)
    energy = {"energy": tf.zeros([1, 1])}
    frames = model.predict_frames(free | energy | {"prosody": None})
    wanted = model(batch | {"prosody": found["prosody"].numpy()} | {"latent": latent})
    np.testing.assert_allclose(frames, wanted["frames"], atol=1e-5)


def test_training_samples_and_inference_takes_the_mean():
    model = build(dropout=0.0, variance_dropout=0.0)
    batch = recorded([[3, 1, 2]])
    mean, drawn = model(batch), model(batch, training=True)
    np.testing.assert_array_equal(mean["latent_mean"], drawn["latent_mean"])
    assert np.abs(mean["frames"] - drawn["frames"]).max() > 1e-3
    again = model(batch, training=True)
    np.testing.assert_array_equal(again["frames"], drawn["frames"])
    other = model(batch | {"seeds": batch["seeds"] + 1}, training=True)
    assert np.abs(other["frames"] - drawn["frames"]).max() > 1e-3
