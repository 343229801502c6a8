"""The batches of synthesis with attention: symbols, and frames in decoder steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.data.pipeline import Batch, ordered_rows
from tfspeech.tasks.speech.data import EVALUATION_BATCH_SIZE, SentenceData

TAIL_STEPS = 2
"""Decoder steps of silence after every utterance of which a loss is computed. A model
that has missed the end speaks on; so it knows what that is like, and stops."""


def sentence_loader(
    data: SentenceData, indices: np.ndarray, steps: int, tail: int = 0
) -> Callable[[tf.Tensor], Batch]:
    """Prepares to read sentences in `tf.data`.

    Args:
        data: The corpus.
        indices: Places of the utterances.
        steps: Frames of a decoder step; silence fills the last one.
        tail: Decoder steps of silence after that.

    Returns:
        A function from `rows`, places in `indices`, int64 [batch], to a batch:
        `symbols` int32 [batch, symbols] with `symbol_lengths`, and `frames` float32
        [batch, frames, frame_dim] with `frame_lengths`.
    """
    encoded = [data.front_end.encode(text) for text in data.texts(indices)]
    sentences = tf.RaggedTensor.from_row_lengths(
        np.concatenate(encoded), [len(symbols) for symbols in encoded]
    )

    def load(rows: tf.Tensor) -> Batch:
        symbols = tf.gather(sentences, rows)
        frames, lengths = data.read_frames(tf.gather(indices, rows))
        frames, lengths = fill_steps(frames, lengths, steps, data.features, tail)
        return {
            "symbols": symbols.to_tensor(),
            "symbol_lengths": tf.cast(symbols.row_lengths(), tf.int32),
            "frames": frames,
            "frame_lengths": lengths,
        }

    return load


def sentence_batches(
    data: SentenceData,
    indices: np.ndarray,
    steps: int,
    tail: int = 0,
    batch_size: int = EVALUATION_BATCH_SIZE,
) -> tf.data.Dataset:
    """Batches of every sentence once, the shortest first; see `sentence_loader`."""
    load = sentence_loader(data, indices, steps, tail)
    return ordered_rows(data.store.lengths[indices], batch_size, load)


def fill_steps(
    frames: tf.Tensor,
    lengths: tf.Tensor,
    steps: int,
    config: AcousticConfig,
    tail: int = 0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Fills the last decoder step of every utterance with silence, and adds others.

    Args:
        frames: float32 [batch, frames, frame_dim].
        lengths: int32 [batch], in frames.
        steps: Frames of a decoder step.
        config: The frames.
        tail: Decoder steps that are silent all through.

    Returns:
        The frames, 0 beyond the new lengths, which are multiples of `steps`.
    """
    filled = (-(-lengths // steps) + tail) * steps
    frames = tf.pad(frames, [[0, 0], [0, (1 + tail) * steps - 1], [0, 0]])
    frames = frames[:, : tf.reduce_max(filled)]
    count = tf.shape(frames)[1]
    silence = acoustic_frames(tf.zeros([1, 1]), tf.ones([1], tf.int32), config)[0]
    inside, valid = (
        tf.sequence_mask(n, count)[:, :, tf.newaxis] for n in (lengths, filled)
    )
    return tf.where(inside, frames, tf.where(valid, silence, 0.0)), filled
