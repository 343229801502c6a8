import numpy as np
import pytest
from scipy.special import softmax

from tfspeech.tasks.word_recognition.calibration import calibrate, confidence_scores


def test_the_highest_probability_is_the_confidence():
    probabilities = np.array([[0.9, 0.1], [0.92, 0.08], [0.3, 0.7], [0.51, 0.49]])
    found = confidence_scores(probabilities, np.array([0, 1, 1, 0]))
    wanted = [[0.51, 1.0, 1], [0.7, 1.0, 1], [0.91, 0.5, 2]]
    np.testing.assert_allclose(found["reliability"], wanted)
    error = (0.49 + 0.3 + 2 * 0.41) / 4
    assert found["calibration_error"] == pytest.approx(error)


def test_the_temperature_of_logits_is_found():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 5)) * 2
    shares = softmax(logits, axis=1)
    targets = (rng.random((len(logits), 1)) > shares.cumsum(1)).sum(1).clip(0, 4)
    found = calibrate(softmax(logits / 0.4, axis=1), targets, 0.05)
    assert found.temperature == pytest.approx(1 / 0.4, rel=0.03)
    assert found.error_before > 0.1
    assert found.error_after < 0.02
    assert np.mean(shares.max(1) < found.unknown_below) == pytest.approx(0.05, abs=0.01)


def test_what_is_always_right_keeps_its_temperature():
    found = calibrate(np.eye(3)[[0, 1, 2]], np.arange(3), 0.0)
    assert found == (1.0, 1.0, 0.0, 0.0)
