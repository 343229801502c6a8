import doctest

import pytest

from tfspeech.tasks.speech_recognition import scores, transcripts
from tfspeech.tasks.speech_recognition.transcripts import (
    PADDING,
    Transcriber,
    TranscriptConfig,
    symbols_of,
    transcript,
)

WORDS, CHARACTERS = TranscriptConfig(), TranscriptConfig("characters")


@pytest.mark.parametrize("module", [transcripts, scores])
def test_the_examples_hold(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize(
    ("text", "words", "characters"),
    [
        (" 3  0 turn\tleft ", "3 0 turn left", "three zero turn left"),
        ("Don't! 'Well,' she-goat", "Don't! 'Well,' she-goat", "don't well she goat"),
        ("the dogs' tails", "the dogs' tails", "the dogs tails"),
        ("...", "...", ""),
    ],
)
def test_a_transcript_is_what_the_model_writes(text, words, characters):
    assert transcript(WORDS, text) == words
    assert transcript(CHARACTERS, text) == characters


@pytest.mark.parametrize("config", [WORDS, CHARACTERS])
def test_what_is_encoded_is_decoded(config):
    texts = [transcript(config, text) for text in ("one two", "three", "two two")]
    transcriber = Transcriber(config, symbols_of(config, texts))
    encoded = transcriber.encode(texts)
    assert encoded.dtype == "int32"
    for row, text in zip(encoded, texts, strict=True):
        kept = row[row != PADDING]
        assert (row[len(kept) :] == PADDING).all()
        assert transcriber.decode(kept) == text
    assert transcriber.unknown("one four") == (["four"] if config is WORDS else [])


def test_spaces_that_a_model_writes_too_often_are_one():
    transcriber = Transcriber(CHARACTERS, symbols_of(CHARACTERS, []))
    numbers = [transcriber.symbols.index(c) for c in "  a  b "]
    assert transcriber.decode(numbers) == "a b"


def test_symbols_of_sentences_are_the_same_for_every_english_corpus():
    assert symbols_of(CHARACTERS, ["abc"]) == symbols_of(CHARACTERS, ["xyz it's"])
    assert symbols_of(WORDS, ["b a", "a c"]) == ("a", "b", "c")
