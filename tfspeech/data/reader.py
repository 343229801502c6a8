"""Sentences of a grammar of our own: the texts of the built-in corpus `reader`."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tfspeech.files import read_toml

MAX_WORDS = 12

GRAMMAR: dict[str, str] = read_toml(__package__, "reader_grammar.toml")
"""The alternatives of each rule; the file says how they are written."""

_NO_STOP_SHARE = 0.2
_SLOT = re.compile(r"<([a-z_]+)(\+?)>")
_WORD = re.compile(r"[a-z'-]+")
_ALTERNATIVES = {
    rule: [alternative.strip() for alternative in text.split("|")]
    for rule, text in GRAMMAR.items()
}


def reader_sentences(count: int, seed: int = 0) -> tuple[str, ...]:
    """Makes sentences of 1 to 12 words, no two of which have the same words.

    The alternatives of every rule come in turn, in random order, so that all words of
    the grammar are about equally frequent. A digit never stands alone. A fifth of the
    statements lack their full stop, so that a model does not depend on it.

    Args:
        count: How many.
        seed: The same seed gives the same sentences.

    Returns:
        The sentences, capitalised and with punctuation, in random order.
    """
    rng = random.Random(f"reader {seed}")  # noqa: S311 -- Its stream is stable.
    expand = _expander(rng)
    sentences: dict[tuple[str, ...], str] = {}
    while len(sentences) < count:
        sentence = _tidy(expand("sentence", False))
        if rng.random() < _NO_STOP_SHARE:
            sentence = sentence.removesuffix(".")
        words = words_of(sentence)
        if len(words) <= MAX_WORDS:
            sentences.setdefault(words, sentence)
    return tuple(sentences.values())


def words_of(sentence: str) -> tuple[str, ...]:
    """Returns the words of a sentence, in lower case and without punctuation."""
    return tuple(_WORD.findall(sentence.lower()))


def _expander(rng: random.Random) -> Callable[[str, bool], str]:
    """Returns a function that expands a rule, in its second form if asked for."""
    queues: dict[str, list[str]] = {rule: [] for rule in _ALTERNATIVES}

    def expand(rule: str, second: bool) -> str:
        queue = queues[rule]
        if not queue:
            queue += rng.sample(_ALTERNATIVES[rule], len(_ALTERNATIVES[rule]))
        forms = queue.pop().split("/")
        form = forms[-1] if second else forms[0]
        return _SLOT.sub(lambda slot: expand(slot[1], slot[2] == "+"), form)

    return expand


def _tidy(sentence: str) -> str:
    sentence = re.sub(r"\b(a) (?=(?!use|uni)[aeiou])", r"\1n ", sentence)
    return sentence[0].upper() + sentence[1:]
