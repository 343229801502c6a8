"""Prefix beam search for CTC under a weighted automaton, such as a language model.

Of every text that is kept, the probabilities of the paths that end in a blank and of
those that end in its last symbol are summed apart, so that texts rather than paths
compete. Source: Hannun et al. 2014, "First-pass large vocabulary continuous speech
recognition using bi-directional recurrent DNNs", algorithm 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from models.ctc import BLANK, Symbols
from models.layers.random import fold_in
from models.trellis import LOG_ZERO

_ROOT, _NO_PARENT = 1, 0
"""Hashes of the empty text and of what it would continue."""


class Acceptor(NamedTuple):
    """A deterministic weighted automaton, which reads texts from its state 0 on.

    Attributes:
        next_states: State and symbol to state, int32 [states, symbols].
        scores: Of each symbol in each state, in nats, float32 [states, symbols];
            `LOG_ZERO` where none may follow.
        final_scores: Of a text that ends in each state, likewise, float32 [states].
    """

    next_states: np.ndarray | tf.Tensor
    scores: np.ndarray | tf.Tensor
    final_scores: np.ndarray | tf.Tensor


class _Beam(NamedTuple):
    """The texts that are kept, all [batch, width].

    Attributes:
        text: Hash of each, int64.
        parent: Hash of the text without the last symbol, int64.
        last: The last symbol, int32, -1 for none.
        state: Of the acceptor, int32.
        in_blank: Logarithm of the probability of paths that end in a blank, float32.
        in_symbol: Of those that end in the last symbol, float32.
        language: Weighted score of the acceptor with the bonus, float32.
        origin: The place of each text, or of its parent, a frame ago, int32.
        added: The symbol that the frame has added, int32, -1 for none.
    """

    text: tf.Tensor
    parent: tf.Tensor
    last: tf.Tensor
    state: tf.Tensor
    in_blank: tf.Tensor
    in_symbol: tf.Tensor
    language: tf.Tensor
    origin: tf.Tensor
    added: tf.Tensor


class BeamSearch(tf.Module):
    """Search for the text of the highest score.

    The score is log P(text | frames) + weight * log P(text) + bonus * symbols, with
    P(text) of the acceptor. Its tables are variables, so that exports carry them once.

    Args of the constructor:
        acceptor: Over the model's symbols.
        width: How many texts are kept at every frame.

    Attributes:
        weight: Of the acceptor, a float32 variable.
        bonus: For every symbol, in nats, a float32 variable.
    """

    def __init__(self, acceptor: Acceptor, width: int) -> None:
        super().__init__(name="beam_search")
        self._acceptor = Acceptor(*(tf.Variable(t, trainable=False) for t in acceptor))
        self._width = width
        self.weight = tf.Variable(1.0, trainable=False)
        self.bonus = tf.Variable(0.0, trainable=False)

    def __call__(self, logits: tf.Tensor, lengths: tf.Tensor) -> Symbols:
        """Reads the best text.

        Args:
            logits: float32 [batch, frames, symbols + 1]; the last class is the blank.
            lengths: int32 [batch], in frames.

        Returns:
            Its symbols, each with the frame where the search has added it.
        """
        frames = tf.transpose(tf.nn.log_softmax(logits), [1, 0, 2])
        times = tf.range(tf.shape(frames)[0])

        def advance(beam: _Beam, inputs: tuple[tf.Tensor, tf.Tensor]) -> _Beam:
            frame, time = inputs
            ahead = (time < lengths)[:, tf.newaxis]
            pairs = zip(self._advanced(beam, frame), self._kept(beam), strict=True)
            return _Beam(*(tf.where(ahead, new, old) for new, old in pairs))

        beams = tf.scan(advance, (frames, times), self._first(tf.shape(logits)[0]))
        last = _Beam(*(field[-1] for field in beams))
        ends = tf.gather(self._acceptor.final_scores, last.state)
        totals = _total(last) + last.language + self._weighted(ends)
        best = tf.argmax(totals, axis=1, output_type=tf.int32)

        def trace(
            place: tuple[tf.Tensor, tf.Tensor], step: tuple[tf.Tensor, tf.Tensor]
        ) -> tuple[tf.Tensor, ...]:
            return tuple(tf.gather(table, place[0], batch_dims=1) for table in step)

        steps = (beams.origin, beams.added)
        _, added = tf.scan(trace, steps, (best, best), reverse=True)
        added = tf.transpose(added)
        is_added = added >= 0
        starts = tf.ragged.boolean_mask(tf.zeros_like(added) + times, is_added)
        return Symbols(tf.ragged.boolean_mask(added, is_added), starts, starts + 1)

    def _first(self, batch: tf.Tensor) -> _Beam:
        """The empty text; the other places of the beam are impossible."""

        def filled(first: float, others: float, dtype: tf.DType) -> tf.Tensor:
            row = [first] + [others] * (self._width - 1)
            return tf.tile(tf.constant([row], dtype), [batch, 1])

        impossible = filled(LOG_ZERO, LOG_ZERO, tf.float32)
        nothing = filled(-1, -1, tf.int32)
        return self._kept(
            _Beam(
                text=filled(_ROOT, _NO_PARENT, tf.int64),
                parent=filled(_NO_PARENT, _NO_PARENT, tf.int64),
                last=nothing,
                state=filled(0, 0, tf.int32),
                in_blank=filled(0.0, LOG_ZERO, tf.float32),
                in_symbol=impossible,
                language=filled(0.0, 0.0, tf.float32),
                origin=nothing,
                added=nothing,
            )
        )

    def _kept(self, beam: _Beam) -> _Beam:
        """The beam behind the end of an utterance, where nothing changes."""
        places = tf.zeros_like(beam.origin) + tf.range(self._width)
        return beam._replace(origin=places, added=tf.fill(tf.shape(places), -1))

    def _weighted(self, scores: tf.Tensor) -> tf.Tensor:
        """Scores of the acceptor as they count: what is impossible stays so."""
        return tf.where(scores <= LOG_ZERO, LOG_ZERO, self.weight * scores)

    def _advanced(self, beam: _Beam, frame: tf.Tensor) -> _Beam:
        """The best texts after a frame of log-probabilities [batch, symbols + 1]."""
        blank, scores = frame[:, BLANK, tf.newaxis], frame[:, :BLANK]
        symbols = scores.shape[1]
        some = tf.maximum(beam.last, 0)
        total = _total(beam)
        # As they are: with a blank, or with the last symbol once more.
        again = tf.gather(scores, some, batch_dims=1)
        in_symbol = tf.where(beam.last >= 0, beam.in_symbol + again, LOG_ZERO)
        # With a symbol more; after the same symbol a blank must have been between.
        is_last = tf.one_hot(beam.last, symbols)
        before = tf.where(
            is_last > 0, beam.in_blank[:, :, tf.newaxis], total[:, :, tf.newaxis]
        )
        longer = before + scores[:, tf.newaxis]
        # A text that grows into another one of the beam is counted there.
        is_parent = beam.parent[:, :, tf.newaxis] == beam.text[:, tf.newaxis]
        is_parent &= beam.last[:, :, tf.newaxis] >= 0
        grown = tf.gather(tf.transpose(longer, [0, 2, 1]), some, batch_dims=1)
        grown = tf.reduce_max(tf.where(is_parent, grown, LOG_ZERO), axis=2)
        in_symbol = _log_add(in_symbol, grown)
        is_parent = tf.cast(is_parent, tf.float32)
        counted = tf.matmul(is_parent, is_last, transpose_a=True) > 0
        longer = tf.where(counted, LOG_ZERO, longer)
        gained = self._weighted(tf.gather(self._acceptor.scores, beam.state))
        language = beam.language[:, :, tf.newaxis] + gained + self.bonus
        staying = _log_add(total + blank, in_symbol) + beam.language
        ranks = _with_longer(staying, longer + language)
        chosen = tf.math.top_k(ranks, self._width).indices
        stays = chosen < self._width
        added = tf.maximum(chosen - self._width, 0)
        origin = tf.where(stays, chosen, added // symbols)
        added = tf.where(stays, -1, added % symbols)

        def pick(staying: tf.Tensor, longer: tf.Tensor) -> tf.Tensor:
            return tf.gather(_with_longer(staying, longer), chosen, batch_dims=1)

        def of_origin(values: tf.Tensor) -> tf.Tensor:
            return tf.gather(values, origin, batch_dims=1)

        text = of_origin(beam.text)
        return _Beam(
            text=tf.where(stays, text, fold_in(text, added + 1)),
            parent=tf.where(stays, of_origin(beam.parent), text),
            last=tf.where(stays, of_origin(beam.last), added),
            state=pick(beam.state, tf.gather(self._acceptor.next_states, beam.state)),
            in_blank=tf.where(stays, of_origin(total + blank), LOG_ZERO),
            in_symbol=pick(in_symbol, longer),
            language=pick(beam.language, language),
            origin=origin,
            added=added,
        )


def _total(beam: _Beam) -> tf.Tensor:
    """Logarithms of the probabilities of texts, over all their paths."""
    return _log_add(beam.in_blank, beam.in_symbol)


def _log_add(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """The logarithm of the sum of what two tensors are the logarithms of."""
    return tf.maximum(one, other) + tf.math.log1p(tf.exp(-tf.abs(one - other)))


def _with_longer(staying: tf.Tensor, longer: tf.Tensor) -> tf.Tensor:
    """Values of texts as they are, [batch, width], before those of longer ones."""
    batch = tf.shape(staying)[0]
    return tf.concat([staying, tf.reshape(longer, [batch, -1])], axis=1)
