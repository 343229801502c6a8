import itertools

import numpy as np
import pytest
import tensorflow as tf

from models import HybridRecognizer, HybridRecognizerConfig
from models.word_search import WordLoop, WordSearch

PAUSE = (0, 1)
FORMS = ((0, (2, 3)), (1, (4, 5, 2, 3)), (1, (2, 5)))
"""The word and the states of every pronunciation."""
STATES = 6
SMALL = HybridRecognizerConfig(units=2, layers=1, conv_filters=2, conv_strides=(1,))


@pytest.fixture(scope="module")
def search():
    """A search for words with a bigram at random, and what its parts are."""
    rng = np.random.default_rng(0)
    unigrams = rng.normal(-1.5, 0.5, 3).astype("f4")
    backoffs = rng.normal(-1.0, 2.0, 4).astype("f4")
    finals = rng.normal(-1.0, 0.5, 4).astype("f4")
    seen = {(3, 0): -0.3, (0, 1): -0.2, (0, 2): -0.9, (2, 2): -0.4}
    sources, targets = np.array([*seen], "i4").T
    loop = WordLoop(
        np.array([word for word, _ in FORMS], "i4"),
        np.array([len(states) for _, states in FORMS], "i4"),
        np.array([state for _, states in FORMS for state in states], "i4"),
        np.array(PAUSE, "i4"),
        *(unigrams, backoffs, finals, sources, targets),
        np.array([*seen.values()], "f4"),
    )
    model = HybridRecognizer(SMALL, 1, STATES)
    model.set_priors(np.arange(STATES))
    search = WordSearch(loop, model)
    search.prior_scale.assign(0.7)
    search.weight.assign(1.4)
    search.bonus.assign(0.3)
    return search, tf.function(search.with_confidences, autograph=False), seen


def paths(states, frames):
    """All ways through a chain that begin in its first and end in its last two."""
    for steps in itertools.product(range(3), repeat=frames - 1):
        places = np.cumsum([0, *steps])
        if len(states) - 2 <= places[-1] < len(states):
            yield [states[place] for place in places]


def best_of_chain(states, scores):
    """The best way through a chain; None where there is no way."""
    ways = [sum(scores[range(len(way)), way]) for way in paths(states, len(scores))]
    return max(ways, default=None)


def best_text(search, seen, scores):
    """The best score of all sequences of pronunciations, pauses and their times."""
    loop, weight, bonus = search._loop, float(search.weight), float(search.bonus)
    best = (-np.inf, None)

    def extend(first, context, total, found):
        nonlocal best
        if first == len(scores):
            whole = total + weight * float(loop.finals[context])
            best = max(best, (whole, found), key=lambda each: each[0])
            return
        for end in range(first + 1, len(scores) + 1):
            if not found or found[-1][0] is not None:
                pause = best_of_chain(PAUSE, scores[first:end])
                if pause is not None:
                    extend(end, context, total + pause, (*found, (None, first, end)))
            for form, (_, states) in enumerate(FORMS):
                way = best_of_chain(states, scores[first:end])
                if way is not None:
                    gram = float(loop.unigrams[form]) + float(loop.backoffs[context])
                    gram = max(gram, seen.get((context, form), -np.inf))
                    gained = way + weight * gram + bonus
                    extend(end, form, total + gained, (*found, (form, first, end)))

    extend(0, len(FORMS), 0.0, ())
    return best


@pytest.mark.parametrize("seed", range(3))
def test_the_best_words_are_those_of_trying_all(search, seed):
    searching, read, seen = search
    logits = 1.5 * np.random.default_rng(seed).normal(size=(2, 5, STATES))
    logits = logits.astype("f4")
    lengths = [5, 3]
    symbols, _ = read(logits, tf.constant(lengths))
    for row, length in enumerate(lengths):
        scores = searching._model.log_likelihoods(logits[row, :length], 0.7).numpy()
        _, found = best_text(searching, seen, scores)
        words = [(FORMS[f][0], a, b) for f, a, b in found if f is not None]
        rows = (ragged[row].numpy().tolist() for ragged in symbols)
        assert [*zip(*rows, strict=True)] == words


def test_confidence_compares_the_path_with_the_best_states(search):
    searching, read, seen = search
    logits = np.random.default_rng(0).normal(size=(1, 4, STATES)).astype("f4")
    scores = searching._model.log_likelihoods(logits[0], 0.7).numpy()
    total, _ = best_text(searching, seen, scores)
    wanted = np.exp(min((total - scores.max(1).sum()) / 4, 0))
    np.testing.assert_allclose(read(logits, tf.constant([4]))[1], [wanted], rtol=1e-4)


def test_padding_and_neighbours_change_nothing(search):
    _, read, _ = search
    logits = 2 * np.random.default_rng(3).normal(size=(3, 12, STATES)).astype("f4")
    lengths = tf.constant([12, 1, 7])
    together, sure = read(logits, lengths)
    for row, length in enumerate(lengths):
        alone, own = read(logits[row : row + 1, :length], length[tf.newaxis])
        assert [each.to_list() for each in alone] == [
            [each[row].numpy().tolist()] for each in together
        ]
        np.testing.assert_allclose(own[0], sure[row], rtol=1e-4)


def test_priors_divide_posteriors():
    model = HybridRecognizer(SMALL, 1, STATES)
    logits = np.random.default_rng(0).normal(size=(2, STATES)).astype("f4")
    counts = np.array([9, 0, 4, 1, 0, 0])
    model.set_priors(counts)
    posteriors = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    priors = (counts + 1) / (counts + 1).sum()
    np.testing.assert_allclose(
        model.log_likelihoods(logits, 0.5), np.log(posteriors / priors**0.5), rtol=1e-5
    )
