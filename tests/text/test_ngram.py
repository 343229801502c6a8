"""N-gram models: what their probabilities are, and the ARPA format."""

import itertools
import math

import pytest

from tfspeech.errors import TextError
from tfspeech.text.ngram import END, START, read_arpa, train_ngram, write_arpa

SENTENCES = ["a b a c", "a b", "c a b b", "a", "b a c"]
SYMBOLS = ["a", "b", "c", "never", " "]


@pytest.fixture(scope="module")
def trigram():
    return train_ngram([text.split() for text in SENTENCES], 3, SYMBOLS)


def test_probabilities_sum_to_1_after_every_context(trigram):
    firsts = [START, "a", "b", "never"]
    for context in [(), *itertools.product(firsts), *itertools.product(firsts, "abc")]:
        found = [trigram.log_prob(context, each) for each in [*SYMBOLS, END]]
        assert sum(map(math.exp, found)) == pytest.approx(1.0)


def test_a_bigram_has_the_probabilities_of_the_formula():
    bigram = train_ngram(["xyx", "xz"], 2, "xyz")
    # Bigrams: <s>x 2, xy 1, yx 1, x</s> 1, xz 1, z</s> 1; five of them once, one twice.
    discount = 5 / (5 + 2)
    # Symbols before: x has two (<s>, y), y one, z one, the end two; all six.
    unigram_discount = 2 / (2 + 2 * 2)
    share = unigram_discount * 4 / 6
    after_any = (1 - unigram_discount) / 6 + share / 4
    wanted = (1 - discount) / 3 + discount * 3 / 3 * after_any
    assert math.exp(bigram.log_prob(("x",), "y")) == pytest.approx(wanted)
    unseen = discount * 1 / 1 * after_any
    assert math.exp(bigram.log_prob(("z",), "y")) == pytest.approx(unseen)


def test_arpa_is_read_as_it_was_written(trigram, tmp_path):
    path = tmp_path / "model.arpa"
    write_arpa(trigram, path)
    assert "\t|\n" in path.read_text().replace("\t|\t", "\t|\n")
    found = read_arpa(path)
    assert found.order == 3
    for field in ("log_probs", "backoffs"):
        was, now = getattr(trigram, field), getattr(found, field)
        assert now.keys() == was.keys()
        assert now == pytest.approx(was, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not end in"),
        ("\\data\\\n\\end\\\n", "has no n-grams"),
        ("\\data\\\n\\1-grams:\n-1 a\n", "does not end in"),
        ("\\1-grams:\nx a\n\\end\\\n", "line 2: could not convert"),
        ("\\2-grams:\n-1 a\n\\end\\\n", "line 2: a 2-gram must be"),
        ("\\1-grams:\n-1 a -1 -1\n\\end\\\n", "line 2: a 1-gram must be"),
        ("\\1-grams:\nnan a\n\\end\\\n", "line 2: a 1-gram must be"),
        ("\\one-grams:\n-1 a\n\\end\\\n", "invalid literal"),
    ],
)
def test_other_files_are_refused_with_the_line(text, message, tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(text)
    with pytest.raises(TextError, match=message):
        read_arpa(path)


def test_no_sentence_is_refused():
    with pytest.raises(TextError, match="at least one sentence"):
        train_ngram([], 3, SYMBOLS)
