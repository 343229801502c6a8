"""Linguistic features: what a phoneme is and where it stands, as numbers for a network.

They are the kind of features that H. Zen, K. Tokuda and A. Black, "Statistical
Parametric Speech Synthesis", 2009, ask of a context, chosen for a small network:
numbers in [-1, 1] instead of questions with yes or no.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from models.config import Options, between, option
from tfspeech.errors import SpecError
from tfspeech.text.context import SPACE_ID, Context, FrameContext
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.linguistic_table import GROUPS

FEATURES = tuple(feature for group in GROUPS for feature in group.features)
SEGMENT_FEATURES = tuple(feature for feature in FEATURES if not feature.timed)
MAX_DIM = len(SEGMENT_FEATURES)


@dataclasses.dataclass(frozen=True)
class LinguisticConfig(Options):
    """Linguistic features. Raises SpecError for values out of range."""

    error = SpecError
    linguistic_dim: int = option(
        128,
        f"inputs of the networks, the first of {MAX_DIM} linguistic features",
        between(1, MAX_DIM),
    )


def encode_segments(
    front_end: TextFrontEnd,
    text: str,
    pronunciation: Sequence[Sequence[str]] | None = None,
) -> np.ndarray:
    """Returns the segments of a text: a space for the silence first, and its symbols.

    Args:
        front_end: One whose symbols are phonemes.
        text: English text.
        pronunciation: See `TextFrontEnd.encode`.

    Returns:
        int32 [segments]; the last one is the end, which is the silence after the text.

    Raises:
        TextError: See `TextFrontEnd.encode`.
    """
    symbols = front_end.encode(text, pronunciation)
    return np.concatenate([np.array([SPACE_ID], "i4"), symbols])


def prepend_space(
    symbols: tf.Tensor, lengths: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the segments of encoded texts: as `encode_segments`, in a graph.

    Args:
        symbols: As `TextFrontEnd.encode` returns them, int32 [batch, symbols].
        lengths: int32 [batch]; one below 1 stays as it is, and out of range.

    Returns:
        Segments, int32 [batch, 1 + symbols], and their number, int32 [batch].
    """
    segments = tf.pad(symbols, [[0, 0], [1, 0]], constant_values=SPACE_ID)
    return segments, lengths + tf.cast(lengths > 0, tf.int32)


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
    groups = (group for group in GROUPS if not group.timed)
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
    context = FrameContext(symbols, lengths, durations)
    computed = (
        group.compute(context)
        if group.timed
        else context.spread(group.compute(context))
        for group in GROUPS
    )
    features = _first(dim, computed)
    valid = tf.sequence_mask(context.frame_lengths, tf.shape(features)[1])
    return tf.where(valid[:, :, tf.newaxis], features, 0.0), context.frame_lengths


def _first(dim: int, groups: Iterator[tf.Tensor]) -> tf.Tensor:
    """Concatenates as many groups as are needed for `dim` features."""
    LinguisticConfig(linguistic_dim=dim)  # It checks the number.
    taken: list[tf.Tensor] = []
    while sum(group.shape[-1] for group in taken) < dim:
        taken.append(next(groups))
    return tf.concat(taken, axis=-1)[:, :, :dim]
