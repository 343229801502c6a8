# ruff: noqa: RUF001 -- IPA has letters that look like others.

import random

import pytest

from tfspeech.text.articulation import PHONES
from tfspeech.text.phonemes import text_to_phonemes
from tfspeech.text.pico import VOICES
from tfspeech.text.respelling import LANGUAGES, is_respellable, respell

WORDS = "zero one two three four five six seven eight nine yes down happy garage"


def test_languages_are_those_of_the_foreign_voices():
    assert set(LANGUAGES) == {voice for voice in VOICES if voice[:2] != "en"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phoneme_has_letters(language, monkeypatch):
    from tfspeech.text import respelling

    for phone in set(PHONES) - {"ʔ", "h"}:  # A glottal stop and a mute h are silent.
        monkeypatch.setattr(
            respelling, "_phonemes", lambda text, phone=phone: [[phone]]
        )
        spelt = respell("any", language, random.Random(0))
        assert spelt.isalpha(), phone
        assert spelt.islower(), phone


@pytest.mark.parametrize(
    ("language", "words", "spelt"),
    [
        ("de-DE", "five", "faif"),
        ("de-DE", "house", "haus"),
        ("es-ES", "seven", {"seben", "sefen"}),
        ("es-ES", "three", {"zri", "tri", "sri"}),
        ("fr-FR", "one", "ouanne"),
        ("fr-FR", "down", "daounne"),
        ("it-IT", "keep", "chip"),
        ("it-IT", "two", "tu"),
    ],
)
def test_words_are_spelt_as_they_sound(language, words, spelt):
    found = {respell(words, language, random.Random(seed)) for seed in range(20)}
    assert found == ({spelt} if isinstance(spelt, str) else spelt)


def test_no_word_is_left_out():
    for language in LANGUAGES:
        spelt = respell(WORDS, language, random.Random(0)).split()
        assert len(spelt) == len(text_to_phonemes(WORDS))


@pytest.mark.parametrize("text", ["7", "links!", "weiß", "左", "", " ", "_silence_"])
def test_what_is_not_english_words_is_not_respelt(text):
    assert not is_respellable(text)
    assert is_respellable("don't switch-off")
