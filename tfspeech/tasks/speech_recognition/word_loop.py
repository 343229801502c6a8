"""The words of hidden Markov models: their pronunciations, and a bigram of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from models.word_search import WordLoop
from tfspeech.errors import TextError
from tfspeech.tasks.alignment.states import PAUSE_STATES, STATES_PER_UNIT
from tfspeech.tasks.alignment.text import PAUSE_UNIT, pronounce, unit_numbers
from tfspeech.text.lexicon import pronunciations
from tfspeech.text.ngram import END, START, UNKNOWN, NGram
from tfspeech.text.normalize import normalize
from tfspeech.text.phonemes import WORD

MAX_ORDER = 2


@functools.cache
def pronounced(words: tuple[str, ...]) -> list[list[np.ndarray]]:
    """Returns the ways in which eSpeak NG says words, alone and before others.

    Returns:
        The numbers in `UNITS` of the phonemes of each pronunciation of each word.

    Raises:
        TextError: A word cannot be said.
    """
    normal = [normalize(word) for word in words]
    known = pronunciations(text for text in normal if WORD.fullmatch(text))
    found = []
    for word, text in zip(words, normal, strict=True):
        if text in known:
            # Stress makes no other units.
            forms = dict.fromkeys(tuple(unit_numbers(f)) for f in known[text])
            found.append([np.array(form) for form in forms])
        else:
            units = pronounce(word).units
            found.append([units[units != PAUSE_UNIT]])
    return found


def word_loop(words: Sequence[str], ngram: NGram | None = None) -> WordLoop:
    """Returns the words as a search takes them.

    Args:
        words: By number.
        ngram: Of one or two words; None where all words are equally probable.

    Raises:
        TextError: A word cannot be said, or the n-gram has too long a context or lacks
            a word.
    """
    said = [
        (n, units)
        for n, forms in enumerate(pronounced(tuple(words)))
        for units in forms
    ]
    owners = np.array([number for number, _ in said], np.int32)
    states = [
        unit * STATES_PER_UNIT + place
        for _, units in said
        for unit in units.tolist()
        for place in range(STATES_PER_UNIT)
    ]
    lengths = [STATES_PER_UNIT * len(units) for _, units in said]
    count = len(said)
    uniform = np.full(count, -np.log(max(len(words), 1)), np.float32)
    nothing = np.zeros(count + 1, np.float32)
    scores = (uniform, nothing, nothing, *_arcs([], [], []))
    if ngram:
        scores = _scores(words, owners, ngram)
    return WordLoop(
        owners,
        np.array(lengths, np.int32),
        np.array(states, np.int32),
        np.array(PAUSE_STATES, np.int32),
        *scores,
    )


def _scores(
    words: Sequence[str], owners: np.ndarray, ngram: NGram
) -> tuple[np.ndarray, ...]:
    """The fields of `WordLoop` that an n-gram tells; `owners` are its `words`."""
    if ngram.order > MAX_ORDER:
        raise TextError(
            "the search with hidden Markov models takes n-grams of one or two words. "
            f"Received: {ngram.order}; use --order {MAX_ORDER}"
        )
    missing = [word for word in words if (word,) not in ngram.log_probs]
    if missing and (UNKNOWN,) not in ngram.log_probs:
        raise TextError(
            f"the language model knows neither {missing[0]!r} nor {UNKNOWN}: it must "
            "be over the words that the recogniser writes"
        )
    start = len(owners)
    contexts = [words[number] for number in owners] + [START]
    places: dict[str, list[int]] = {}
    for place, word in enumerate(contexts):
        places.setdefault(word, []).append(place)
    sources, targets, bigrams = [], [], []
    for gram, value in ngram.log_probs.items():
        if len(gram) == 2 and gram[1] != END:
            for source in places.get(gram[0], ()):
                for target in places.get(gram[1], ()):
                    sources.append(source)
                    targets.append(target)
                    bigrams.append(value)
    return (
        np.array([ngram.log_prob((), w) for w in contexts[:start]], np.float32),
        np.array([ngram.backoffs.get((w,), 0.0) for w in contexts], np.float32),
        np.array([ngram.log_prob((w,), END) for w in contexts], np.float32),
        *_arcs(sources, targets, bigrams),
    )


def _arcs(
    sources: list[int], targets: list[int], bigrams: list[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array(sources, np.int32),
        np.array(targets, np.int32),
        np.array(bigrams, np.float32),
    )
