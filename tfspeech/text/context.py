"""Where each symbol of an utterance stands: neighbours, syllables, words and phrases.

A word ends at any mark, a phrase at a mark of punctuation or at the end of the text. A
consonant belongs to the syllable of the next vowel of its word, or else of the last.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfspeech.text.front_end import END, TextConfig, TextFrontEnd
from tfspeech.text.phonemes import CONSONANTS, PHONEMES, STRESSES

SYMBOLS = TextFrontEnd(TextConfig(symbols="phonemes")).symbols
SPACE_ID, END_ID = SYMBOLS.index(" "), SYMBOLS.index(END)

# How a phrase ends; the last one of a text may end without any of these marks.
PHRASE_ENDS = {"full_stop": ".", "comma": ",:;", "question": "?", "exclamation": "!"}


def by_symbol(value: Callable[[str], float | tuple[float, ...]]) -> np.ndarray:
    """Returns the value of each symbol, float32 [symbols, ...]."""
    return np.array([value(symbol) for symbol in SYMBOLS], "f4")


def _flags(is_one: Callable[[str], bool]) -> np.ndarray:
    return by_symbol(is_one).astype(bool)


_IS_PHONEME = _flags(PHONEMES.__contains__)
_IS_VOWEL = _IS_PHONEME & ~_flags(CONSONANTS.__contains__)
_IS_PRIMARY = _flags(lambda symbol: symbol.startswith(STRESSES["'"]))
_IS_SECONDARY = _flags(lambda symbol: symbol.startswith(STRESSES[","]))
_IS_BREAK = _flags(lambda symbol: symbol in (END, *"".join(PHRASE_ENDS.values())))
_END_KINDS = {kind: _flags(list(s).__contains__) for kind, s in PHRASE_ENDS.items()}


class Places(NamedTuple):
    """For each symbol, another one of its utterance.

    Attributes:
        index: Which one, int32 [batch, segments].
        found: Whether there is one, bool [batch, segments].
    """

    index: tf.Tensor
    found: tf.Tensor

    def of(self, values: tf.Tensor, otherwise: float = 0) -> tf.Tensor:
        """Returns the values [batch, segments] of those others."""
        there = tf.gather(values, self.index, batch_dims=1)
        return tf.where(self.found, there, tf.cast(otherwise, there.dtype))


class Context:
    """Symbols of a batch of utterances, and their neighbours.

    What it computes is [batch, segments] and means nothing beyond the lengths.

    Args of the constructor:
        symbols: Segments, int32 [batch, segments] (see `encode_segments`).
        lengths: int32 [batch].
        durations: In frames, int32 [batch, segments]; None where they are unknown.

    Attributes:
        symbols, durations: The same, 0 beyond the lengths.
        valid: What is within the lengths, bool.
    """

    def __init__(
        self, symbols: tf.Tensor, lengths: tf.Tensor, durations: tf.Tensor | None
    ) -> None:
        self.valid = tf.sequence_mask(lengths, tf.shape(symbols)[1])
        self.symbols = tf.where(self.valid, symbols, 0)
        known = durations is not None
        self.durations = tf.where(self.valid, durations, 0) if known else None

    def table(self, values: np.ndarray) -> tf.Tensor:
        """Looks the symbols up in a table [symbols, ...]."""
        return tf.gather(values, self.symbols)

    @functools.cached_property
    def is_phoneme(self) -> tf.Tensor:
        """All symbols but marks."""
        return self.table(_IS_PHONEME)

    @functools.cached_property
    def is_vowel(self) -> tf.Tensor:
        """Vowels and syllabic consonants."""
        return self.table(_IS_VOWEL)

    @functools.cached_property
    def is_primary(self) -> tf.Tensor:
        """The vowels with primary stress."""
        return self.table(_IS_PRIMARY)

    @functools.cached_property
    def is_secondary(self) -> tf.Tensor:
        """The vowels with secondary stress."""
        return self.table(_IS_SECONDARY)

    @functools.cached_property
    def is_heard(self) -> tf.Tensor:
        """Possible neighbours: symbols that last, or all but the spaces inside."""
        if self.durations is not None:
            return self.durations > 0
        inside = tf.range(tf.shape(self.symbols)[1]) > 0
        return self.valid & ~((self.symbols == SPACE_ID) & inside)

    # Other symbols.

    def other(self, mask: tf.Tensor, distance: int) -> Places:
        """Finds the symbols of a mask around each symbol.

        Args:
            mask: Which ones count, bool [batch, segments].
            distance: 1 for the next of them, -1 for the one before, and so on.
        """
        mask = tf.cast(mask & self.valid, tf.int32)
        order = tf.argsort(-mask, axis=1, stable=True)
        rank = tf.cumsum(mask, axis=1, exclusive=True) + distance
        if distance > 0:
            rank += mask - 1
        found = (rank >= 0) & (rank < tf.reduce_sum(mask, axis=1, keepdims=True))
        index = tf.gather(order, tf.where(found, rank, 0), batch_dims=1)
        return Places(index, found)

    @functools.cached_property
    def syllable(self) -> Places:
        """The vowel of each phoneme's syllable."""
        after, before = self.other(self.is_vowel, 1), self.other(self.is_vowel, -1)
        has_after = after.found & (after.of(self.word) == self.word)
        has_before = before.found & (before.of(self.word) == self.word)
        index = tf.where(has_after, after.index, before.index)
        own = tf.zeros_like(index) + tf.range(tf.shape(index)[1])
        found = self.is_phoneme & (has_after | has_before | self.is_vowel)
        return Places(tf.where(self.is_vowel, own, index), found)

    # Words and phrases, and how much of something they hold.

    @functools.cached_property
    def word(self) -> tf.Tensor:
        """The number of the word, int32; each mark begins another one."""
        return tf.cumsum(tf.cast(~self.is_phoneme, tf.int32), axis=1)

    @functools.cached_property
    def phrase(self) -> tf.Tensor:
        """The number of the phrase, int32; an end after a mark is in its phrase."""
        breaks = tf.cast(self.table(_IS_BREAK), tf.int32)
        count = tf.cumsum(breaks, axis=1, exclusive=True)
        before = tf.pad(breaks[:, :-1], [[0, 0], [1, 0]])
        return tf.where(self.symbols == END_ID, count - before, count)

    def total(self, amounts: tf.Tensor, span: tf.Tensor) -> tf.Tensor:
        """Sums bools or integers over each symbol's word or phrase (`span`), int32."""
        return tf.gather(self._totals(amounts, span), span, batch_dims=1)

    def before(self, amounts: tf.Tensor, span: tf.Tensor) -> tf.Tensor:
        """Sums what is before each symbol in its word or phrase, int32."""
        sums = tf.cumsum(self._counted(amounts), axis=1, exclusive=True)
        earlier = tf.cumsum(self._totals(amounts, span), axis=1, exclusive=True)
        return sums - tf.gather(earlier, span, batch_dims=1)

    def after(self, amounts: tf.Tensor, span: tf.Tensor) -> tf.Tensor:
        """Sums what is after each symbol in its word or phrase, int32."""
        rest = self.total(amounts, span) - self.before(amounts, span)
        return rest - self._counted(amounts)

    def _totals(self, amounts: tf.Tensor, span: tf.Tensor) -> tf.Tensor:
        batch, segments = tf.unstack(tf.shape(self.symbols))
        rows = tf.range(batch)[:, tf.newaxis] * (segments + 1)
        totals = tf.math.unsorted_segment_sum(
            self._counted(amounts), span + rows, batch * (segments + 1)
        )
        return tf.reshape(totals, [batch, segments + 1])

    def _counted(self, amounts: tf.Tensor) -> tf.Tensor:
        return tf.where(self.valid, tf.cast(amounts, tf.int32), 0)

    # Intonation.

    @functools.cached_property
    def is_accent(self) -> tf.Tensor:
        """The vowels with the strongest stress that there is in their phrase."""
        primary = self.total(self.is_primary, self.phrase) > 0
        secondary = self.total(self.is_secondary, self.phrase) > 0
        weaker = tf.where(secondary, self.is_secondary, self.is_vowel)
        return tf.where(primary, self.is_primary, weaker)

    @functools.cached_property
    def is_nucleus(self) -> tf.Tensor:
        """The last accent of each phrase, where its melody turns."""
        return self.is_accent & (self.after(self.is_accent, self.phrase) == 0)

    @functools.cached_property
    def vowels_before(self) -> tf.Tensor:
        """How many syllables of its phrase are before that of each symbol, int32."""
        count = self.before(self.is_vowel, self.phrase)
        return tf.where(self.syllable.found, self.syllable.of(count), count)

    @functools.cached_property
    def from_nucleus(self) -> tf.Tensor:
        """How many syllables later than the nucleus, int32; negative is before it."""
        places = tf.where(self.is_nucleus, self.vowels_before, 0)
        return self.vowels_before - self.total(places, self.phrase)

    def ends_with(self, kind: str) -> tf.Tensor:
        """Whether the phrase ends with a mark of that kind, bool."""
        return self.total(self.table(_END_KINDS[kind]), self.phrase) > 0


