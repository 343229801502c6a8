"""Automata say what the n-gram model says, and know the words of the lexicon alone."""

import itertools

import numpy as np
import pytest

from models.trellis import LOG_ZERO
from tfspeech.errors import TextError
from tfspeech.tasks.speech_recognition import automaton
from tfspeech.tasks.speech_recognition.automaton import ngram_acceptor, with_lexicon
from tfspeech.text.ngram import END, START, UNKNOWN, NGram, train_ngram

SYMBOLS = (" ", "a", "b", "c")
SENTENCES = ["ab ba", "b cab", "ab ab ba", "ba"]


def walk(acceptor, text):
    """The score of a text from state 0 on, with its end."""
    state, score = 0, 0.0
    for character in text:
        number = SYMBOLS.index(character)
        score += acceptor.scores[state, number]
        state = acceptor.next_states[state, number]
    return score + acceptor.final_scores[state]


def every_text(longest):
    lengths = range(longest + 1)
    return itertools.chain(*(itertools.product(SYMBOLS, repeat=n) for n in lengths))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_automaton_gives_every_text_the_score_of_the_model(order):
    ngram = train_ngram(SENTENCES, order, SYMBOLS)
    acceptor = ngram_acceptor(ngram, SYMBOLS)
    for text in every_text(5):
        marked = (START, *text, END)
        pairs = [(marked[:place], marked[place]) for place in range(1, len(marked))]
        wanted = sum(ngram.log_prob(*pair) for pair in pairs)
        assert walk(acceptor, text) == pytest.approx(wanted, abs=1e-4)


def test_with_a_lexicon_only_its_words_are_possible():
    words = ["ab", "ba", "cab"]
    acceptor = ngram_acceptor(train_ngram(SENTENCES, 3, SYMBOLS), SYMBOLS)
    closed = with_lexicon(acceptor, SYMBOLS, words)
    possible = set()
    for characters in every_text(6):
        text = "".join(characters)
        score = walk(closed, text)
        if score > LOG_ZERO / 2:
            possible.add(text)
            assert score == pytest.approx(walk(acceptor, text), abs=1e-4)
    texts = {" ".join(p) for n in range(3) for p in itertools.product(words, repeat=n)}
    short = {text for text in texts if len(text) <= 6}
    assert {text.strip() for text in possible} == short
    assert not any("  " in text or text.startswith(" ") for text in possible)


@pytest.mark.parametrize(
    ("symbols", "words", "named"),
    [(SYMBOLS, ["ab", "abd"], "'d'"), ("abc", ["ab"], "' '")],
)
def test_a_lexicon_of_other_characters_is_refused(symbols, words, named):
    sentences = [[s for s in sentence if s in symbols] for sentence in SENTENCES]
    acceptor = ngram_acceptor(train_ngram(sentences, 2, symbols), symbols)
    with pytest.raises(TextError, match=f"the lexicon needs {named}"):
        with_lexicon(acceptor, symbols, words)


def test_symbols_that_the_model_lacks_count_as_unknown_or_are_named():
    known = NGram(1, {("a",): -1.0, (END,): -2.0, (UNKNOWN,): -5.0}, {})
    np.testing.assert_allclose(ngram_acceptor(known, "ab").scores[0], [-1.0, -5.0])
    lacking = NGram(1, {("a",): -1.0, (END,): -2.0}, {})
    with pytest.raises(TextError, match="knows neither 'b' nor <unk>"):
        ngram_acceptor(lacking, "ab")


def test_an_automaton_that_is_too_large_is_refused(monkeypatch):
    ngram = train_ngram(SENTENCES, 3, SYMBOLS)
    acceptor = ngram_acceptor(ngram, SYMBOLS)
    monkeypatch.setattr(automaton, "MAX_ENTRIES", 12)
    with pytest.raises(TextError, match="beyond 12 scores: use a smaller --order"):
        ngram_acceptor(ngram, SYMBOLS)
    with pytest.raises(TextError, match="beyond 12 scores"):
        with_lexicon(acceptor, SYMBOLS, ["ab", "ba"])
