# ruff: noqa: RUF001 -- IPA has letters that look like others.

import itertools

import numpy as np
import pytest

from tfspeech.data.espeak import PhonemeTime
from tfspeech.data.textgrid import Interval
from tfspeech.errors import TextError
from tfspeech.tasks.alignment.aligner import AlignmentConfig
from tfspeech.tasks.alignment.plots import plot_alignment
from tfspeech.tasks.alignment.scores import boundary_errors_ms, boundary_scores
from tfspeech.tasks.alignment.text import UNITS, pronounce
from tfspeech.text.phonemes import PAUSE, PHONEMES, text_to_phonemes


def test_stress_makes_no_other_unit():
    assert len(set(UNITS)) == len(UNITS)
    text = pronounce("seven")
    assert text.names == [PAUSE, "s", "ˈɛ", "v", "ə", "n", PAUSE]
    plain = [UNITS[unit] for unit in text.units]
    assert plain == [PAUSE, "s", "ɛ", "v", "ə", "n", PAUSE]
    assert {each.lstrip("ˈˌ") for each in PHONEMES} | {PAUSE} == set(UNITS)


def test_pauses_are_around_words_and_pairs_are_one():
    text = pronounce("Twenty-five, in the house!")
    assert text.labels == ["twenty-five", "in the", "house"]
    phonemes = text_to_phonemes("twenty-five, in the house!")
    assert [name for name in text.names if name != PAUSE] == [
        *itertools.chain(*phonemes)
    ]
    assert text.words == [-1, *[0] * 9, -1, *[1] * 4, -1, *[2] * 3, -1]
    assert np.array_equal(np.array(text.words) == -1, np.array(text.names) == PAUSE)


@pytest.mark.parametrize(
    ("text", "message"),
    [("...", "nothing to say"), ("", "nothing to say")],
)
def test_texts_that_cannot_be_said_are_refused(text, message):
    with pytest.raises(TextError, match=message):
        pronounce(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"phoneme_states": 0},
            "phoneme_states must be at least 1. Received: phoneme_states=0",
        ),
        ({"gaussians": 3}, "gaussians must be a power of 2. Received: gaussians=3"),
        ({"gaussians": 0}, "gaussians must be a power of 2. Received: gaussians=0"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"training_minutes": 0.0}, "training_minutes must be above 0"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AlignmentConfig(**options)


def test_mixtures_grow_from_one_gaussian():
    assert AlignmentConfig(gaussians=1, iterations=5).total_iterations == 5
    assert AlignmentConfig(gaussians=8, iterations=5).total_iterations == 20


FOUND = (
    Interval(0.0, 0.1, "sil"),
    Interval(0.1, 0.2, "s"),
    Interval(0.2, 0.31, "ˈiː"),
    Interval(0.31, 0.5, "sil"),
    Interval(0.5, 0.6, "n"),
)
TRUE = (
    PhonemeTime("s", 0.0, 0.22),
    PhonemeTime("ˈiː", 0.22, 0.3),
    PhonemeTime(PAUSE, 0.3, 0.44),
    PhonemeTime("n", 0.44, 0.6),
)


def test_errors_are_of_the_starts_of_phonemes_but_the_first():
    np.testing.assert_allclose(boundary_errors_ms(FOUND, TRUE), [-20, 60])
    assert boundary_errors_ms(FOUND[:-1], TRUE).size == 0


def test_scores_of_boundaries():
    errors_ms = [np.array([-20.0, 60.0]), np.zeros(0), np.array([5.0, -4.0, 3.0])]
    scores = boundary_scores(errors_ms)
    assert scores == {
        "count": 5,
        "within_20_ms": 0.8,
        "within_50_ms": 0.8,
        "median_ms": 5.0,
        "bias_ms": 3.0,
    }
    assert boundary_scores([]) == {"count": 0}


@pytest.mark.parametrize("rate_hz", [8000, 22050])
def test_a_plot_is_drawn(rate_hz, tmp_path):
    waveform = np.random.default_rng(0).normal(size=4800).astype(np.float32)
    tiers = {"words": (Interval(0.1, 0.31, "see"),), "phones": FOUND}
    plot_alignment(waveform, rate_hz, tiers, tmp_path / "a.png", TRUE)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
