import numpy as np
import pytest
from scipy import stats

from tfspeech.tasks.word_recognition.scores import recognition_scores, wilson_interval


@pytest.mark.parametrize(("correct", "total"), [(0, 5), (5, 5), (95, 100), (1, 3000)])
def test_the_interval_is_wilsons(correct, total):
    """Its bounds are the shares p with |p - share| = z sqrt(p (1 - p) / total)."""
    z, share = stats.norm.ppf(0.975), correct / total
    roots = np.roots([1 + z**2 / total, -2 * share - z**2 / total, share**2])
    assert wilson_interval(correct, total) == pytest.approx(sorted(roots), abs=1e-6)


def test_scores_of_a_known_result():
    probabilities = np.array([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1], [0.2, 0.8]])
    scores = recognition_scores(
        probabilities, np.array([0, 0, 0, 1]), ["no", "yes"], ["ann", "bob", "bob", ""]
    )
    assert scores["accuracy"] == 0.75
    assert scores["loss"] == pytest.approx(-np.log([0.7, 0.4, 0.9, 0.8]).mean())
    assert scores["confusion"] == [[2, 1], [0, 1]]
    assert scores["per_speaker"] == {
        "ann": {"accuracy": 1.0, "utterances": 1},
        "bob": {"accuracy": 0.5, "utterances": 2},
    }
    assert scores["labels"] == ["no", "yes"]
    assert scores["utterances"] == 4


def test_a_word_that_nobody_said_keeps_its_row_and_column():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    scores = recognition_scores(
        probabilities, np.array([0, 0]), ["no", "maybe", "yes"], ["", ""]
    )
    assert scores["confusion"] == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_a_probability_of_zero_gives_a_finite_loss():
    scores = recognition_scores(np.array([[0.0, 1.0]]), np.array([0]), ["a", "b"], [""])
    assert np.isfinite(scores["loss"])
