import numpy as np
import pytest
import tensorflow as tf

from tfspeech.data.reader import reader_sentences
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.text.lexicon import Lexicon
from tfspeech.text.linguistic import encode_segments
from tfspeech.text.normalize import normalize

FRONT_END = TextFrontEnd(TextConfig(symbols="phonemes"))
SENTENCES = reader_sentences(150)


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon(SENTENCES)


def read(lexicon, *texts):
    symbols, lengths = lexicon.encode_in_graph(tf.constant(texts))
    assert symbols.dtype == lengths.dtype == tf.int32
    rows = list(zip(symbols.numpy(), lengths.numpy(), strict=True))
    assert not any(np.any(row[length:]) for row, length in rows)
    return [row[:length].tolist() for row, length in rows]


def spoken(*texts):
    return [encode_segments(FRONT_END, text).tolist() for text in texts]


def test_texts_are_encoded_as_espeak_says_them(lexicon):
    expected = spoken(*SENTENCES)
    encoded = read(lexicon, *map(normalize, SENTENCES))
    same = sum(a == b for a, b in zip(encoded, expected, strict=True))
    assert same >= 0.97 * len(SENTENCES)


def test_what_follows_a_word_decides_how_it_is_said():
    lexicon = Lexicon(["the old door opens", "the door", "sit in the house", "in a"])
    assert "in the" in lexicon.words
    assert "in a" not in lexicon.words
    texts = ("the door opens", "the old house", "in the house.", "in, the house", "Sit")
    assert read(lexicon, *texts) == spoken(*texts)


def test_numbers_and_letters_are_known_without_texts():
    texts = ("twenty-one, forty!", "w", "five hundred? no: b")
    with pytest.raises(tf.errors.InvalidArgumentError, match="no"):
        read(Lexicon([]), texts[2])
    lexicon = Lexicon(["no"])
    assert read(lexicon, *texts) == spoken(*texts)


def test_marks_and_spaces_are_tidied(lexicon):
    texts = ("  one  two ", "one two", "", "one , two", "one, two")
    first, second, empty, third, fourth = read(lexicon, *texts)
    assert first == second
    assert third == fourth
    names = [FRONT_END.symbols[index] for index in empty]
    assert names == [" ", "<end>"]


@pytest.mark.parametrize("word", ["xylophagous", "12", "o2"])
def test_an_unknown_word_is_named(lexicon, word):
    with pytest.raises(tf.errors.InvalidArgumentError, match=word):
        read(lexicon, "one two", f"one {word}, two")


def test_a_lexicon_is_exported(lexicon, tmp_path):
    module = tf.Module()
    module.lexicon = lexicon
    module.encode = tf.function(
        lexicon.encode_in_graph, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    symbols, _ = loaded.encode(tf.constant(["one, two"]))
    assert symbols.numpy().tolist() == read(lexicon, "one, two")
    with pytest.raises(tf.errors.InvalidArgumentError, match="blah"):
        loaded.encode(tf.constant(["one blah"]))
