"""Linguistic features: what a phoneme is and where it stands, as numbers for a network.

They are the kind of features that H. Zen, K. Tokuda and A. Black, "Statistical
Parametric Speech Synthesis", 2009, ask of a context, chosen for a small network:
numbers in about [-1, 1] instead of questions with yes or no.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from models.config import option
from tfspeech.errors import SpecError
from tfspeech.text.articulation import (
    PHONES,
    PROPERTIES,
    at_end,
    at_start,
    base,
    is_diphthong,
    is_long,
)
from tfspeech.text.context import PHRASE_ENDS, SPACE_ID, Context, by_symbol
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.phonemes import PHONEMES

_PAUSE = tuple(float(name == "pause") for name in PROPERTIES)


class Feature(NamedTuple):
    """One number of the inputs of a dense synthesiser.

    Attributes:
        name: Distinct among all.
        group: What it belongs to.
        description: What it says, with its range where that is not 0 to 1.
        timed: Whether it needs the durations.
    """

    name: str
    group: str
    description: str
    timed: bool


class _Group(NamedTuple):
    """Features that are computed together, [batch, segments or frames, features]."""

    name: str
    features: Mapping[str, str]
    compute: Callable[[_Frames], tf.Tensor] | Callable[[Context], tf.Tensor]
    timed: bool = False


class _Frames(Context):
    """The frames of the symbols; frame t of a symbol is the middle of [t, t + 1]."""

    def __init__(
        self, symbols: tf.Tensor, lengths: tf.Tensor, durations: tf.Tensor
    ) -> None:
        super().__init__(symbols, lengths, durations)
        ends = tf.cumsum(self.durations, axis=1)
        self.lengths = tf.reduce_sum(self.durations, axis=1)
        frames = tf.range(tf.reduce_max(self.lengths))
        frames = tf.zeros([tf.shape(symbols)[0], 1], tf.int32) + frames
        place = tf.searchsorted(ends, frames, side="right")
        self._place = tf.minimum(place, tf.shape(symbols)[1] - 1)
        self.duration = tf.cast(self.spread(self.durations), tf.float32)
        starts = self.spread(ends - self.durations)
        self.elapsed = tf.cast(frames - starts, tf.float32) + 0.5
        self.remaining = self.duration - self.elapsed
        self.fraction = self.elapsed / tf.maximum(self.duration, 1.0)

    def spread(self, values: tf.Tensor) -> tf.Tensor:
        """Brings values [batch, segments, ...] to the frames."""
        return tf.gather(values, self._place, batch_dims=1)


# Functions of a context; each returns [batch, segments, features].

_PHONE_OF = by_symbol(lambda s: [float(base(s) == p and s in PHONEMES) for p in PHONES])
_STARTS = by_symbol(lambda s: at_start(base(s)) if s in PHONEMES else _PAUSE)
_ENDS = by_symbol(lambda s: at_end(base(s)) if s in PHONEMES else _PAUSE)
_LENGTHS = by_symbol(
    lambda s: [float(test(base(s))) for test in (is_long, is_diphthong)]
)


def _columns(*columns: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.cast(column, tf.float32) for column in columns], axis=-1)


def _share(count: tf.Tensor, half: float) -> tf.Tensor:
    """Maps 0, 1, 2, ... to [0, 1): `half` becomes 0.5; the sign is kept."""
    count = tf.cast(count, tf.float32)
    return count / (tf.abs(count) + half)


def _neighbour(context: Context, distance: int, table: np.ndarray) -> tf.Tensor:
    """Returns what a table says of a neighbour; beyond the utterance is a pause."""
    place = context.other(context.is_heard, distance)
    there = tf.gather(context.table(table), place.index, batch_dims=1)
    return tf.where(place.found[:, :, tf.newaxis], there, table[SPACE_ID])


def _stress(context: Context) -> tf.Tensor:
    own = context.syllable
    around = [context.other(context.is_vowel, distance) for distance in (-1, 1)]
    return _columns(
        context.is_vowel,
        own.of(context.is_primary),
        own.of(context.is_secondary),
        *(own.of(place.of(context.is_primary)) for place in around),
    )


def _melody(context: Context) -> tf.Tensor:
    phrase, accents = context.phrase, context.is_accent
    vowels, place = context.vowels_before, context.from_nucleus
    return _columns(
        place == 0,
        place > 0,
        context.before(accents, phrase) + tf.cast(accents, tf.int32) == 0,
        _share(place, 2.0),
        _share(context.before(accents, phrase), 2.0),
        _share(context.after(accents, phrase), 2.0),
        _share(vowels, 4.0),
        _share(context.total(context.is_vowel, phrase) - vowels, 4.0),
    )


def _phrase_end(context: Context) -> tf.Tensor:
    return _columns(*(context.ends_with(kind) for kind in PHRASE_ENDS))


def _in_word(context: Context) -> tf.Tensor:
    word, phoneme, vowel = context.word, context.is_phoneme, context.is_vowel
    before, after = context.before(phoneme, word), context.after(phoneme, word)
    return _columns(
        before == 0,
        after == 0,
        _share(before, 2.0),
        _share(after, 2.0),
        _share(context.before(vowel, word), 1.0),
        _share(context.after(vowel, word), 1.0),
        _share(context.total(phoneme, word), 4.0),
    )


def _in_phrase(context: Context) -> tf.Tensor:
    phrase, phoneme = context.phrase, context.is_phoneme
    starts = phoneme & ~tf.pad(phoneme[:, :-1], [[0, 0], [1, 0]])
    last = tf.reduce_max(tf.where(context.valid, phrase, 0), axis=1, keepdims=True)
    return _columns(
        _share(context.before(phoneme, phrase), 8.0),
        _share(context.after(phoneme, phrase), 8.0),
        _share(context.total(starts, phrase), 4.0),
        _share(context.before(starts, phrase), 3.0),
        _share(context.after(starts, phrase), 3.0),
        _share(context.total(context.is_accent, phrase), 2.0),
        phrase == 0,
        phrase == last,
    )


# Functions of frames; each returns [batch, frames, features].


def _place_in_phoneme(frames: _Frames) -> tf.Tensor:
    bumps = (1 - 4 * tf.abs(frames.fraction - at) for at in (0.0, 0.25, 0.5, 0.75, 1.0))
    return _columns(
        *(tf.nn.relu(bump) for bump in bumps),
        *(tf.exp(-frames.elapsed / tau) for tau in (2.0, 5.0)),
        *(tf.exp(-frames.remaining / tau) for tau in (2.0, 5.0)),
        frames.duration / (frames.duration + 8.0),
    )


def _left(frames: _Frames) -> tf.Tensor:
    near = tf.exp(-frames.elapsed / 4.0)[:, :, tf.newaxis]
    return near * frames.spread(_neighbour(frames, -1, _ENDS))


def _right(frames: _Frames) -> tf.Tensor:
    near = tf.exp(-frames.remaining / 4.0)[:, :, tf.newaxis]
    return near * frames.spread(_neighbour(frames, 1, _STARTS))


_PHONE_NAMES = {f"phone_{phone}": f"the phoneme is {phone}" for phone in PHONES}


def _around(place: str, where: str) -> dict[str, str]:
    return {f"{place}_{name}": f"{where}: {what}" for name, what in PROPERTIES.items()}


# In order of importance.
_GROUPS = (
    _Group("phone", _PHONE_NAMES, lambda context: context.table(_PHONE_OF)),
    _Group(
        "place in the phoneme",
        {
            "at_start": "fraction",
            "at_quarter": "",
            "at_middle": "",
            "at_three_quarters": "",
            "at_end": "",
            "start_2": "",
            "start_5": "",
            "end_2": "",
            "end_5": "",
            "duration": "",
        },
        _place_in_phoneme,
        timed=True,
    ),
    _Group("left", _around("left_near", "end of the phoneme before"), _left, True),
    _Group("right", _around("right_near", "start of the next phoneme"), _right, True),
    _Group(
        "stress",
        {
            "vowel": "",
            "primary": "",
            "secondary": "",
            "primary_before": "",
            "primary_after": "",
        },
        _stress,
    ),
    _Group(
        "melody",
        {
            "nucleus": "",
            "tail": "",
            "prehead": "",
            "from_nucleus": "",
            "accents_before": "",
            "accents_after": "",
            "syllables_before": "",
            "syllables_after": "",
        },
        _melody,
    ),
    _Group("phrase end", {f"ends_{kind}": "" for kind in PHRASE_ENDS}, _phrase_end),
    _Group("in word", {f"in_word_{i}": "" for i in range(7)}, _in_word),
    _Group("in phrase", {f"in_phrase_{i}": "" for i in range(8)}, _in_phrase),
    _Group(
        "left and right",
        _around("left", "end of the phoneme before")
        | _around("right", "start of the next phoneme"),
        lambda context: tf.concat(
            [_neighbour(context, -1, _ENDS), _neighbour(context, 1, _STARTS)], axis=-1
        ),
    ),
    _Group(
        "second neighbours",
        _around("left_2", "end of the phoneme before the one before")
        | _around("right_2", "start of the phoneme after the next"),
        lambda context: tf.concat(
            [_neighbour(context, -2, _ENDS), _neighbour(context, 2, _STARTS)], axis=-1
        ),
    ),
    _Group(
        "neighbours",
        {f"left_{p}": f"the phoneme before is {p}" for p in PHONES}
        | {f"right_{p}": f"the next phoneme is {p}" for p in PHONES},
        lambda context: tf.concat(
            [_neighbour(context, d, _PHONE_OF) for d in (-1, 1)], axis=-1
        ),
    ),
)

FEATURES = tuple(
    Feature(name, group.name, description, group.timed)
    for group in _GROUPS
    for name, description in group.features.items()
)
SEGMENT_FEATURES = tuple(feature for feature in FEATURES if not feature.timed)
MAX_DIM = len(SEGMENT_FEATURES)


@dataclasses.dataclass(frozen=True)
class LinguisticConfig:
    """Linguistic features. Raises SpecError for values out of range."""

    linguistic_dim: int = option(
        128, f"inputs of the networks, the first of {MAX_DIM} linguistic features"
    )

    def __post_init__(self) -> None:
        _check_dim(self.linguistic_dim)


def encode_segments(front_end: TextFrontEnd, text: str) -> np.ndarray:
    """Returns the segments of a text: a space for the silence first, and its symbols.

    Args:
        front_end: One whose symbols are phonemes.
        text: English text.

    Returns:
        int32 [segments]; the last one is the end, which is the silence after the text.

    Raises:
        TextError: See `TextFrontEnd.encode`.
    """
    return np.concatenate([np.array([SPACE_ID], "i4"), front_end.encode(text)])


def segment_features(symbols: tf.Tensor, lengths: tf.Tensor, dim: int) -> tf.Tensor:
    """Computes the features of segments whose durations are unknown.

    Args:
        symbols: Segments, int32 [batch, segments] (see `encode_segments`).
        lengths: int32 [batch].
        dim: How many of `SEGMENT_FEATURES`.

    Returns:
        float32 [batch, segments, dim], 0 beyond the lengths.

    Raises:
        SpecError: There are not so many features.
    """
    context = Context(symbols, lengths, None)
    groups = (group for group in _GROUPS if not group.timed)
    features = _first(dim, (group.compute(context) for group in groups))
    return tf.where(context.valid[:, :, tf.newaxis], features, 0.0)


def frame_features(
    symbols: tf.Tensor, lengths: tf.Tensor, durations: tf.Tensor, dim: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the features of each frame.

    Args:
        symbols: Segments, int32 [batch, segments] (see `encode_segments`).
        lengths: int32 [batch].
        durations: The frames of each segment, int32 [batch, segments]; whatever is
            beyond the lengths changes nothing.
        dim: How many of `FEATURES`.

    Returns:
        float32 [batch, frames, dim], where frames is the longest sum of durations; 0
        beyond the sums; and those sums, int32 [batch].

    Raises:
        SpecError: There are not so many features.
    """
    frames = _Frames(symbols, lengths, durations)
    computed = (
        group.compute(frames) if group.timed else frames.spread(group.compute(frames))
        for group in _GROUPS
    )
    features = _first(dim, computed)
    valid = tf.sequence_mask(frames.lengths, tf.shape(features)[1])
    return tf.where(valid[:, :, tf.newaxis], features, 0.0), frames.lengths


def _first(dim: int, groups: Iterator[tf.Tensor]) -> tf.Tensor:
    """Concatenates as many groups as are needed for `dim` features."""
    _check_dim(dim)
    taken: list[tf.Tensor] = []
    while sum(group.shape[-1] for group in taken) < dim:
        taken.append(next(groups))
    return tf.concat(taken, axis=-1)[:, :, :dim]


def _check_dim(dim: int) -> None:
    if not 1 <= dim <= MAX_DIM:
        raise SpecError(
            f"linguistic_dim must be between 1 and {MAX_DIM}, the number of linguistic "
            f"features. Received: linguistic_dim={dim}"
        )
