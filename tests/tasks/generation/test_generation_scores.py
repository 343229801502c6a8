"""Figures of generated words, where they are known."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from tfspeech.tasks.generation.scores import (
    coarse_shapes,
    frechet_distance,
    nearest_distances,
    word_scores,
)


def test_the_frechet_distance_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4))
    second = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4)) + 1.0
    c1, c2 = np.cov(first.T), np.cov(second.T)
    wanted = np.sum((first.mean(0) - second.mean(0)) ** 2)
    wanted += np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(first, second) == pytest.approx(wanted)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-9)
    shifted = first + np.array([3.0, 4.0, 0.0, 0.0])
    assert frechet_distance(first, shifted) == pytest.approx(25.0)


def test_vectors_fewer_than_their_values_have_a_distance():
    rng = np.random.default_rng(0)
    found = frechet_distance(rng.normal(size=(5, 30)), rng.normal(size=(6, 30)))
    assert np.isfinite(found)
    assert found > 0


@pytest.mark.parametrize(
    ("probabilities", "sure", "score", "entropy"),
    [
        (np.eye(4), 1.0, 4.0, np.log(4)),
        (np.tile(np.eye(4)[1], (4, 1)), 1.0, 1.0, 0.0),
        (np.full((4, 4), 0.25), 0.25, 1.0, np.log(4)),
        (np.eye(4)[[0, 0, 2, 2]], 1.0, 2.0, np.log(2)),
    ],
)
def test_scores_of_words_that_are_clear_alike_or_unclear(
    probabilities, sure, score, entropy
):
    found = word_scores(probabilities, "abcd")
    assert found["mean_probability"] == pytest.approx(sure)
    assert found["inception_score"] == pytest.approx(score, rel=1e-6)
    assert found["label_entropy"] == pytest.approx(entropy, abs=1e-6)
    counts = np.bincount(probabilities.argmax(1), minlength=4) / 4
    assert found["shares"] == dict(zip("abcd", counts, strict=True))


def test_the_nearest_is_found():
    rng = np.random.default_rng(0)
    others = rng.normal(size=(20, 3, 2))
    clips = np.concatenate([others[3:4] + 0.5, others[7:8]])
    wanted = [
        np.sqrt(np.mean((others - clip) ** 2, axis=(1, 2))).min() for clip in clips
    ]
    np.testing.assert_allclose(nearest_distances(clips, others), wanted, atol=1e-7)


def test_coarse_shapes_are_means_over_time_of_products_with_cosines():
    contours = np.random.default_rng(0).normal(size=(2, 16, 3))
    found = coarse_shapes(contours).reshape(2, 6, 3)
    np.testing.assert_allclose(found[:, 0], contours.mean(1))
    cosine = np.sqrt(2) * np.cos(np.pi * 4 * (np.arange(16) + 0.5) / 16)
    wanted = (contours * cosine[:, None]).mean(1)
    np.testing.assert_allclose(found[:, 4], wanted, atol=1e-12)
