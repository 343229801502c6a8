# ruff: noqa: RUF001 -- IPA has letters that look like others.

import numpy as np
import pytest
import tensorflow as tf

from tfspeech.data.reader import reader_sentences
from tfspeech.errors import SpecError, TextError
from tfspeech.tasks.speech.scores import count_lost_words
from tfspeech.text.front_end import (
    END,
    PADDING,
    TextConfig,
    TextFrontEnd,
    pad_symbols,
)
from tfspeech.text.normalize import normalize


@pytest.fixture(scope="module", params=["characters", "phonemes"])
def front_end(request):
    return TextFrontEnd(TextConfig(symbols=request.param))


def names(front_end, text):
    return [front_end.symbols[index] for index in front_end.encode(text)]


def test_symbols_are_distinct_and_start_with_padding(front_end):
    assert front_end.symbols[0] == PADDING
    assert len(set(front_end.symbols)) == len(front_end.symbols)


def test_characters_are_those_of_the_normalised_text():
    assert names(TextFrontEnd(), "Room 7, OK?") == [*"room seven, okay?", END]


def test_phonemes_have_punctuation_between_words():
    phonemes = TextFrontEnd(TextConfig(symbols="phonemes"))
    assert names(phonemes, "Go in the house!") == [
        *("ɡ", "ˌoʊ", " ", "ɪ", "n", "ð", "ə", " ", "h", "ˈaʊ", "s", "!", END)
    ]
    assert names(phonemes, "what is in the?")[-2:] == ["?", END]


def test_every_sentence_can_be_encoded(front_end):
    for sentence in reader_sentences(200):
        encoded, words = front_end.encode(sentence), front_end.words(sentence)
        assert encoded.dtype == words.dtype == np.int32
        assert encoded.shape == words.shape
        assert encoded.min() > 0
        assert [front_end.symbols[i] for i in encoded[[-1]]] == [END]
        assert np.all(np.diff(words[words >= 0]) >= 0)
        marks = [front_end.symbols[i] for i in encoded[words < 0]]
        assert set(marks) <= {*" !'',-.:;?", END}


def test_words_of_characters():
    words = TextFrontEnd().words("No, twenty-one 'tis")
    assert words.tolist() == [0] * 2 + [-1] * 2 + [1] * 10 + [-1] * 2 + [2] * 3 + [-1]


def test_a_pair_that_is_said_as_one_is_one_word():
    phonemes = TextFrontEnd(TextConfig(symbols="phonemes"))
    words = phonemes.words("Go in the house of the king!")
    text = phonemes.encode("Go in the house of the king!")
    spoken = [
        "".join(phonemes.symbols[index] for index in text[words == word])
        for word in range(words.max() + 1)
    ]
    assert spoken == ["ɡˌoʊ", "ɪnðə", "hˈaʊs", "ʌvðə", "kˈɪŋ"]
    # Attention to each symbol in its order skips none of them.
    assert count_lost_words(np.eye(len(text)), words) == (0, 0)


def test_texts_are_padded_to_a_batch(front_end):
    encoded = [front_end.encode(text) for text in ("No.", "Go in the house!", "a")]
    symbols, lengths = pad_symbols(encoded)
    assert symbols.dtype == lengths.dtype == np.int32
    assert symbols.shape == (3, len(encoded[1]))
    for row, length, alone in zip(symbols, lengths, encoded, strict=True):
        np.testing.assert_array_equal(row[:length], alone)
        assert not row[length:].any()


@pytest.mark.parametrize("text", ["", "  ", "... !?", "''", "-"])
def test_an_empty_text_is_refused(front_end, text):
    with pytest.raises(TextError, match="nothing to say"):
        front_end.encode(text)


def test_an_unknown_symbol_is_named_with_its_place(front_end):
    text = "It was long ago, in the year of the 龍, that he came back again."
    with pytest.raises(TextError) as error:
        front_end.encode(text)
    message = str(error.value)
    assert message.startswith(
        f"unknown symbol '龍' at character {text.find('龍') + 1} "
    )
    assert "the year of the 龍, that he" in message
    assert "\n" not in message
    assert len(message) < 160


def test_a_phoneme_of_another_language_is_named(monkeypatch):
    monkeypatch.setattr(
        "tfspeech.text.front_end.text_to_phonemes", lambda text: [["a"], ["y"]]
    )
    with pytest.raises(TextError, match="says word 1 with the phoneme 'a'"):
        TextFrontEnd(TextConfig(symbols="phonemes")).encode("deux deux")


def graph():
    front_end = TextFrontEnd()
    signature = [tf.TensorSpec([None], tf.string)]
    return front_end, tf.function(front_end.encode_in_graph, input_signature=signature)


def test_the_graph_encodes_as_python_does():
    front_end, encode = graph()
    texts = [normalize(sentence) for sentence in reader_sentences(100)]
    symbols, lengths = encode(tf.constant(texts))
    assert symbols.dtype == lengths.dtype == tf.int32
    assert symbols.shape[1] == max(lengths)
    for row, length, text in zip(symbols.numpy(), lengths, texts, strict=True):
        np.testing.assert_array_equal(row[:length], front_end.encode(text))
        assert not row[length:].any()


def test_the_graph_ignores_case_space_and_the_unknown():
    front_end, encode = graph()
    symbols, lengths = encode(tf.constant(["  Go\n 7ÜP\t", "", "go p"]))
    assert lengths.numpy().tolist() == [5, 1, 5]
    np.testing.assert_array_equal(symbols[0], front_end.encode("go p"))
    np.testing.assert_array_equal(symbols[0], symbols[2])
    assert front_end.symbols[int(symbols[1, 0])] == END


def test_the_graph_takes_an_empty_batch():
    symbols, lengths = graph()[1](tf.constant([], tf.string))
    assert symbols.shape[0] == 0
    assert lengths.shape == [0]


def test_the_graph_is_exported(tmp_path):
    front_end, encode = graph()
    module = tf.Module()
    module.encode = encode
    tf.saved_model.save(module, str(tmp_path))
    symbols, _ = tf.saved_model.load(str(tmp_path)).encode(tf.constant(["one, two"]))
    np.testing.assert_array_equal(symbols[0], front_end.encode("one, two"))


def test_phonemes_are_not_for_graphs():
    phonemes = TextFrontEnd(TextConfig(symbols="phonemes"))
    with pytest.raises(SpecError, match=r"characters only.*symbols='phonemes'"):
        phonemes.encode_in_graph(tf.constant(["one"]))


def test_unknown_symbols_option_is_refused():
    with pytest.raises(ValueError, match="symbols must be one of characters, phonemes"):
        TextConfig(symbols="letters")
