"""Pronunciations in a graph: what an exported model reads, which cannot run eSpeak NG.

A lexicon keeps how eSpeak NG says the words of some texts, each before a vowel, before
a consonant and before a pause: "the" and words in -r sound different there. It also
keeps the pairs of words that eSpeak NG says as one, such as "in the".
"""

from __future__ import annotations

import itertools
import string
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfspeech.text.context import END_ID, SPACE_ID, SYMBOLS
from tfspeech.text.front_end import AFTER_NO_SPACE
from tfspeech.text.linguistic import prepend_space
from tfspeech.text.normalize import normalize
from tfspeech.text.number_words import cardinal
from tfspeech.text.phonemes import CONSONANTS, WORD, text_to_phonemes

# What follows a word, and how eSpeak NG is made to say it there.
_VOWEL, _CONSONANT, _PAUSE = range(3)
_CARRIERS = ("{} eggs.", "{} days.", "{}.")
_CARRIED_AT_ONCE = 50

# Known whatever the texts are: numbers below a hundred, and the names of letters.
_BASIC = (
    *(cardinal(str(number)) for number in range(100)),
    *("hundred", "thousand", "million", *string.ascii_lowercase),
)

_INDEX = {symbol: index for index, symbol in enumerate(SYMBOLS)}
_ASCII_CODES = 128
_NEEDS_NO_SPACE = np.array([symbol in AFTER_NO_SPACE for symbol in SYMBOLS])
_WORD_IN_GRAPH = r"([^ !,\-.:;?']+(?:['\-]+[^ !,\-.:;?']+)*'?)"

_Counts = dict[str, list[Counter[tuple[str, ...]]]]


class _Spoken(NamedTuple):
    """A word, or a pair that is said as one, in a text."""

    words: str
    phonemes: tuple[str, ...]
    context: int


class Lexicon(tf.Module):
    """Encodes texts as `encode_segments` does, in TensorFlow's own operations.

    Args of the constructor:
        texts: English texts, whose words are those that it will know. Numbers below a
            hundred and the names of letters are known, too.

    Attributes:
        words: What it knows, words and pairs of words, sorted.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(name="lexicon")
        forms = _forms(texts)
        self.words: tuple[str, ...] = tuple(sorted(forms))
        said = [form for word in self.words for form in forms[word]]
        # Row 0 is silence; equal pronunciations are kept once.
        rows = {form: row for row, form in enumerate(dict.fromkeys([(), *said]))}
        self._symbols = [[_INDEX[symbol] for symbol in form] for form in rows]
        said_rows = np.array([rows[form] for form in said], "i4")
        self._rows = said_rows.reshape([len(forms), len(_CARRIERS)])
        first = [forms[word][_PAUSE][0] for word in self.words]
        self._starts_with_vowel = np.array([sound not in CONSONANTS for sound in first])
        self._table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(self.words), tf.range(len(self.words))
            ),
            default_value=-1,
        )

    def encode_in_graph(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes normalised texts.

        Upper case is read as lower case.

        Args:
            texts: What `normalize` returns, UTF-8, string [batch].

        Returns:
            Segments, int32 [batch, longest], padded with 0, and the number of them in
            each text, int32 [batch].

        Raises:
            tf.errors.InvalidArgumentError: There are words that are not known; it
                names them.
        """
        words, marks = _split(texts)
        rows = self._pronounced(words, marks)
        sounds = tf.gather(tf.ragged.constant(self._symbols), tf.reshape(rows, [-1]))
        symbols = tf.concat([_mark_symbols(marks), sounds], axis=1)
        per_text = tf.RaggedTensor.from_uniform_row_length(
            symbols, tf.shape(marks, tf.int64)[1]
        )
        return _tidied(per_text.merge_dims(1, 2))

    def _pronounced(self, words: tf.Tensor, marks: tf.Tensor) -> tf.Tensor:
        """Returns the row in `_symbols` of each word, int32 [batch, words]."""
        entries = self._table.lookup(words)
        after = _later(marks, 1)
        pairs = self._table.lookup(tf.strings.join([words, after, _later(words, 1)]))
        is_pair = (pairs >= 0) & (after == " ")
        # Of two pairs that share a word, the first is said as one.
        is_pair &= ~_earlier(is_pair)
        is_silent = _earlier(is_pair)
        entries = tf.where(is_pair, pairs, entries)
        self._check(tf.boolean_mask(words, (entries < 0) & (words != "") & ~is_silent))

        followed = tf.where(is_pair, _later(after, 1), after) == " "
        following = tf.where(is_pair, _later(entries, 2), _later(entries, 1))
        vowel = tf.gather(self._starts_with_vowel, tf.maximum(following, 0))
        context = tf.where(followed, tf.where(vowel, _VOWEL, _CONSONANT), _PAUSE)
        rows = tf.gather_nd(
            self._rows, tf.stack([tf.maximum(entries, 0), context], axis=-1)
        )
        return tf.where(is_silent | (words == ""), 0, rows)

    def _check(self, unknown: tf.Tensor) -> None:
        """Stops where words are unknown."""
        tf.debugging.Assert(
            tf.size(unknown) == 0,
            ["words without a pronunciation; spell them with known ones:", unknown],
        )


