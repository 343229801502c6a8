import collections
import re

from tfspeech.data.corpora import load_corpus
from tfspeech.data.reader import GRAMMAR, MAX_WORDS, reader_sentences, words_of
from tfspeech.data.spoken_words import DIGITS


def test_sentences_are_seeded():
    assert reader_sentences(50, seed=3) == reader_sentences(50, seed=3)
    assert reader_sentences(50, seed=3) != reader_sentences(50, seed=4)
    assert reader_sentences(80, seed=3)[:50] == reader_sentences(50, seed=3)


def test_sentences_are_sentences():
    sentences = reader_sentences(2000)
    unstopped = sum(sentence[-1].isalpha() for sentence in sentences)
    assert 200 < unstopped < 400
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z][a-zA-Z',:; -]*[a-z.?!]", sentence), sentence
        assert 1 <= len(words_of(sentence)) <= MAX_WORDS
        assert not re.search(r"  | [,.;:?!]|\b[Aa] [aeio]|\b[Aa]n [^aeiou]", sentence)


def test_the_rules_refer_to_each_other_and_all_are_used():
    named = set(re.findall(r"<([a-z_]+)\+?>", " ".join(GRAMMAR.values())))
    assert named == set(GRAMMAR) - {"sentence"}
    for rule, text in GRAMMAR.items():
        forms = [alternative.count("/") for alternative in text.split("|")]
        assert set(forms) in ({0}, {1}), rule
        if set(forms) == {0}:
            assert f"<{rule}+>" not in " ".join(GRAMMAR.values())


def test_no_sentence_is_in_two_splits():
    corpus = load_corpus("reader")
    splits = collections.defaultdict(set)
    for each in corpus.utterances:
        splits[each.split].add(words_of(each.text))
        assert each.audio.text == each.text
    sizes = {split: len(sentences) for split, sentences in splits.items()}
    assert sizes == {"train": 2000, "validation": 64, "test": 100}
    assert len(set.union(*splits.values())) == sum(sizes.values())
    assert corpus == load_corpus("reader")


def test_training_has_the_words_of_the_other_splits_and_all_digits():
    corpus = load_corpus("reader")
    counts = collections.Counter(
        word for each in corpus.split("train") for word in words_of(each.text)
    )
    assert len(counts) > 1000
    assert min(counts[word] for word in DIGITS.values()) >= 30
    heard = [word for each in corpus.split("test") for word in words_of(each.text)]
    assert sum(word in counts for word in heard) > 0.95 * len(heard)


def test_a_digit_never_stands_alone():
    spoken = {words_of(sentence) for sentence in reader_sentences(5000)}
    assert not spoken & {(word,) for word in DIGITS.values()}
