"""Random segments of arrays: where they are, and what depends on nothing else."""

import numpy as np
import tensorflow as tf

from tfspeech.data.cache import ArrayStore
from tfspeech.data.segments import random_starts, read_segments


def test_segments_are_read_where_they_start_and_are_0_beyond_the_end(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(12, 2)
    values.tofile(tmp_path / "rows.f32")
    lengths = np.array([5, 7])
    store = ArrayStore(tmp_path / "rows.f32", np.array([0, 5]), lengths, (2,))
    found = read_segments(store, tf.constant([1, 0, 1]), tf.constant([2, 3, 0]), 4)
    np.testing.assert_array_equal(found[0], values[7:11])
    np.testing.assert_array_equal(found[1], np.pad(values[3:5], [(0, 2), (0, 0)]))
    np.testing.assert_array_equal(found[2], values[5:9])
    assert found.shape == (3, 4, 2)


def test_every_start_within_an_array_is_drawn_alike_and_no_other():
    seeds = tf.random.Generator.from_seed(0).uniform_full_int([8000], tf.int64)
    starts = random_starts(seeds, tf.fill([8000], 13), 10).numpy()
    values, counts = np.unique(starts, return_counts=True)
    assert values.tolist() == [0, 1, 2, 3]
    assert np.all(np.abs(counts - 2000) < 200)
    for short in (1, 9, 10):
        assert not random_starts(seeds[:100], tf.fill([100], short), 10).numpy().any()


def test_a_start_depends_on_its_seed_and_length_alone():
    seeds, lengths = tf.constant([5, 2**60, -3], tf.int64), tf.constant([90, 40, 700])
    together = random_starts(seeds, lengths, 8).numpy()
    for row in range(3):
        alone = random_starts(seeds[row : row + 1], lengths[row : row + 1], 8)
        assert alone.numpy() == together[row]