class FrameContext(Context):
    """Segments of known durations in their context, and the frames that they make.

    A frame is taken for its middle: the first of a segment is half a frame in it.

    Args of the constructor:
        symbols, lengths, durations: See `Context`.

    Attributes:
        frame_lengths: The frames of each utterance, int32 [batch].
        place: The segment of each frame, int32 [batch, frames].
        duration, elapsed, remaining: Of the segment of each frame, in frames, float32
            [batch, frames].
        fraction: How much of the segment has elapsed, from 0 to 1.
    """

    def __init__(
        self, symbols: tf.Tensor, lengths: tf.Tensor, durations: tf.Tensor
    ) -> None:
        super().__init__(symbols, lengths, durations)
        ends = tf.cumsum(self.durations, axis=1)
        self.frame_lengths = tf.reduce_sum(self.durations, axis=1)
        frames = tf.range(tf.reduce_max(self.frame_lengths))
        frames = tf.zeros_like(self.symbols[:, :1]) + frames
        # What tf.searchsorted finds, in operations that TFLite has.
        ended = ends[:, tf.newaxis] <= frames[:, :, tf.newaxis]
        place = tf.reduce_sum(tf.cast(ended, tf.int32), axis=2)
        self.place = tf.minimum(place, tf.shape(self.symbols)[1] - 1)
        self.duration = tf.cast(self.spread(self.durations), tf.float32)
        starts = self.spread(ends - self.durations)
        self.elapsed = tf.cast(frames - starts, tf.float32) + 0.5
        self.remaining = self.duration - self.elapsed
        self.fraction = self.elapsed / tf.maximum(self.duration, 1.0)

    def spread(self, values: tf.Tensor) -> tf.Tensor:
        """Brings values [batch, segments, ...] to the frames, [batch, frames, ...]."""
        return tf.gather(values, self.place, batch_dims=1)
