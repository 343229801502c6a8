"""The table of linguistic features, in order of importance, and how each is computed.

Counts of which nobody knows the largest are mapped to [0, 1) by n / (n + half).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfspeech.text.articulation import PHONES, PROPERTIES, at_end, at_start, base
from tfspeech.text.context import (
    PHRASE_ENDS,
    SPACE_ID,
    Context,
    FrameContext,
    by_symbol,
)
from tfspeech.text.phonemes import PHONEMES

_NEAR_FRAMES = 2.5
_BURST_FRAMES = 2.0


class Feature(NamedTuple):
    """One number of the input of a dense synthesiser.

    Attributes:
        name: Distinct among all.
        description: What it says; it is from 0 to 1 unless that says otherwise.
        timed: Whether it needs durations.
    """

    name: str
    description: str
    timed: bool


class Group(NamedTuple):
    """Features that are computed together.

    Attributes:
        features: What they are.
        compute: Returns them, float32 [batch, segments, features]; of features that
            need durations, [batch, frames, features].
        timed: Whether they need durations.
    """

    features: tuple[Feature, ...]
    compute: Callable[[Context], tf.Tensor] | Callable[[FrameContext], tf.Tensor]
    timed: bool


def _single(
    features: Mapping[str, tuple[str, Callable[..., tf.Tensor]]], timed: bool = False
) -> Group:
    """Features that have a description and a function each."""
    functions = [function for _, function in features.values()]

    def compute(context: Context) -> tf.Tensor:
        columns = (tf.cast(function(context), tf.float32) for function in functions)
        return tf.stack(list(columns), axis=-1)

    described = (
        Feature(name, description, timed) for name, (description, _) in features.items()
    )
    return Group(tuple(described), compute, timed)


def _family(
    prefix: str,
    labels: Iterable[str],
    description: str,
    compute: Callable[..., tf.Tensor],
    timed: bool = False,
) -> Group:
    """Features that one function computes and one description tells."""
    features = (Feature(f"{prefix}_{label}", description, timed) for label in labels)
    return Group(tuple(features), compute, timed)


def _share(count: tf.Tensor, half: float) -> tf.Tensor:
    count = tf.cast(count, tf.float32)
    return count / (tf.abs(count) + half)


def _ratio(part: tf.Tensor, whole: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(tf.cast(part, tf.float32), tf.cast(whole, tf.float32))


def _counts(
    what: str, place: str, half: float, which: Callable[[Context], tf.Tensor]
) -> dict[str, tuple[str, Callable[[Context], tf.Tensor]]]:
    """Counts before and after a segment in its word or phrase, by their names."""

    def count(side: str, context: Context) -> tf.Tensor:
        counted = getattr(context, side)
        return _share(counted(which(context), getattr(context, place)), half)

    return {
        f"{what}_{side}": (
            f"{what} {side} it in the {place}, half {half:g}",
            functools.partial(count, side),
        )
        for side in ("before", "after")
    }


# Phonemes and their neighbours.

_PAUSE = tuple(float(name == "pause") for name in PROPERTIES)
_PHONE = by_symbol(lambda s: [float(base(s) == p and s in PHONEMES) for p in PHONES])
_STARTS = by_symbol(lambda s: at_start(base(s)) if s in PHONEMES else _PAUSE)
_ENDS = by_symbol(lambda s: at_end(base(s)) if s in PHONEMES else _PAUSE)
_IS_STOP = _STARTS[:, list(PROPERTIES).index("stop")]


def _neighbour(distance: int, table: np.ndarray) -> Callable[[Context], tf.Tensor]:
    """Returns what a table says of a neighbour; beyond the utterance is silence."""

    def compute(context: Context) -> tf.Tensor:
        place = context.other(context.is_heard, distance)
        there = tf.gather(context.table(table), place.index, batch_dims=1)
        return tf.where(place.found[:, :, tf.newaxis], there, table[SPACE_ID])

    return compute


def _near_left(context: FrameContext) -> tf.Tensor:
    near = tf.exp(-context.elapsed / _NEAR_FRAMES)[:, :, tf.newaxis]
    return near * context.spread(_neighbour(-1, _ENDS)(context))


def _near_right(context: FrameContext) -> tf.Tensor:
    near = tf.exp(-context.remaining / _NEAR_FRAMES)[:, :, tf.newaxis]
    return near * context.spread(_neighbour(1, _STARTS)(context))


def _bump(centre: float) -> Callable[[FrameContext], tf.Tensor]:
    return lambda context: tf.nn.relu(1 - 4 * tf.abs(context.fraction - centre))


def _since_start(frames: float) -> Callable[[FrameContext], tf.Tensor]:
    return lambda context: tf.exp(-context.elapsed / frames)


def _until_end(frames: float) -> Callable[[FrameContext], tf.Tensor]:
    return lambda context: tf.exp(-context.remaining / frames)


def _burst(context: FrameContext) -> tf.Tensor:
    stop = context.spread(context.table(_IS_STOP))
    return stop * tf.exp(-context.remaining / _BURST_FRAMES)


# Stress and melody.


def _stress_nearby(distance: int) -> Callable[[Context], tf.Tensor]:
    def compute(context: Context) -> tf.Tensor:
        vowel = context.other(context.is_vowel, distance)
        return context.syllable.of(vowel.of(context.is_primary))

    return compute


def _accents_before(context: Context) -> tf.Tensor:
    return context.before(context.is_accent, context.phrase)


def _accents_after(context: Context) -> tf.Tensor:
    return context.after(context.is_accent, context.phrase)


def _vowels_after(context: Context) -> tf.Tensor:
    return context.total(context.is_vowel, context.phrase) - context.vowels_before


def _phrase_time(context: FrameContext) -> tf.Tensor:
    passed = context.spread(context.before(context.durations, context.phrase))
    whole = context.spread(context.total(context.durations, context.phrase))
    return _ratio(tf.cast(passed, tf.float32) + context.elapsed, whole)


# Words and phrases.


def _is_first_in_word(context: Context) -> tf.Tensor:
    before = context.before(context.is_phoneme, context.word)
    return context.is_phoneme & (before == 0)


def _is_last_in_word(context: Context) -> tf.Tensor:
    after = context.after(context.is_phoneme, context.word)
    return context.is_phoneme & (after == 0)


def _is_last_phrase(context: Context) -> tf.Tensor:
    phrases = tf.where(context.valid, context.phrase, 0)
    return context.phrase == tf.reduce_max(phrases, axis=1, keepdims=True)


GROUPS = (
    _family(
        *("phone", PHONES, "the phoneme, whatever its stress, is this one"),
        lambda context: context.table(_PHONE),
    ),
    _single(
        {
            "at_start": ("1 at the start of the segment, 0 from 1/4 on", _bump(0.0)),
            "at_quarter": ("1 at 1/4 of it, 0 at the start and 1/2", _bump(0.25)),
            "at_middle": ("1 in the middle, 0 until 1/4 and from 3/4", _bump(0.5)),
            "at_three_quarters": ("1 at 3/4, 0 at 1/2 and the end", _bump(0.75)),
            "at_end": ("1 at the end of the segment, 0 until 3/4", _bump(1.0)),
            "since_start": ("exp(-frames since its start / 2)", _since_start(2.0)),
            "long_since_start": ("exp(-frames since its start / 5)", _since_start(5.0)),
            "until_end": ("exp(-frames until its end / 2)", _until_end(2.0)),
            "long_until_end": ("exp(-frames until its end / 5)", _until_end(5.0)),
            "duration": (
                "its duration in frames, half 8",
                lambda context: _share(context.duration, 8.0),
            ),
        },
        timed=True,
    ),
    _family(
        *("near_left", PROPERTIES),
        "how the segment before ends, times exp(-frames since then / 2.5); "
        "height and backness are from -1 to 1",
        _near_left,
        timed=True,
    ),
    _family(
        *("near_right", PROPERTIES),
        "how the next segment starts, times exp(-frames until then / 2.5); "
        "height and backness are from -1 to 1",
        _near_right,
        timed=True,
    ),
    _single(
        {
            "vowel": ("a vowel or a syllabic consonant", lambda c: c.is_vowel),
            "primary": (
                "its syllable has primary stress",
                lambda c: c.syllable.of(c.is_primary),
            ),
            "secondary": (
                "its syllable has secondary stress",
                lambda c: c.syllable.of(c.is_secondary),
            ),
            "primary_before": (
                "the vowel before it has primary stress",
                _stress_nearby(-1),
            ),
            "primary_after": (
                "the vowel after it has primary stress",
                _stress_nearby(1),
            ),
            "nucleus": (
                "the syllable of the last accent of the phrase; accents are its "
                "strongest stresses",
                lambda c: c.from_nucleus == 0,
            ),
            "tail": ("after that syllable", lambda c: c.from_nucleus > 0),
            "from_nucleus": (
                "how many syllables after the nucleus, half 2; before it negative, "
                "from -1 on",
                lambda c: _share(c.from_nucleus, 2.0),
            ),
            **_counts("accents", "phrase", 2.0, lambda c: c.is_accent),
            "accent_share": (
                "accents before it, of all others of the phrase",
                lambda c: _ratio(
                    _accents_before(c), _accents_before(c) + _accents_after(c)
                ),
            ),
            "syllables_before": (
                "syllables before its own in the phrase, half 4",
                lambda c: _share(c.vowels_before, 4.0),
            ),
            "syllables_after": (
                "syllables from its own on in the phrase, half 4",
                lambda c: _share(_vowels_after(c), 4.0),
            ),
            "syllable_share": (
                "syllables before its own, of all of the phrase",
                lambda c: _ratio(c.vowels_before, c.vowels_before + _vowels_after(c)),
            ),
            **{
                f"ends_with_{kind}": (
                    f"the phrase ends with {' or '.join(marks)}",
                    operator.methodcaller("ends_with", kind),
                )
                for kind, marks in PHRASE_ENDS.items()
            },
            "first_in_word": ("the first phoneme of a word", _is_first_in_word),
            "last_in_word": ("the last phoneme of a word", _is_last_in_word),
            "last_phrase": ("the last phrase of the text", _is_last_phrase),
        }
    ),
    _single(
        {
            "phrase_time": ("time since the start of the phrase, of all", _phrase_time),
            "burst": ("a stop: exp(-frames until its end / 2), else 0", _burst),
        },
        timed=True,
    ),
    _family(
        *("left", PROPERTIES),
        "how the segment before ends; height and backness are from -1 to 1",
        _neighbour(-1, _ENDS),
    ),
    _family(
        *("right", PROPERTIES),
        "how the next segment starts; height and backness are from -1 to 1",
        _neighbour(1, _STARTS),
    ),
    _single(
        {
            **_counts("phonemes", "word", 2.0, lambda c: c.is_phoneme),
            "word_phonemes": (
                "phonemes of the word, half 4",
                lambda c: _share(c.total(c.is_phoneme, c.word), 4.0),
            ),
            **_counts("vowels", "word", 1.0, lambda c: c.is_vowel),
            "words_before": (
                "words that have begun before it in the phrase, half 3",
                lambda c: _share(c.before(_is_first_in_word(c), c.phrase), 3.0),
            ),
            "words_after": (
                "words that begin after it in the phrase, half 3",
                lambda c: _share(c.after(_is_first_in_word(c), c.phrase), 3.0),
            ),
            "first_phrase": ("the first phrase of the text", lambda c: c.phrase == 0),
        }
    ),
    _family(
        *("left_2", PROPERTIES),
        "how the segment before the one before ends; height and backness are from "
        "-1 to 1",
        _neighbour(-2, _ENDS),
    ),
    _family(
        *("right_2", PROPERTIES),
        "how the segment after the next starts; height and backness are from -1 to 1",
        _neighbour(2, _STARTS),
    ),
    _family(
        *("left_phone", PHONES, "the segment before is this phoneme"),
        _neighbour(-1, _PHONE),
    ),
    _family(
        *("right_phone", PHONES, "the next segment is this phoneme"),
        _neighbour(1, _PHONE),
    ),
)
