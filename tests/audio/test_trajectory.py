"""Most likely trajectories against a dense solution in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.audio.trajectory import most_likely_trajectory, with_deltas


def example(batch=3, frames=12, dim=4, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((batch, frames, 2 * dim)).astype(np.float32)
    variances = rng.uniform(0.1, 2.0, means.shape).astype(np.float32)
    return means, variances


def dense(means, variances):
    """The normal equations W' P W c = W' P m of one dimension, [frames, 2] each."""
    frames = len(means)
    differences = np.eye(frames) - np.eye(frames, k=-1)
    windows = np.concatenate([np.eye(frames), differences[1:]])
    precision = np.diag(np.append(1 / variances[:, 0], 1 / variances[1:, 1]))
    wanted = np.append(means[:, 0], means[1:, 1])
    normal = windows.T @ precision
    return np.linalg.solve(normal @ windows, normal @ wanted)


def test_the_trajectory_equals_the_dense_solution():
    means, variances = example()
    lengths = [12, 7, 1]
    found = most_likely_trajectory(means, variances, lengths).numpy()
    assert found.shape == (3, 12, 4)
    for row, length in enumerate(lengths):
        for dim in range(4):
            columns = (row, slice(length), [dim, dim + 4])
            expected = dense(means[columns].T, variances[columns].T)
            np.testing.assert_allclose(found[row, :length, dim], expected, atol=1e-5)
        np.testing.assert_array_equal(found[row, length:], 0)


def test_frames_are_their_own_most_likely_trajectory():
    frames, _ = example(dim=2)
    means = with_deltas(frames, [12, 12, 12])
    found = most_likely_trajectory(means, tf.constant([0.5] * 8), [12, 12, 12])
    np.testing.assert_allclose(found, frames, atol=1e-5)


def test_sure_differences_smooth_unsure_frames():
    noise = np.random.default_rng(0).standard_normal((1, 200, 1)).astype(np.float32)
    means = np.concatenate([noise, np.zeros_like(noise)], axis=2)
    smooth = most_likely_trajectory(means, tf.constant([1.0, 0.01]), [200]).numpy()
    assert np.std(np.diff(smooth[0, :, 0])) < 0.1 * np.std(np.diff(noise[0, :, 0]))
    assert np.mean(smooth) == pytest.approx(np.mean(noise), abs=1e-4)


def test_deltas_are_differences_of_valid_frames():
    frames = np.float32([[[1], [4], [9]], [[2], [3], [np.nan]]])
    expected = [[[1, 0], [4, 3], [9, 5]], [[2, 0], [3, 1], [0, 0]]]
    np.testing.assert_array_equal(with_deltas(frames, [3, 2]), expected)


@pytest.mark.parametrize("garbage", [0.0, 1e6, np.nan])
def test_a_batch_equals_its_utterances_whatever_the_padding(garbage):
    means, _ = example()
    variances = np.float32([0.3, 1, 2, 0.5, 0.1, 0.2, 0.3, 0.4])
    lengths = [12, 7, 1]
    for row, length in enumerate(lengths):
        means[row, length:] = garbage
    found = most_likely_trajectory(means, variances, lengths).numpy()
    for row, length in enumerate(lengths):
        alone = most_likely_trajectory(
            means[row : row + 1, :length], variances, [length]
        )
        np.testing.assert_allclose(found[row, :length], alone[0], atol=1e-6)


def test_works_in_a_graph_of_any_batch_and_length():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, 8], tf.float32),
            tf.TensorSpec([None], tf.int32),
        ]
    )
    def graph(means, lengths):
        return most_likely_trajectory(means, tf.ones([8]), lengths)

    for batch, frames in ((1, 1), (2, 5)):
        means, _ = example(batch, frames)
        lengths = np.full(batch, frames, np.int32)
        expected = most_likely_trajectory(means, tf.ones([8]), lengths)
        np.testing.assert_allclose(graph(means, lengths), expected, atol=1e-6)
