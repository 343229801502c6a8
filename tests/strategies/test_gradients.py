import numpy as np
import pytest
import tensorflow as tf

from tfspeech.strategies import Gradients, VariableInfo, densify, vector_norm
from tfspeech.strategies.gradients import tensor_norms, unit_norms

SHAPES = [(3, 4), (5,), (2, 2, 2)]
INFOS = [
    VariableInfo(f"net/{k}", "kernel", (0,), s[0], 80, s) for k, s in enumerate(SHAPES)
]


def tree(*scales):
    rng = np.random.default_rng(0)
    return [
        (rng.normal(size=shape) * scale).astype(np.float32)
        for shape, scale in zip(SHAPES, scales, strict=True)
    ]


def gradients_of(values):
    return Gradients([tf.constant(v) for v in values], INFOS, list(values))


def norms_of(values):
    return [np.linalg.norm(np.asarray(v, np.float64).ravel()) for v in values]


@pytest.mark.parametrize(
    "scales",
    [
        (1, 1, 1),
        (1e25, 1e25, 1e25),
        (1e-25, 1e-25, 1e-25),
        (1e25, 1, 1e-25),
        (0, 1, 0),
        (0, 0, 0),
        (1e19, 1e-19, 1e37),
        (1e-11, 1e-9, 1e18),
    ],
)
def test_norms_are_right_for_every_float(scales):
    values = tree(*scales)
    gradients = gradients_of(values)
    np.testing.assert_allclose(gradients.norms, norms_of(values), rtol=1e-6)
    whole = np.linalg.norm(norms_of(values))
    np.testing.assert_allclose(gradients.global_norm, whole, rtol=1e-6)
    compiled = tf.function(tensor_norms)(values)
    np.testing.assert_allclose(compiled, norms_of(values), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scale", [0.0, 1e-25, 1.0, 1e30])
def test_a_value_that_is_not_finite_shows_in_the_norm(bad, scale):
    values = tree(scale, scale, scale)
    values[1][2] = bad
    gradients = gradients_of(values)
    assert not np.isfinite(gradients.global_norm)
    assert np.isfinite(gradients.norms).tolist() == [True, False, True]


def test_norms_of_units_are_those_of_numpy():
    (value, *_) = tree(1, 1, 1)
    value[:, 1] *= np.float32(1e25)
    value[:, 2] *= np.float32(1e-25)
    value[:, 3] = 0.0
    wanted = np.sqrt(np.square(value.astype(np.float64)).sum(axis=0, keepdims=True))
    np.testing.assert_allclose(unit_norms(value, (0,)), wanted, rtol=1e-6)
    assert unit_norms(value, None).shape == (1, 1)
    np.testing.assert_allclose(vector_norm(value), *norms_of([value]), rtol=1e-6)


def test_repeated_rows_of_indexed_slices_are_added_up():
    slices = tf.IndexedSlices(tf.ones([2, 3]), tf.constant([1, 1]), tf.constant([4, 3]))
    dense = densify(slices)
    np.testing.assert_array_equal(dense, [[0] * 3, [2] * 3, [0] * 3, [0] * 3])
    assert densify(None) is None
    assert densify(tf.ones([2], tf.float16)).dtype == tf.float32


def test_scales_multiply_and_tensors_stay():
    raw = gradients_of(tree(1, 1, 1))
    scaled = raw.scaled(tf.constant([0.5, 1.0, 2.0])).scaled(0.5, threshold=3.0)
    assert scaled.only_scales(raw)
    for value, before, factor in zip(
        scaled.values, raw.values, (0.25, 0.5, 1.0), strict=True
    ):
        np.testing.assert_array_equal(value, before * factor)
    np.testing.assert_allclose(scaled.norms, norms_of(scaled.values), rtol=1e-6)
    np.testing.assert_array_equal(scaled.raw_norms, raw.norms)
    assert scaled.clipped.numpy().tolist() == [True, True, True]
    assert raw.scaled([1.0, 0.9, 1.1]).clipped.numpy().tolist() == [False, True, False]
    assert float(scaled.threshold) == 3.0
    assert np.isnan(raw.threshold)
    assert not raw.clipped.numpy().any()


def test_bounded_meets_the_bound_and_no_bound_changes_nothing():
    raw = gradients_of(tree(1, 10, 1e4))
    bounded = raw.bounded(tf.constant(2.0))
    assert float(bounded.global_norm) == pytest.approx(2.0, rel=1e-6)
    assert float(bounded.threshold) == 2.0
    free = raw.bounded(float("nan"))
    assert [v.numpy().tobytes() for v in free.values] == [
        v.numpy().tobytes() for v in raw.values
    ]
    assert np.isnan(free.threshold)
    assert not free.clipped.numpy().any()


def test_replaced_measures_anew_and_marks_what_moved():
    raw = gradients_of(tree(1, 1, 1))
    before = raw.values
    after = raw.scaled(0.5).replaced([before[0] * 0.5, before[1], before[2] * 0.1])
    np.testing.assert_allclose(after.norms, norms_of(after.values), rtol=1e-6)
    assert not after.only_scales(raw)
    fresh = raw.replaced([before[0], before[1], before[2] * 0.9])
    assert fresh.clipped.numpy().tolist() == [False, False, True]
    np.testing.assert_array_equal(fresh.raw_norms, raw.norms)


@pytest.mark.parametrize("scale_first", [False, True])
def test_a_part_can_be_taken_out_and_put_back(scale_first):
    raw = gradients_of(tree(1, 2, 3))
    whole = raw.scaled([0.5, 1.0, 0.25]) if scale_first else raw
    part = whole.select([0, 2])
    assert [info.path for info in part.infos] == ["net/0", "net/2"]
    assert [w.shape for w in part.weights] == [SHAPES[0], SHAPES[2]]
    np.testing.assert_array_equal(part.raw_norms, tf.gather(raw.norms, [0, 2]))
    merged = whole.merge([0, 2], part.scaled([0.1, 1.0], threshold=9.0))
    factors = np.array([0.05, 1.0, 0.25] if scale_first else [0.1, 1.0, 1.0])
    assert merged.only_scales(raw)
    for value, before, factor in zip(merged.values, raw.values, factors, strict=True):
        np.testing.assert_allclose(value, before * factor, rtol=1e-6)
    np.testing.assert_allclose(merged.norms, norms_of(merged.values), rtol=1e-6)
    assert merged.clipped.numpy().tolist() == (factors < 1).tolist()
    # A part is not the global norm, and what bounds it says nothing about that.
    assert np.isnan(merged.threshold)
