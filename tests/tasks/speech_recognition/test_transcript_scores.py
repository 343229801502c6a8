import numpy as np
import pytest

from tfspeech.tasks.intervals import rate_interval
from tfspeech.tasks.reliability import reliability
from tfspeech.tasks.speech_recognition.scores import (
    align,
    describe_scores,
    transcript_scores,
)

SAID = ["one two three", "four", "five six", "one two"]
HEARD = ["one three three", "four", "six", "one two nine"]
NAMES = ["a.wav", "b.wav", "c.wav", "d.wav"]


@pytest.fixture
def scores():
    return transcript_scores(SAID, HEARD, ["ann", "ann", "bob", ""], NAMES)


def test_errors_are_counted_by_kind(scores):
    assert scores["wer"] == pytest.approx(3 / 8)
    kinds = {n: scores[n] for n in ("substitutions", "deletions", "insertions")}
    assert kinds == {"substitutions": 1, "deletions": 1, "insertions": 1}
    assert (scores["words"], scores["utterances"]) == (8, 4)
    assert scores["utterance_error"] == 0.75
    confusions = {tuple(each) for each in scores["confusions"]}
    assert confusions == {("two", "three", 1), ("five", "", 1), ("", "nine", 1)}
    assert scores["cer"] == pytest.approx((4 + 5 + 5) / sum(map(len, SAID)))


def test_speakers_have_their_own_rates(scores):
    assert scores["per_speaker"]["ann"]["wer"] == pytest.approx(1 / 4)
    assert scores["per_speaker"]["bob"]["wer"] == pytest.approx(1 / 2)
    assert set(scores["per_speaker"]) == {"ann", "bob"}


def test_utterances_with_errors_are_listed(scores):
    assert [each["utterance"] for each in scores["errors"]] == [
        "a.wav",
        "c.wav",
        "d.wav",
    ]
    assert scores["errors"][1] == {
        "utterance": "c.wav",
        "said": "five six",
        "recognised": "six",
    }


def test_intervals_hold_the_rate_and_shrink_with_the_data():
    rng = np.random.default_rng(1)
    widths = []
    for size in (50, 5000):
        totals = rng.integers(1, 8, size)
        errors = rng.binomial(totals, 0.2)
        low, high = rate_interval(errors, totals)
        assert low < errors.sum() / totals.sum() < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.4)
    assert rate_interval(np.zeros(9, int), np.ones(9, int)) == (0.0, 0.0)


def test_confidence_is_compared_with_how_often_it_is_right():
    confidences = np.array([0.95, 0.97, 0.99, 0.91, 0.32, 1.0])
    right = np.array([True, True, False, True, False, True])
    found = reliability(confidences, right)
    (low, share, count), high = found["reliability"]
    assert (round(low, 2), share, count) == (0.32, 0.0, 1)
    assert high == pytest.approx([0.964, 0.8, 5])
    assert found["calibration_error"] == pytest.approx((0.32 + 5 * 0.164) / 6)
    assert reliability(np.ones(3), np.ones(3, bool))["calibration_error"] == 0


def test_words_are_put_below_one_another():
    assert align("a bb c", "a c") == ("a bb c", "a *  c")
    assert align("a c", "a ddd c") == ("a *   c", "a ddd c")
    assert align("", "") == ("", "")


def test_the_text_has_rates_speakers_and_alignments(scores):
    text = describe_scores(
        {"loss": 0.5, "unaligned": 2, "calibration_error": 0.01, **scores}
    )
    assert "37.50% of 8 words" in text
    assert "2 utterances have fewer frames" in text
    assert "one two   three\n  one three three" in text
    assert "1  five -> *" in text
    assert "ann" in text
