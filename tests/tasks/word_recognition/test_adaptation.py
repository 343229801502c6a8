import numpy as np
import pytest

from tfspeech.tasks.word_recognition.adaptation import refit


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(6, 3)), rng.normal(size=3)
    return kernel, bias, rng.normal(size=(9, 6)), np.repeat(np.arange(3), 3)


def losses(kernel, bias, embeddings, targets):
    logits = embeddings @ kernel + bias
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(targets)), targets]


def test_new_examples_are_learned_and_old_weights_hold(problem):
    old, embeddings, targets = problem[:2], *problem[2:]
    free = refit(*old, embeddings, targets, penalty=1e-4)
    assert np.all((embeddings @ free[0] + free[1]).argmax(1) == targets)
    held = refit(*old, embeddings, targets, penalty=1e6)
    np.testing.assert_allclose(held[0], old[0], atol=1e-4)
    np.testing.assert_allclose(held[1], old[1], atol=1e-4)


def test_the_objective_has_its_minimum_there(problem):
    old, embeddings, targets = problem[:2], *problem[2:]
    found = refit(*old, embeddings, targets, penalty=0.5)

    def objective(kernel, bias):
        moved = np.sum((kernel - old[0]) ** 2) + np.sum((bias - old[1]) ** 2)
        return losses(kernel, bias, embeddings, targets).sum() + 0.25 * moved

    least = objective(*found)
    assert least < objective(*old)
    rng = np.random.default_rng(1)
    for _ in range(20):
        step = rng.normal(size=(6, 3)) * 0.01, rng.normal(size=3) * 0.01
        assert objective(found[0] + step[0], found[1] + step[1]) > least


def test_the_type_of_the_weights_is_kept(problem):
    kernel, bias = (each.astype(np.float32) for each in problem[:2])
    new = refit(kernel, bias, *problem[2:])
    assert [each.dtype for each in new] == [np.float32] * 2
    assert [each.shape for each in new] == [(6, 3), (3,)]


def test_words_without_examples_keep_their_weights(problem):
    kernel, bias, embeddings, targets = problem
    said = targets != 1
    new = refit(kernel, bias, embeddings[said], targets[said])
    np.testing.assert_array_equal(new[0][:, 1], kernel[:, 1])
    assert new[1][1] == bias[1]
    # The others are told apart, none is raised over what was not said.
    np.testing.assert_allclose(new[0].sum(axis=1), kernel.sum(axis=1))
    assert np.any(new[0][:, 0] != kernel[:, 0])
