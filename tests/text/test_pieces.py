"""Long texts are divided at the best place that there is."""

import hypothesis
import pytest
from hypothesis import strategies as st

from tfspeech.text.normalize import normalize
from tfspeech.text.pieces import split_text

TEXT = "Dr. Lee sat down. The door, which was red, opened! Was it $5? No."


def test_a_short_text_stays_as_it_is():
    assert split_text(TEXT, 200) == [TEXT]


@pytest.mark.parametrize(
    ("max_bytes", "pieces"),
    [
        (
            60,
            [
                "doctor lee sat down. the door, which was red, opened!",
                "was it five dollars? no.",
            ],
        ),
        (
            34,
            [
                "doctor lee sat down.",
                "the door, which was red, opened!",
                "was it five dollars? no.",
            ],
        ),
        (
            20,
            [
                *("doctor lee sat down.", "the door,", "which was red,", "opened!"),
                *("was it five dollars?", "no."),
            ],
        ),
    ],
)
def test_sentences_come_first_then_clauses_then_words(max_bytes, pieces):
    assert split_text(TEXT, max_bytes) == pieces


def test_a_word_is_not_divided():
    assert split_text("a " + "b" * 50 + " c", 20) == ["a", "b" * 50, "c"]


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(st.lists(st.sampled_from(["the", "box,", "door.", "a!"])))
def test_pieces_fit_and_lose_no_word(words):
    text = " ".join(words)
    pieces = split_text(text, 15)
    assert all(len(piece) <= 15 for piece in pieces)
    assert " ".join(map(normalize, pieces)).split() == normalize(text).split()
