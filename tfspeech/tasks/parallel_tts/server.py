"""The graph of a synthesiser with durations that TF Serving runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.tasks.speech.server import EXAMPLE_TEXT, SpeechServer
from tfspeech.tasks.speech.task import SpeechTask
from tfspeech.text.context import SPACE_ID
from tfspeech.text.lexicon import Lexicon
from tfspeech.text.phonemes import PHONEMES


class ParallelTtsServer(SpeechServer):
    """Lexicon, networks and vocoder as one module of TensorFlow's own operations.

    Args of the constructor:
        task: Its model, vocoder and front end are exported.
        durations: See `ParallelSynthesis.durations`.
        frames: See `ParallelSynthesis.frames`.
        texts: Their words are known to the signatures that read texts.
    """

    def __init__(
        self,
        task: SpeechTask,
        durations: Callable[..., tf.Tensor],
        frames: Callable[..., tuple[tf.Tensor, tf.Tensor]],
        texts: Sequence[str],
    ) -> None:
        super().__init__(task, "parallel_tts_server", True, True)
        self._durations = durations
        self._frames = frames
        self._lexicon = Lexicon([*texts, EXAMPLE_TEXT])
        symbols = task.front_end.symbols
        self._is_phoneme = np.array([symbol in PHONEMES for symbol in symbols])

    @property
    def metadata(self) -> dict[str, Any]:
        """Properties of the model that its signatures do not tell a client."""
        return super().metadata | {"words": len(self._lexicon.words)}

    def encode(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes texts as segments, see `SpeechServer.encode` and `encode_segments`.

        Raises:
            tf.errors.InvalidArgumentError: A word is not in the lexicon, or there is
                nothing to say.
        """
        segments, lengths = self._lexicon.encode_in_graph(text)
        audible = tf.reduce_any(tf.gather(self._is_phoneme, segments), axis=1)
        check = tf.debugging.Assert(
            tf.reduce_all(audible), ["text has nothing to say:", text]
        )
        with tf.control_dependencies([check]):
            return tf.identity(segments), lengths

    def segments(
        self, symbols: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Puts a space, for the silence at the start, before symbols."""
        segments = tf.pad(symbols, [[0, 0], [1, 0]], constant_values=SPACE_ID)
        # A length that is out of range is to stay so.
        return segments, lengths + tf.cast(lengths > 0, tf.int32)

    def predict(
        self, symbols: tf.Tensor, lengths: tf.Tensor, **conditions: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Predicts durations and acoustic frames.

        Args:
            symbols: int32 [batch, symbols], after a space for the silence at the start;
                see `encode_segments`.
            lengths: int32 [batch].
            **conditions: Of the model, each float32 [batch, symbols or 1].

        Returns:
            `frames` float32 [batch, frames, frame_dim], what the vocoder takes;
            `frame_length` int32 [batch]; and `durations`, the frames of each symbol,
            int32 [batch, symbols].

        Raises:
            tf.errors.InvalidArgumentError: The speech would be too long.
        """
        durations = self._durations(symbols, lengths, conditions)
        frames = tf.reduce_max(tf.reduce_sum(tf.cast(durations, tf.int64), axis=1))
        check = self._limits.check_in_graph(
            "max_spoken_seconds",
            frames * self._features.hop_length,
            self._features.sample_rate_hz,
        )
        with tf.control_dependencies([check]):
            durations = tf.identity(durations)
        frames, frame_lengths = self._frames(symbols, lengths, durations, conditions)
        return {
            "frames": frames,
            "frame_length": frame_lengths,
            "durations": durations,
        }
