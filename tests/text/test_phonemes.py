# ruff: noqa: RUF001 -- IPA has letters that look like others.

import pytest

from tfspeech.data.reader import reader_sentences
from tfspeech.errors import SpecError
from tfspeech.text.espeak import SpokenPhoneme, speak
from tfspeech.text.phonemes import (
    CONSONANTS,
    PAUSE,
    PHONEMES,
    VOWELS,
    WORD,
    text_to_phonemes,
    timed_phonemes,
)


def test_words_are_pronounced_with_stress():
    assert text_to_phonemes("seven dogs' bones") == [
        ["s", "ˈɛ", "v", "ə", "n"],
        ["d", "ˈɑː", "ɡ", "z"],
        ["b", "ˈoʊ", "n", "z"],
    ]


def test_every_word_has_a_place_and_merged_words_have_one():
    text = "twenty-five, in the house?"
    pronounced = text_to_phonemes(text)
    assert [word[0] for word in WORD.finditer(text)] == [
        "twenty-five",
        "in",
        "the",
        "house",
    ]
    assert [len(phonemes) for phonemes in pronounced] == [9, 4, 0, 3]


def test_the_pronoun_is_no_letter_and_a_sentence_ends():
    assert text_to_phonemes("i know") == [["aɪ"], ["n", "ˈoʊ"]]
    assert text_to_phonemes("yes. no.") == text_to_phonemes("yes") + text_to_phonemes(
        "no"
    )
    assert text_to_phonemes("...") == []


def test_phonemes_of_american_english_are_all_known():
    assert len(set(PHONEMES)) == len(PHONEMES)
    assert not set(CONSONANTS) & set(VOWELS)
    for sentence in reader_sentences(300):
        for phonemes in text_to_phonemes(sentence.lower()):
            assert set(phonemes) <= set(PHONEMES)


def test_pauses_merge_and_silent_marks_vanish():
    spoken = [
        SpokenPhoneme("D", 0, 0),
        SpokenPhoneme(",I2", 10, 0),
        SpokenPhoneme(";", 15, 0),
        SpokenPhoneme("_:", 20, 0),
        SpokenPhoneme("_", 30, 0),
        SpokenPhoneme("'u:", 40, 4),
        SpokenPhoneme("foreign", 50, 4),
    ]
    assert timed_phonemes(spoken) == [
        ("ð", 0),
        ("ˌɪ", 10),
        (PAUSE, 20),
        ("ˈuː", 40),
        ("foreign", 50),
    ]


def test_an_unknown_voice_is_refused():
    with pytest.raises(SpecError, match="no voice 'gibberish'"):
        text_to_phonemes("one", "gibberish")


def test_speak_reports_the_words_of_phonemes():
    speech = speak("go up", "en-us")
    assert {each.position for each in speech.phonemes} == {0, 3}
    samples = [each.sample for each in speech.phonemes]
    assert samples == sorted(samples)
    assert samples[-1] <= len(speech.waveform)
