"""Vocoding in chunks, as the frames come; together they are the whole."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.correction import correction_reach
from tfspeech.audio.excitation import turns_before
from tfspeech.tasks.vocoding.vocoder import network_inputs, vocoded


class FilterNetwork(Protocol):
    """Sizes of a network that matter here; see `SourceFilter`."""

    look_ahead: int
    fft_length: int

    def __call__(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns `waveform` float32 [batch, frames, hop_length]."""


class Past(NamedTuple):
    """State from one chunk to the next.

    Attributes:
        frames: The last frames, float32 [batch, `Streaming.memory`, frame_dim].
        length: How many of them are valid, int32 [batch]; 0 at the start.
        number: Number of the first of them in the utterance, int32 [batch].
        turns: Phase of the pulses there, float32 [batch].
    """

    frames: tf.Tensor
    length: tf.Tensor
    number: tf.Tensor
    turns: tf.Tensor


class Streaming:
    """A `NeuralVocoder` that is given the frames of an utterance bit by bit.

    A chunk is vocoded together with as many frames before it as still have an
    influence. What depends on frames to come is left for the next chunk.

    Args of the constructor:
        model: The network.
        features: The frames.
        values: Which of the values of a frame the network sees, int [values].
        corrections: See `vocoded`.

    Attributes:
        look_ahead: How many frames after its own a hop depends on, and as many before,
            besides those that the filters fade into.
        memory: The most frames that are kept.
    """

    def __init__(
        self,
        model: FilterNetwork,
        features: AcousticConfig,
        values: np.ndarray,
        corrections: int,
    ) -> None:
        self._model = model
        self._features = features
        self._values = values
        self._corrections = corrections
        self.look_ahead = model.look_ahead + corrections * correction_reach(features)
        # Hops in which a filter is heard; one window more starts the first of them.
        heard = -(-model.fft_length // features.hop_length) + 1
        self.memory = 1 + 2 * self.look_ahead + heard

    def start(self, batch: int) -> Past:
        """The past of utterances that begin."""
        frames = tf.zeros([batch, self.memory, self._features.frame_dim])
        none = tf.zeros([batch], tf.int32)
        return Past(frames, none, none, tf.zeros([batch]))

    def __call__(
        self, frames: tf.Tensor, lengths: tf.Tensor, is_last: tf.Tensor, past: Past
    ) -> tuple[tf.Tensor, tf.Tensor, Past]:
        """Vocodes a chunk of each of several utterances.

        Args:
            frames: float32 [batch, frames, frame_dim].
            lengths: How many of them are valid, int32 [batch].
            is_last: Whether the utterance ends with them, bool [batch].
            past: What this has returned for the chunk before.

        Returns:
            The samples that are new, float32 [batch, samples], 0 beyond their numbers,
            int32 [batch]; and the past of the next chunk.
        """
        frames, lengths = _joined(past.frames, past.length, frames, lengths)
        features, hop_length = self._features, self._features.hop_length
        inputs = network_inputs(
            *(frames, lengths, features, self._values),
            first_frame=past.number,
            first_turns=past.turns,
        )
        waveform = vocoded(self._model, inputs, features, self._corrections)
        # A hop needs the filters at both of its ends.
        waiting = 1 + self.look_ahead
        first = tf.maximum(past.length - waiting, 0)
        end = lengths - tf.where(is_last, 1, waiting)
        hops = tf.maximum(end - first, 0)
        new = _rows(waveform, first, tf.reduce_max(hops))
        new = tf.where(tf.sequence_mask(hops, tf.shape(new)[1])[..., None], new, 0.0)
        waveform = tf.reshape(new, [tf.shape(new)[0], -1])
        forgotten = tf.maximum(lengths - self.memory, 0)
        log_pitch = frames[:, :, -2]
        turns = turns_before(log_pitch, hop_length, features.sample_rate_hz, past.turns)
        return (
            waveform,
            hops * hop_length,
            Past(
                _rows(frames, forgotten, self.memory),
                lengths - forgotten,
                past.number + forgotten,
                tf.gather(turns, forgotten, batch_dims=1),
            ),
        )


def _joined(
    past: tf.Tensor, past_lengths: tf.Tensor, frames: tf.Tensor, lengths: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Puts frames behind those before them; what is beyond the lengths is 0."""
    size = tf.shape(past)[1]
    together = size + tf.shape(frames)[1]
    places = tf.range(together)[tf.newaxis]
    kept = past_lengths[:, tf.newaxis]
    places = tf.where(places < kept, places, places - kept + size)
    every = tf.concat([past, frames], axis=1)
    every = tf.gather(every, tf.minimum(places, together - 1), batch_dims=1)
    lengths += past_lengths
    valid = tf.sequence_mask(lengths, together)[:, :, tf.newaxis]
    return tf.where(valid, every, 0.0), lengths


def _rows(values: tf.Tensor, first: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """Rows from `first` int32 [batch] on of values [batch, rows, dim], 0 behind all."""
    padded = tf.pad(values, [[0, 0], [0, count], [0, 0]])
    places = first[:, tf.newaxis] + tf.range(count)
    return tf.gather(padded, places, batch_dims=1)