def _later(values: tf.Tensor, by: int) -> tf.Tensor:
    """Returns what is `by` places later in each row; 0 or empty beyond its end."""
    return tf.concat([values[:, by:], tf.zeros_like(values[:, :by])], axis=1)


def _earlier(flags: tf.Tensor) -> tf.Tensor:
    return tf.concat([tf.zeros_like(flags[:, :1]), flags[:, :-1]], axis=1)


def _split(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the words of texts and the marks before each, string [batch, words].

    The last word, before which are the last marks, is empty, and so is padding.
    """
    texts = tf.strings.lower(tf.strings.strip(texts), encoding="utf-8")
    texts = tf.strings.regex_replace(texts, r"\s+", " ")
    texts = tf.strings.regex_replace(texts, _WORD_IN_GRAPH, "\t\\1\t")
    parts = tf.strings.split(tf.strings.join([texts, "\t"]), "\t").to_tensor("")
    return parts[:, 1::2], parts[:, 0::2]


def _mark_symbols(marks: tf.Tensor) -> tf.RaggedTensor:
    """Returns the symbols of marks, [batch * words, symbols]."""
    codes = tf.strings.unicode_decode(tf.reshape(marks, [-1]), "UTF-8")
    by_code = [_INDEX.get(chr(code), 0) for code in range(_ASCII_CODES)]
    return codes.with_values(tf.gather(by_code, codes.values))


def _tidied(symbols: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds the silences at both ends, and drops spaces before marks and spaces."""
    ends = tf.fill([symbols.nrows(), 1], END_ID)
    symbols = tf.concat([symbols, ends], axis=1)
    following = tf.gather(_NEEDS_NO_SPACE, tf.roll(symbols.values, -1, axis=0))
    kept = ~((symbols.values == SPACE_ID) & following)
    symbols = tf.ragged.boolean_mask(symbols, symbols.with_values(kept))
    lengths = tf.cast(symbols.row_lengths(), tf.int32)
    return prepend_space(symbols.to_tensor(), lengths)


# How a lexicon is made.


def _forms(texts: Iterable[str]) -> dict[str, list[tuple[str, ...]]]:
    """Returns how words and pairs of words are said, in the order of `_CARRIERS`."""
    counts: _Counts = defaultdict(lambda: [Counter() for _ in _CARRIERS])
    vocabulary = set(_BASIC)
    apart: Counter[str] = Counter()
    for normal in map(normalize, texts):
        vocabulary |= set(WORD.findall(normal))
        spoken = list(_spoken(normal))
        _count(spoken, counts)
        for each, following in itertools.pairwise(spoken):
            apart[_pair(each.words, following.words)] += 1
    together = {
        words
        for words, contexts in counts.items()
        if " " in words and sum(map(Counter.total, contexts)) > apart[words]
    }
    known = sorted(vocabulary | together)
    _carry(known, counts)
    return {
        words: [context.most_common(1)[0][0] for context in counts[words]]
        for words in known
        if all(counts[words])
    }


def pronunciations(words: Iterable[str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Returns how eSpeak NG says words before vowels, consonants and pauses.

    Args:
        words: Normalised, each a match of `WORD`.

    Returns:
        The different pronunciations of each word that has one, as phonemes.
    """
    counts: _Counts = defaultdict(lambda: [Counter() for _ in _CARRIERS])
    known = sorted(set(words))
    _carry(known, counts)
    found = {word: dict.fromkeys(itertools.chain(*counts[word])) for word in known}
    return {word: tuple(forms) for word, forms in found.items() if forms}


def _carry(known: Iterable[str], counts: _Counts) -> None:
    """Has words said in the contexts in which they were not counted yet."""
    missing = [
        carrier.format(words)
        for words in known
        for carrier, context in zip(_CARRIERS, counts[words], strict=True)
        if not context
    ]
    for start in range(0, len(missing), _CARRIED_AT_ONCE):
        _count(_spoken(" ".join(missing[start : start + _CARRIED_AT_ONCE])), counts)


def _count(spoken: Iterable[_Spoken], counts: _Counts) -> None:
    for each in spoken:
        if _INDEX.keys() >= set(each.phonemes):
            counts[each.words][each.context][each.phonemes] += 1


def _spoken(normal: str) -> Iterator[_Spoken]:
    """Yields the words of a normalised text, or those that are said as one."""
    words = list(WORD.finditer(normal))
    sounds = text_to_phonemes(normal)
    starts = [index for index, phonemes in enumerate(sounds) if phonemes]
    for start, end in itertools.pairwise([*starts, len(words)]):
        context = _PAUSE
        if (
            end < len(words)
            and normal[words[end - 1].end() : words[end].start()] == " "
        ):
            context = _CONSONANT if sounds[end][0] in CONSONANTS else _VOWEL
        text = normal[words[start].start() : words[end - 1].end()]
        yield _Spoken(text, tuple(sounds[start]), context)


def _pair(words: str, following: str) -> str:
    return f"{words.split()[-1]} {following.split()[0]}"
