import pytest

from tfspeech.text.number_words import (
    cardinal,
    digit_by_digit,
    minutes,
    ordinal,
    plural,
    year,
)


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("10", "ten"),
        ("13", "thirteen"),
        ("40", "forty"),
        ("99", "ninety-nine"),
        ("100", "one hundred"),
        ("105", "one hundred five"),
        ("1000", "one thousand"),
        ("21012", "twenty-one thousand twelve"),
        ("1000000", "one million"),
        ("2000340050", "two billion three hundred forty thousand fifty"),
        ("900000000000000", "nine hundred trillion"),
        ("007", "zero zero seven"),
        ("1" * 16, " ".join(["one"] * 16)),
    ],
)
def test_cardinal(digits, words):
    assert cardinal(digits) == words


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("1", "first"),
        ("2", "second"),
        ("3", "third"),
        ("4", "fourth"),
        ("5", "fifth"),
        ("8", "eighth"),
        ("9", "ninth"),
        ("12", "twelfth"),
        ("20", "twentieth"),
        ("31", "thirty-first"),
        ("100", "one hundredth"),
        ("1003", "one thousand third"),
    ],
)
def test_ordinal(digits, words):
    assert ordinal(digits) == words


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("1066", "one thousand sixty-six"),
        ("1100", "eleven hundred"),
        ("1805", "eighteen oh five"),
        ("1984", "nineteen eighty-four"),
        ("2000", "two thousand"),
        ("2009", "two thousand nine"),
        ("2010", "twenty ten"),
        ("3000", "three thousand"),
    ],
)
def test_year(digits, words):
    assert year(digits) == words


def test_minutes_digits_and_plurals():
    assert minutes("05") == "oh five"
    assert minutes("50") == "fifty"
    assert digit_by_digit("042") == "zero four two"
    assert plural("nineteen eighty") == "nineteen eighties"
    assert plural("sixth") == "sixths"
