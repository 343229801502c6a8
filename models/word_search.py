"""Viterbi search for the best words of a loop, each a chain of states.

Words follow one another, with pauses or without, as a bigram says. Every word is a
left-to-right chain that may skip a state (Bakis), at no cost, so that a state lasts one
frame or more and half of them may have none. All words are kept at all frames: with a
bigram what follows depends on the last word alone, and the search is exact. Source:
Ney 1984, "The use of a one-stage dynamic programming algorithm for connected word
recognition"; bigrams that were never seen go through one place for all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from models.ctc import Symbols
from models.state_posteriors import StatePosteriors
from models.trellis import LOG_ZERO

_NONE = -1


class WordLoop(NamedTuple):
    """Pronunciations of words, and the probabilities of one after another.

    A context is what came last: a pronunciation or, the last of them, the start.

    Attributes:
        words: The number of the word of each pronunciation, int32 [pronunciations].
        lengths: Its states, at least one, int32 [pronunciations].
        states: Those of all, one pronunciation after the other, int32 [positions].
        pause: The states of a pause, one after the other, int32 [pause states].
        unigrams: Log-probabilities where there is no bigram, float32 [pronunciations].
        backoffs: Added to them after each context, float32 [contexts].
        finals: Log-probabilities of the end after each context, float32 [contexts].
        sources: The contexts of the bigrams, int32 [bigrams].
        targets: Their pronunciations, int32 [bigrams].
        bigrams: Their log-probabilities, float32 [bigrams].
    """

    words: np.ndarray
    lengths: np.ndarray
    states: np.ndarray
    pause: np.ndarray
    unigrams: np.ndarray
    backoffs: np.ndarray
    finals: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    bigrams: np.ndarray


class _Paths(NamedTuple):
    """The best paths to every place, [places, batch].

    Attributes:
        words: Scores at the positions of words, float32.
        since: The frames in which these words began, int32.
        pauses: Scores in pauses, float32 [pause states, contexts, batch].
        pauses_since: The frames in which these pauses began, int32.
        word_ends: Scores of contexts that end here without a pause, float32.
        ends: The same, with a pause or without.
    """

    words: tf.Tensor
    since: tf.Tensor
    pauses: tf.Tensor
    pauses_since: tf.Tensor
    word_ends: tf.Tensor
    ends: tf.Tensor


class _Record(NamedTuple):
    """Of every frame, what traces paths back, int32 [frames, places, batch].

    Attributes:
        before: The context before each pronunciation that would begin there.
        began: The frame in which a pronunciation that ends there has begun.
        paused: The frame in which the pause that ends there has begun, -1 for none, of
            contexts.
    """

    before: tf.Tensor
    began: tf.Tensor
    paused: tf.Tensor


class WordSearch(tf.Module):
    """Search for the words of the highest score.

    The score of a path is the sum of the log-likelihoods of its states, weight * log
    P(words) and bonus * words.

    Args of the constructor:
        loop: The words.
        model: Whose logits are read, for its priors.

    Attributes:
        prior_scale: How much the priors of states count, a float32 variable.
        weight: Of the bigram, a float32 variable.
        bonus: For every word, in nats, a float32 variable; below 0 a penalty.
    """

    def __init__(self, loop: WordLoop, model: StatePosteriors) -> None:
        super().__init__(name="word_search")
        self._model = model
        self._loop = WordLoop(*map(tf.constant, loop))
        self._sizes = len(loop.words), len(loop.states), len(loop.pause)
        firsts = np.cumsum(loop.lengths) - loop.lengths
        place = np.arange(len(loop.states)) - np.repeat(firsts, loop.lengths)
        lasts = firsts + loop.lengths - 1
        self._first = tf.constant(place == 0)
        # Not from the word that lies before.
        self._moves = [
            tf.constant(np.where(place < step, LOG_ZERO, 0.0)[:, None], tf.float32)
            for step in (1, 2)
        ]
        owners = np.repeat(np.arange(len(firsts)), loop.lengths)
        self._owners = tf.constant(owners, tf.int32)
        ends = np.stack([lasts, np.maximum(lasts - 1, firsts)])
        self._ends = tf.constant(ends, tf.int32)
        self.prior_scale = tf.Variable(1.0, trainable=False)
        self.weight = tf.Variable(1.0, trainable=False)
        self.bonus = tf.Variable(0.0, trainable=False)

    def __call__(self, logits: tf.Tensor, lengths: tf.Tensor) -> Symbols:
        """Reads the best words.

        Args:
            logits: float32 [batch, frames, states].
            lengths: int32 [batch], in frames, at least one.

        Returns:
            Them, with their first frames and the frames behind their last.
        """
        return self.with_confidences(logits, lengths)[0]

    def with_confidences(
        self, logits: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[Symbols, tf.Tensor]:
        """Reads the best words, and says how sure they are.

        Args:
            logits: See `__call__`.
            lengths: Likewise.

        Returns:
            What `__call__` returns; and the mean over the frames, on a logarithmic
            scale, of how likely the best path is in comparison with the best state of
            each frame, in [0, 1], float32 [batch]. Source: Bourlard et al. 1994,
            "Optimizing recognition and rejection performance in wordspotting systems".
        """
        scores = self._model.log_likelihoods(logits, self.prior_scale)
        inside = tf.sequence_mask(lengths, tf.shape(scores)[1])
        best = tf.reduce_sum(tf.where(inside, tf.reduce_max(scores, 2), 0.0), axis=1)
        total, last, record = self._forward(tf.transpose(scores, [1, 2, 0]), lengths)
        mean = (total - best) / tf.cast(lengths, tf.float32)
        return self._trace(last, lengths, record), tf.exp(tf.minimum(mean, 0.0))

    def _forward(
        self, frames: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, _Record]:
        """Finds the best paths through [frames, states, batch].

        Returns:
            The score of the best path, float32 [batch], its last context, int32
            [batch], and what traces it back.
        """
        count = tf.shape(frames)[0]
        size = tf.shape(frames)[2]
        finals = self.weight * self._loop.finals[:, tf.newaxis]

        def step(
            time: tf.Tensor,
            paths: _Paths,
            total: tf.Tensor,
            last: tf.Tensor,
            records: _Record,
        ) -> tuple[tf.Tensor, ...]:
            paths, *found = self._advanced(paths, frames[time], time)
            written = zip(records, found, strict=True)
            records = _Record(*(array.write(time, each) for array, each in written))
            whole = paths.ends + finals
            is_last = time == lengths - 1
            total = tf.where(is_last, tf.reduce_max(whole, axis=0), total)
            chosen = tf.argmax(whole, axis=0, output_type=tf.int32)
            return time + 1, paths, total, tf.where(is_last, chosen, last), records

        places = self._sizes[0], self._sizes[0], self._sizes[0] + 1
        records = _Record(
            *(
                tf.TensorArray(tf.int32, count, element_shape=[each, None])
                for each in places
            )
        )
        nothing = tf.zeros([size]), tf.zeros([size], tf.int32)
        _, _, total, last, records = tf.while_loop(
            lambda time, *_: time < count,
            step,
            (tf.constant(0), self._start(size), *nothing, records),
        )
        return total, last, _Record(*(each.stack() for each in records))

    def _start(self, size: tf.Tensor) -> _Paths:
        """The paths before the first frame: only the start is possible."""
        words, positions, pauses = self._sizes

        def never(*shape: int) -> tf.Tensor:
            return tf.fill([*shape, size], LOG_ZERO)

        ends = tf.concat([never(words), tf.zeros([1, size])], axis=0)
        return _Paths(
            words=never(positions),
            since=tf.zeros([positions, size], tf.int32),
            pauses=never(pauses, words + 1),
            pauses_since=tf.zeros([pauses, words + 1, size], tf.int32),
            word_ends=ends,
            ends=ends,
        )

    def _advanced(
        self, paths: _Paths, frame: tf.Tensor, time: tf.Tensor
    ) -> tuple[_Paths, tf.Tensor, tf.Tensor, tf.Tensor]:
        """The paths after a frame [states, batch], and its part of `_Record`."""
        entering, before = self._entering(paths.ends)
        words, since = paths.words, paths.since
        for steps, allowed in enumerate(self._moves, start=1):
            moved = tf.roll(paths.words, steps, 0) + allowed
            since = tf.where(moved > words, tf.roll(paths.since, steps, 0), since)
            words = tf.maximum(moved, words)
        entering = tf.gather(entering, self._owners)
        begins = self._first[:, tf.newaxis] & (entering > words)
        since = tf.where(begins, time, since)
        words = tf.where(begins, entering, words)
        words += tf.gather(frame, self._loop.states)
        pauses, pauses_since = self._paused(paths, frame, time)
        one, other = (tf.gather(words, each) for each in tf.unstack(self._ends))
        ends_since = (tf.gather(since, each) for each in tf.unstack(self._ends))
        began = tf.where(one >= other, *ends_since)
        # The start ends at once, or after a pause.
        never = tf.fill([1, tf.shape(frame)[1]], LOG_ZERO)
        word_ends = tf.concat([tf.maximum(one, other), never], axis=0)
        last, earlier = self._sizes[2] - 1, max(self._sizes[2] - 2, 0)
        after_since = tf.where(
            pauses[last] >= pauses[earlier], pauses_since[last], pauses_since[earlier]
        )
        after = tf.maximum(pauses[last], pauses[earlier])
        paused = tf.where(after > word_ends, after_since, _NONE)
        ends = tf.maximum(word_ends, after)
        following = _Paths(words, since, pauses, pauses_since, word_ends, ends)
        return following, before, began, paused

    def _entering(self, ends: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores of pronunciations that begin behind contexts, and the best of these.

        Args:
            ends: Of the contexts, float32 [contexts, batch].

        Returns:
            float32 and int32 [pronunciations, batch].
        """
        loop, count = self._loop, self._sizes[0]
        backed_off = ends + self.weight * loop.backoffs[:, tf.newaxis]
        scores = self.weight * loop.unigrams[:, tf.newaxis]
        scores += tf.reduce_max(backed_off, axis=0)
        before = tf.argmax(backed_off, axis=0, output_type=tf.int32)
        seen = tf.gather(ends, loop.sources)
        seen += self.weight * loop.bigrams[:, tf.newaxis]
        best = tf.math.unsorted_segment_max(seen, loop.targets, count)
        is_best = seen == tf.gather(best, loop.targets)
        source = tf.where(is_best, loop.sources[:, tf.newaxis], _NONE)
        source = tf.math.unsorted_segment_max(source, loop.targets, count)
        before = tf.where(best > scores, source, before)
        return tf.maximum(scores, best) + self.bonus, before

    def _paused(
        self, paths: _Paths, frame: tf.Tensor, time: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores in the pauses after contexts, and when these began."""
        scores, since = [], []
        for place in range(self._sizes[2]):
            best, best_since = paths.pauses[place], paths.pauses_since[place]
            for source in range(max(place - 2, 0), place):
                other = paths.pauses[source]
                best_since = tf.where(
                    other > best, paths.pauses_since[source], best_since
                )
                best = tf.maximum(other, best)
            if place == 0:
                best_since = tf.where(paths.word_ends > best, time, best_since)
                best = tf.maximum(paths.word_ends, best)
            scores.append(best + tf.gather(frame, self._loop.pause[place]))
            since.append(best_since)
        return tf.stack(scores), tf.stack(since)

    def _trace(self, last: tf.Tensor, lengths: tf.Tensor, record: _Record) -> Symbols:
        """Traces the best paths back from their last contexts, int32 [batch]."""
        start, rows = self._sizes[0], tf.range(tf.size(last))

        def at(table: tf.Tensor, time: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
            return tf.gather_nd(table, tf.stack([time, place, rows], axis=1))

        def step(
            count: tf.Tensor, context: tf.Tensor, end: tf.Tensor, found: tf.TensorArray
        ) -> tuple[tf.Tensor, ...]:
            paused = at(record.paused, tf.maximum(end - 1, 0), context)
            end = tf.where((paused == _NONE) | (end == 0), end, paused)
            is_word = context < start
            place = tf.where(is_word, context, 0)
            began = at(record.began, tf.maximum(end - 1, 0), place)
            word = tf.where(is_word, tf.gather(self._loop.words, place), _NONE)
            found = found.write(count, tf.stack([word, began, end]))
            earlier = at(record.before, began, place)
            return (
                count + 1,
                tf.where(is_word, earlier, context),
                tf.where(is_word, began, end),
                found,
            )

        found = tf.TensorArray(
            tf.int32, 0, True, element_shape=[3, None], clear_after_read=False
        )
        *_, found = tf.while_loop(
            lambda count, context, *_: (count == 0) | tf.reduce_any(context < start),
            step,
            (tf.constant(0), last, lengths, found),
        )
        words, starts, ends = tf.unstack(tf.transpose(found.stack()[::-1], [1, 2, 0]))
        is_word = words != _NONE
        return Symbols(
            *(tf.ragged.boolean_mask(each, is_word) for each in (words, starts, ends))
        )
