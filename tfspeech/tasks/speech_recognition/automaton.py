"""Weighted automata of n-gram models and lexicons, over the symbols of a recogniser."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from models.beam_search import Acceptor
from models.trellis import LOG_ZERO
from tfspeech.errors import TextError
from tfspeech.text.ngram import END, START, UNKNOWN, NGram

MAX_ENTRIES = 20_000_000
"""The most scores of an automaton: 160 MB with the states that they lead to."""

_SPACE = " "


def ngram_acceptor(ngram: NGram, symbols: Sequence[str]) -> Acceptor:
    """Returns the automaton of an n-gram model.

    Its states are the contexts of the model; a symbol leads to the longest one that
    ends the text.

    Args:
        ngram: The model.
        symbols: Those of the recogniser, by number.

    Raises:
        TextError: The model lacks a symbol, or the automaton is too large.
    """
    missing = [s for s in (*symbols, END) if (s,) not in ngram.log_probs]
    if missing and (UNKNOWN,) not in ngram.log_probs:
        raise TextError(
            f"the language model knows neither {missing[0]!r} nor {UNKNOWN}: it must "
            "be over the symbols that the recogniser writes"
        )
    numbers = {symbol: number for number, symbol in enumerate(symbols)}
    contexts = {gram[:-1] for gram in ngram.log_probs}
    contexts |= {gram for gram in ngram.log_probs if len(gram) < ngram.order}
    contexts |= {c[place:] for c in contexts for place in range(len(c))}
    contexts = {c for c in contexts if all(s in numbers or s == START for s in c)}
    start = (START,) if ngram.order > 1 else ()
    _check_size(len(contexts) + 1, len(symbols))
    ordered = sorted({(), start, *contexts}, key=len)
    places = {context: place for place, context in enumerate(ordered)}
    next_states = np.zeros((len(ordered), len(symbols)), np.int32)
    scores = np.zeros(next_states.shape, np.float32)
    # Shorter contexts come first, so that longer ones start from what they back off to.
    scores[0] = [ngram.log_prob((), symbol) for symbol in symbols]
    for context, place in places.items():
        if context:
            shorter = places[context[1:]]
            scores[place] = scores[shorter] + ngram.backoffs.get(context, 0.0)
            next_states[place] = next_states[shorter]
        for symbol, number in numbers.items():
            longer = (*context, symbol)
            if longer in ngram.log_probs:
                scores[place, number] = ngram.log_probs[longer]
            if longer in places:
                next_states[place, number] = places[longer]
    finals = np.array([ngram.log_prob(c, END) for c in ordered], np.float32)
    return _started(Acceptor(next_states, scores, finals), places[start])


def with_lexicon(
    acceptor: Acceptor, symbols: Sequence[str], words: Sequence[str]
) -> Acceptor:
    """Restricts an automaton of characters to the words of a lexicon.

    Args:
        acceptor: Over the characters.
        symbols: The characters by number, a space among them.
        words: At least one.

    Raises:
        TextError: A word, or the space between two, is not of these characters, or the
            automaton is too large.
    """
    numbers = {symbol: number for number, symbol in enumerate(symbols)}
    unknown = sorted({_SPACE, *"".join(words)} - numbers.keys())
    if unknown:
        raise TextError(
            f"the lexicon needs {unknown[0]!r}, which the recogniser does not write"
        )
    space = numbers[_SPACE]
    children: list[dict[int, int]] = [{}]
    is_word = {0}  # Also no word at all, for an empty text.
    for word in words:
        node = 0
        for character in word:
            node = children[node].setdefault(numbers[character], len(children))
            if node == len(children):
                children.append({})
        is_word.add(node)
    # Pairs of states of the automaton and nodes of the tree, as they are reached.
    places = {(0, 0): 0}
    waiting = collections.deque(places)
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    finals = []
    while waiting:
        _check_size(len(places), len(symbols))
        state, node = waiting.popleft()
        followers = dict(children[node])
        if node and node in is_word:
            followers[space] = 0
        states = np.zeros(len(symbols), np.int32)
        scores = np.full(len(symbols), LOG_ZERO, np.float32)
        for number, follower in followers.items():
            pair = (int(acceptor.next_states[state, number]), follower)
            if pair not in places:
                places[pair] = len(places)
                waiting.append(pair)
            states[number] = places[pair]
            scores[number] = acceptor.scores[state, number]
        rows.append((states, scores))
        finals.append(acceptor.final_scores[state] if node in is_word else LOG_ZERO)
    next_states, scores = (np.stack(tables) for tables in zip(*rows, strict=True))
    return Acceptor(next_states, scores, np.array(finals, np.float32))


def _started(acceptor: Acceptor, start: int) -> Acceptor:
    """Makes another state of an automaton its state 0."""
    order = np.arange(len(acceptor.next_states))
    order[[0, start]] = [start, 0]
    # An exchange is its own inverse.
    return Acceptor(
        order[acceptor.next_states[order]].astype(np.int32),
        acceptor.scores[order],
        acceptor.final_scores[order],
    )


def _check_size(states: int, symbols: int) -> None:
    if states * symbols > MAX_ENTRIES:
        raise TextError(
            f"a language model of {states:,} contexts and more, each with {symbols} "
            f"symbols, is beyond {MAX_ENTRIES:,} scores: use a smaller --order, or "
            "less text"
        )
