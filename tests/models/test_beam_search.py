"""The prefix beam search against a sum over all paths of all texts."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from models.beam_search import Acceptor, BeamSearch
from models.ctc import log_probabilities, read_best_path
from models.trellis import LOG_ZERO

SYMBOLS, FRAMES, ROWS = 3, 4, 6
EVERY_TEXT = [
    text
    for length in range(FRAMES + 1)
    for text in itertools.product(range(SYMBOLS), repeat=length)
]


@pytest.fixture
def logits():
    rng = np.random.default_rng(0)
    return tf.constant(rng.normal(size=(ROWS, FRAMES, SYMBOLS + 1)), tf.float32)


@pytest.fixture
def acceptor():
    """An automaton that forbids symbol 2 after symbol 1, and to end in state 2."""
    rng = np.random.default_rng(1)
    scores = rng.normal(-1.0, 1.0, (3, SYMBOLS)).astype(np.float32)
    scores[1, 2] = LOG_ZERO
    states = np.array([[0, 1, 2]] * 3, np.int32)
    return Acceptor(states, scores, np.array([-0.5, -2.0, LOG_ZERO], np.float32))


def free_acceptor():
    zeros = np.zeros((1, SYMBOLS), np.float32)
    return Acceptor(zeros.astype(np.int32), zeros, zeros[0, :1])


def language_score(acceptor, text):
    state, score = 0, 0.0
    for symbol in text:
        score += max(acceptor.scores[state, symbol], LOG_ZERO)
        state = acceptor.next_states[state, symbol]
    return score + acceptor.final_scores[state]


def best_text(logits, length, acceptor, weight, bonus):
    """By the definition, over every text that the frames can read as."""
    texts = tf.ragged.constant([list(t) for t in EVERY_TEXT], tf.int32)
    count = len(EVERY_TEXT)
    acoustic = log_probabilities(
        tf.repeat(logits[tf.newaxis], count, axis=0), tf.fill([count], length), texts
    ).numpy()
    language = np.array([language_score(acceptor, text) for text in EVERY_TEXT])
    scores = acoustic + weight * language
    scores += [bonus * len(text) for text in EVERY_TEXT]
    possible = (acoustic > LOG_ZERO / 2) & (language > LOG_ZERO / 2)
    return list(EVERY_TEXT[np.argmax(np.where(possible, scores, -np.inf))])


@pytest.mark.parametrize(("weight", "bonus"), [(0.0, 0.0), (1.0, 0.0), (0.7, 1.5)])
def test_the_best_text_is_that_of_all_paths(logits, acceptor, weight, bonus):
    search = BeamSearch(acceptor, len(EVERY_TEXT))
    search.weight.assign(weight)
    search.bonus.assign(bonus)
    lengths = tf.constant([4, 4, 4, 3, 2, 1])
    found = tf.function(search, autograph=False)(logits, lengths)
    for row in range(ROWS):
        wanted = best_text(logits[row], int(lengths[row]), acceptor, weight, bonus)
        assert found.numbers[row].numpy().tolist() == wanted


def test_without_language_model_it_is_that_of_tensorflow():
    rng = np.random.default_rng(2)
    logits = tf.constant(2 * rng.normal(size=(8, 30, SYMBOLS + 1)), tf.float32)
    lengths = tf.constant([30, 30, 30, 30, 20, 10, 5, 1])
    found = BeamSearch(free_acceptor(), 12)(logits, lengths)
    (beams,), _ = tf.nn.ctc_beam_search_decoder(
        tf.transpose(logits, [1, 0, 2]), lengths, 12, 1
    )
    assert found.numbers.to_list() == tf.RaggedTensor.from_sparse(beams).to_list()
    assert found.numbers.to_list() != read_best_path(logits, lengths).numbers.to_list()


def test_symbols_have_frames_in_order_and_padding_none(logits):
    lengths = tf.constant([4, 4, 4, 2, 1, 0])
    found = BeamSearch(free_acceptor(), 8)(logits, lengths)
    for row, length in enumerate(lengths.numpy()):
        starts = found.starts[row].numpy()
        assert (np.diff(starts) > 0).all()
        assert (starts < length).all()
    noise = tf.where(tf.sequence_mask(lengths, FRAMES)[:, :, tf.newaxis], logits, 9.0)
    padded = tf.pad(noise, [[0, 0], [0, 3], [0, 0]], constant_values=5.0)
    again = BeamSearch(free_acceptor(), 8)(padded, lengths)
    assert again.numbers.to_list() == found.numbers.to_list()
