"""The place of the blank, the loss, and what frames read as."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from models.ctc import (
    BLANK,
    ctc_losses,
    log_probabilities,
    read_best_path,
    required_frames,
)

SYMBOLS = 3
FRAMES = 5


def read(path):
    """The reading of a path, by the definition; the last class is the blank."""
    merged = [symbol for symbol, _ in itertools.groupby(path)]
    return tuple(symbol for symbol in merged if symbol != SYMBOLS)


@pytest.fixture
def logits():
    rng = np.random.default_rng(0)
    return tf.constant(rng.normal(size=(4, FRAMES, SYMBOLS + 1)), tf.float32)


def probability(logits, frames, symbols):
    """Of a text, summed over all its paths."""
    shares = tf.nn.softmax(logits[:frames]).numpy()
    return sum(
        np.prod([shares[t, c] for t, c in enumerate(path)])
        for path in itertools.product(range(SYMBOLS + 1), repeat=frames)
        if read(path) == tuple(symbols)
    )


def test_the_loss_is_that_of_all_paths(logits):
    symbols = tf.constant([[0, 2, -1], [1, 1, -1], [2, 0, 1], [2, -1, -1]])
    counts, lengths = tf.constant([2, 2, 3, 1]), tf.constant([5, 4, 3, 1])
    losses, fits = ctc_losses(logits, lengths, symbols, counts)
    assert fits.numpy().all()
    for row in range(4):
        wanted = probability(logits[row], lengths[row], symbols[row, : counts[row]])
        assert np.exp(-losses[row]) == pytest.approx(wanted, rel=1e-4)


def test_what_does_not_fit_has_neither_loss_nor_gradient(logits):
    symbols = tf.constant([[0, 0, 0]] * 3 + [[0, 1, 0]])
    counts, lengths = tf.fill([4], 3), tf.constant([5, 4, 1, 3])
    assert required_frames(symbols, counts).numpy().tolist() == [5, 5, 5, 3]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses, fits = tf.function(ctc_losses)(logits, lengths, symbols, counts)
        total = tf.reduce_sum(losses)
    assert fits.numpy().tolist() == [True, False, False, True]
    gradient = np.abs(tape.gradient(total, logits)).sum((1, 2))
    np.testing.assert_array_equal(losses.numpy() > 0, fits)
    np.testing.assert_array_equal(gradient > 0, fits)


def test_frames_are_counted_for_valid_symbols_alone():
    symbols = tf.constant([[1, 1, 1, 1], [1, 1, 2, 2]])
    found = required_frames(symbols, tf.constant([2, 3]))
    assert found.numpy().tolist() == [3, 4]


def test_the_best_path_reads_as_the_definition_says(logits):
    lengths = tf.constant([5, 3, 1, 0])
    found = read_best_path(logits, lengths)
    for row, length in enumerate(lengths):
        path = logits[row, :length].numpy().argmax(axis=1)
        assert tuple(found.numbers[row].numpy()) == read(path)
        spans = zip(found.starts[row].numpy(), found.ends[row].numpy(), strict=True)
        for number, (start, end) in zip(found.numbers[row].numpy(), spans, strict=True):
            assert (path[start:end] == number).all()
            assert start == 0 or path[start - 1] != number
            assert end == length or path[end] != number


def test_loss_greedy_and_beam_have_the_blank_in_one_place(logits):
    lengths = tf.fill([4], FRAMES)
    time_major = tf.transpose(logits, [1, 0, 2])
    (greedy,), _ = tf.nn.ctc_greedy_decoder(time_major, lengths, blank_index=BLANK)
    greedy = tf.RaggedTensor.from_sparse(greedy)
    assert read_best_path(logits, lengths).numbers.to_list() == greedy.to_list()
    beams, scores = tf.nn.ctc_beam_search_decoder(time_major, lengths, 500, 3)
    for place, beam in enumerate(beams):
        numbers = tf.cast(tf.RaggedTensor.from_sparse(beam), tf.int32)
        found = log_probabilities(logits, lengths, numbers)
        np.testing.assert_allclose(found, scores[:, place], rtol=1e-4)


def test_probabilities_are_those_of_the_loss_and_of_silence(logits):
    lengths = tf.constant([5, 4, 3, 2])
    numbers = tf.ragged.constant([[0, 2], [1, 1], [], [2]], tf.int32)
    found = np.exp(tf.function(log_probabilities)(logits, lengths, numbers))
    for row, text in enumerate(numbers.to_list()):
        wanted = probability(logits[row], lengths[row], text)
        assert found[row] == pytest.approx(wanted, rel=1e-4)
