import numpy as np
import pytest
from scipy.special import softmax

from tfspeech.tasks.word_recognition.calibration import (
    calibrate,
    calibration_error,
    reliability,
)


def test_reliability_of_a_known_result():
    probabilities = np.array([[0.9, 0.1], [0.92, 0.08], [0.3, 0.7], [0.51, 0.49]])
    confidence, accuracy, counts = reliability(probabilities, np.array([0, 1, 1, 0]))
    np.testing.assert_allclose(confidence, [0.51, 0.7, 0.91])
    np.testing.assert_allclose(accuracy, [1.0, 1.0, 0.5])
    np.testing.assert_array_equal(counts, [1, 1, 2])
    error = calibration_error(probabilities, np.array([0, 1, 1, 0]))
    assert error == pytest.approx((0.49 + 0.3 + 2 * 0.41) / 4)


def test_certainty_is_in_the_last_bin():
    confidence, accuracy, counts = reliability(np.array([[1.0, 0.0]]), np.array([0]))
    assert (confidence[0], accuracy[0], counts[0]) == (1.0, 1.0, 1)


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
