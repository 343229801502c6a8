"""Dropout and the random numbers under it: what a row draws is its own affair."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import Dropout
from models.layers.random import bernoulli, fold_in, normal, uniform

SEEDS = tf.constant([3, 2**40, -5], tf.int64)
DRAWS = {
    "uniform": uniform,
    "normal": normal,
    "bernoulli": lambda seeds, shape, name: bernoulli(seeds, shape, name, 0.3),
}


@pytest.fixture(params=DRAWS)
def draw(request):
    return DRAWS[request.param]


def build(rate=0.3, name="dropout", **arguments):
    layer = Dropout(rate, name=name, **arguments)
    layer.build()
    return layer


def test_a_draw_belongs_to_seed_name_and_place(draw):
    wanted = draw(SEEDS, [5, 3], "a").numpy()
    assert wanted.shape == (3, 5, 3)
    np.testing.assert_array_equal(draw(SEEDS[1:], [9, 3], "a")[:, :5], wanted[1:])
    for other in (draw(SEEDS + 1, [5, 3], "a"), draw(SEEDS, [5, 3], "b")):
        assert np.all(np.any(other.numpy() != wanted, axis=(1, 2)))
    assert np.any(wanted[0] != wanted[1])
    assert np.any(wanted[:, 0] != wanted[:, 1])


def test_draws_have_their_distribution():
    seeds = tf.range(400, dtype=tf.int64)
    drawn = uniform(seeds, [500], "a").numpy()
    assert np.all((drawn >= 0) & (drawn < 1))
    counts = np.histogram(drawn, 20, (0, 1))[0]
    assert np.square(counts - 10_000).sum() / 10_000 < 50  # Chi-squared, 19 degrees.
    assert uniform(tf.constant([1025], tf.int64), [36], "a")[0, 35] == 0
    assert np.all(np.isfinite(normal(tf.constant([1025], tf.int64), [36], "a")))
    normals = normal(seeds, [500], "a").numpy()
    assert abs(normals.mean()) < 0.01
    assert normals.std() == pytest.approx(1, abs=0.01)
    for axis in (0, 1):
        lagged = (
            np.take(normals, range(1, 400), axis),
            np.take(normals, range(399), axis),
        )
        assert abs(np.mean(lagged[0] * lagged[1])) < 0.01
    for p in (0.0, 0.01, 0.3, 1.0):
        share = bernoulli(seeds, [501], "a", p).numpy().mean()
        assert share == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / 200_400))


def test_seeds_are_folded_in_order():
    folded = [
        fold_in(SEEDS, 1, 2),
        fold_in(SEEDS, 2, 1),
        fold_in(SEEDS, "ab"),
        fold_in(SEEDS, "ba"),
        fold_in(SEEDS),
    ]
    assert len(np.unique(folded)) == 15
    rows = fold_in(SEEDS[:, tf.newaxis], tf.range(4))
    np.testing.assert_array_equal(rows[:, 2], fold_in(SEEDS, 2))


def test_what_is_kept_is_scaled_and_the_gradient_alike():
    values = tf.random.stateless_uniform([200, 7, 31], [1, 2], 1.0, 2.0)
    seeds = tf.range(200, dtype=tf.int64)
    with tf.GradientTape() as tape:
        tape.watch(values)
        dropped = build()(values, seeds, training=True)
    kept = dropped.numpy() != 0
    assert kept.mean() == pytest.approx(0.7, abs=0.01)
    np.testing.assert_allclose(dropped, np.where(kept, values / 0.7, 0), rtol=1e-6)
    gradient = tape.gradient(dropped, values)
    np.testing.assert_allclose(gradient, np.where(kept, 1 / 0.7, 0), rtol=1e-6)


def test_nothing_is_drawn_at_inference_or_of_a_rate_of_zero():
    values = tf.ones([2, 3])
    for layer, training in ((build(), False), (build(0.0), True)):
        for seeds in (None, SEEDS[:2]):
            np.testing.assert_array_equal(layer(values, seeds, training=training), 1)
    assert build(0.0).variables == []


def test_without_seeds_every_call_and_every_row_draws_otherwise_but_repeatably():
    def calls():
        keras.utils.set_random_seed(0)
        layer = build()
        return [layer(tf.ones([2, 40]), training=True).numpy() for _ in range(2)]

    first, second = calls()
    assert np.any(first != second)
    assert np.any(first[0] != first[1])
    np.testing.assert_array_equal(calls(), [first, second])


def test_two_layers_of_one_name_in_two_parents_draw_otherwise():
    def drop(parent):
        with keras.name_scope(parent):
            layer = build()
        assert layer.path == f"{parent}/dropout"
        return layer(tf.ones([3, 40]), SEEDS, training=True).numpy()

    np.testing.assert_array_equal(drop("a"), drop("a"))
    assert np.any(drop("a") != drop("b"))


def test_half_precision_stays_half():
    layer = build(dtype="mixed_float16")
    assert layer(tf.ones([3, 4]), SEEDS, training=True).dtype == tf.float16


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match="rate must be in"):
        Dropout(rate, name="dropout")
