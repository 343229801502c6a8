"""Transcription of speech while it is spoken, chunk by chunk."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from models.ctc import BLANK
from tfspeech.audio.feature_stream import FeatureStream
from tfspeech.audio.features import FeatureConfig

Past = dict[str, tf.Tensor]


class CausalModel(Protocol):
    """Interface of a causal model; see `CtcRecognizer`."""

    past_shapes: dict[str, tuple[int, ...]]

    def stream(
        self, features: tf.Tensor, lengths: tf.Tensor, past: Past
    ) -> tuple[tf.Tensor, tf.Tensor, Past]:
        """Scores the next frames of utterances."""


class Streaming:
    """Greedy decoding of audio that comes in chunks of any size.

    All that is needed from one chunk to the next is one vector a row, 0 at the start.

    Args of the constructor:
        model: The recogniser.
        features: Of the model, causal ones.
        strides: Of its convolutions.
        symbols: As the model's classes are, without the blank.
        separator: Written before every symbol.

    Attributes:
        past_size: Numbers of the vector.
    """

    def __init__(
        self,
        model: CausalModel,
        features: FeatureConfig,
        strides: Sequence[int],
        symbols: Sequence[str],
        separator: str,
    ) -> None:
        self._model = model
        self._features = FeatureStream(features, math.prod(strides))
        self._written = tf.constant([separator + symbol for symbol in symbols])
        # The class of the last frame, counted from the blank on.
        shapes = {"last_class": ()} | self._features.past_shapes | model.past_shapes
        self._shapes = shapes
        self._sizes = [math.prod(shape) for shape in shapes.values()]
        self.past_size = sum(self._sizes)

    def __call__(
        self,
        waveforms: tf.Tensor,
        lengths: tf.Tensor,
        is_last: tf.Tensor,
        past: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads what a chunk of each of several utterances adds.

        Args:
            waveforms: float32 [batch, samples] in [-1, 1], at the model's rate.
            lengths: How many samples are valid, int32 [batch].
            is_last: Whether the utterance ends with them, bool [batch].
            past: What this has returned for the chunk before, float32 [batch,
                past_size].

        Returns:
            The text that is new, string [batch]; and the past of the next chunk.
        """
        known = self._unpacked(past)
        features, frames, after = self._features(waveforms, lengths, is_last, known)
        logits, frames, deeper = self._model.stream(features, frames, known)
        classes = logits.shape[2]
        blank = classes + BLANK
        best = tf.argmax(logits, axis=2, output_type=tf.int32)
        last_class = tf.cast(known["last_class"], tf.int32) + blank
        last_class = tf.where(last_class >= classes, last_class - classes, last_class)
        before = tf.concat([last_class[:, tf.newaxis], best], axis=1)
        valid = tf.sequence_mask(frames, tf.shape(best)[1])
        is_new = valid & (best != blank) & (best != before[:, :-1])
        numbers = tf.ragged.boolean_mask(best, is_new)
        written = tf.ragged.map_flat_values(tf.gather, self._written, numbers)
        last_class = tf.gather(before, frames, batch_dims=1) - blank
        last_class = tf.where(last_class < 0, last_class + classes, last_class)
        after |= deeper | {"last_class": tf.cast(last_class, tf.float32)}
        return tf.strings.reduce_join(written, axis=1), self._packed(after)

    def _unpacked(self, past: tf.Tensor) -> Past:
        parts = tf.split(past, self._sizes, axis=1)
        return {
            name: tf.reshape(part, [-1, *shape])
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def _packed(self, past: Past) -> tf.Tensor:
        batch = tf.shape(past["last_class"])[0]
        pairs = zip(self._shapes, self._sizes, strict=True)
        parts = [tf.reshape(past[name], [batch, size]) for name, size in pairs]
        return tf.concat(parts, axis=1)

    def read(self, chunks: Iterable[np.ndarray]) -> Iterator[str]:
        """Transcribes one utterance while its samples come.

        Args:
            chunks: float32 [samples] in [-1, 1], at the model's rate, of any size.

        Yields:
            The text that each chunk adds, often none, and behind the last chunk what is
            left; joined they are the transcript, but for spaces at its ends.
        """
        past = tf.zeros([1, self.past_size])
        for samples in chunks:
            text, past = self._step(samples[np.newaxis], [len(samples)], [False], past)
            yield text.numpy()[0].decode()
        text, _ = self._step(np.zeros([1, 0], np.float32), [0], [True], past)
        yield text.numpy()[0].decode()

    @functools.cached_property
    def _step(self) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
        """`__call__` as a graph, for one row."""
        specs = [
            tf.TensorSpec([1, None], tf.float32),
            tf.TensorSpec([1], tf.int32),
            tf.TensorSpec([1], tf.bool),
            tf.TensorSpec([1, self.past_size], tf.float32),
        ]
        return tf.function(self.__call__, specs, autograph=False)
