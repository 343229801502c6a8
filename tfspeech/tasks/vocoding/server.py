"""The graph of a vocoder that TF Serving runs."""

from __future__ import annotations

import functools
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import Vocoder
from tfspeech.tasks.limits import WaveformLimits
from tfspeech.tasks.vocoding.streaming import Past, Streaming

_EXAMPLE_FRAMES = 20


class Served(Protocol):
    """Parts of a task that are exported."""

    model: keras.Model
    vocoder: Vocoder
    features: AcousticConfig
    limits: WaveformLimits
    streaming: Streaming | None


class VocodingServer(tf.Module):
    """A vocoder as one module of TensorFlow's own operations.

    Args of the constructor:
        task: Its model is exported, and its `limits` hold.
    """

    def __init__(self, task: Served) -> None:
        super().__init__(name="vocoding_server")
        self._features = task.features
        self._vocoder = task.vocoder
        self._streaming = task.streaming
        self._limits = task.limits
        # Keras hides its variables from TensorFlow's tracking; the export needs them.
        self._weights = [v.value for v in task.model.variables]

    # An export looks at all attributes; functions are to be traced once.
    @functools.cached_property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        dim = self._features.frame_dim
        frames = tf.TensorSpec([None, None, dim], name="frames")
        length = tf.TensorSpec([None], tf.int32, "frame_length")
        vocode = tf.function(self.vocode).get_concrete_function(
            frames=frames, frame_length=length
        )
        found = {"serving_default": vocode, "vocode": vocode}
        if self._streaming:
            found["stream"] = tf.function(self.stream).get_concrete_function(
                frames=frames,
                frame_length=length,
                is_last=tf.TensorSpec([None], tf.bool, "is_last"),
                past_frames=tf.TensorSpec([None, None, dim], name="past_frames"),
                past_length=tf.TensorSpec([None], tf.int32, "past_length"),
                past_number=tf.TensorSpec([None], tf.int32, "past_number"),
                past_turns=tf.TensorSpec([None], name="past_turns"),
            )
        return found

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature."""
        frames = np.zeros([1, _EXAMPLE_FRAMES, self._features.frame_dim], np.float32)
        frames[:, :, -2] = np.log(150.0)
        length = np.array([_EXAMPLE_FRAMES], np.int32)
        whole = {"frames": frames, "frame_length": length}
        found = {"serving_default": whole, "vocode": whole}
        if self._streaming:
            start = self._streaming.start(1)._asdict()
            past = {f"past_{name}": value.numpy() for name, value in start.items()}
            found["stream"] = {**whole, "is_last": np.zeros(1, bool), **past}
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        """Properties of the model that its signatures do not tell a client."""
        memory = self._streaming.memory if self._streaming else None
        return {
            "sample_rate_hz": self._features.sample_rate_hz,
            "hop_length": self._features.hop_length,
            "frame_dim": self._features.frame_dim,
            "past_frames": memory,
        }

    def vocode(
        self, frames: tf.Tensor, frame_length: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Makes waveforms of acoustic frames.

        Args:
            frames: float32 [batch, frames, frame_dim], as of `acoustic_frames`.
            frame_length: int32 [batch]; what is beyond, whatever it is, has no
                influence.

        Returns:
            `waveform` float32 [batch, samples] in [-1, 1], 0 beyond `waveform_length`
            int32 [batch] in samples; `sample_rate_hz` int32 [batch].

        Raises:
            tf.errors.InvalidArgumentError: A length is out of range, a frame is not
                finite, or the speech would be too long.
        """
        positive = tf.debugging.assert_positive(
            frame_length, "frame_length must be above 0"
        )
        with tf.control_dependencies([positive]):
            frames = self._checked(frames, frame_length, "frame_length")
        return self._answer(*self._vocoder(frames, frame_length))

    def stream(
        self,
        frames: tf.Tensor,
        frame_length: tf.Tensor,
        is_last: tf.Tensor,
        past_frames: tf.Tensor,
        past_length: tf.Tensor,
        past_number: tf.Tensor,
        past_turns: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Makes the samples that a chunk of an utterance adds; see `Streaming`.

        Args:
            frames: float32 [batch, frames, frame_dim], those that are new.
            frame_length: int32 [batch], which may be 0.
            is_last: Whether the utterance ends with them, bool [batch].
            past_frames: As returned for the chunk before, and so are the others; for
                the first chunk 0, of any shape that is valid.
            past_length: int32 [batch].
            past_number: int32 [batch].
            past_turns: float32 [batch].

        Returns:
            As `vocode`, and the past of the next chunk.

        Raises:
            tf.errors.InvalidArgumentError: See `vocode`.
        """
        frames = self._checked(frames, frame_length, "frame_length")
        past_frames = self._checked(past_frames, past_length, "past_length")
        turns = tf.debugging.assert_all_finite(past_turns, "past_turns must be finite")
        past = Past(past_frames, past_length, tf.maximum(past_number, 0), turns)
        *chunk, past = self._streaming(frames, frame_length, is_last, past)
        more = {f"past_{name}": value for name, value in past._asdict().items()}
        return self._answer(*chunk) | more

    def _checked(self, frames: tf.Tensor, lengths: tf.Tensor, name: str) -> tf.Tensor:
        """Returns the frames, 0 beyond the lengths, when all are in range."""
        size, rate_hz = tf.shape(frames)[1], self._features.sample_rate_hz
        fit = [
            tf.debugging.assert_non_negative(lengths, f"{name} must not be negative"),
            tf.debugging.assert_less_equal(
                lengths, size, f"{name} must not be more than the frames"
            ),
            self._limits.check_in_graph(
                "max_spoken_seconds", size * self._features.hop_length, rate_hz
            ),
        ]
        with tf.control_dependencies(fit):
            valid = tf.sequence_mask(lengths, size)[:, :, tf.newaxis]
        frames = tf.where(valid, frames, 0.0)
        finite = tf.reduce_all(tf.math.is_finite(frames))
        check = tf.debugging.Assert(finite, ["frames must be finite"])
        with tf.control_dependencies([check]):
            return tf.identity(frames)

    def _answer(
        self, waveform: tf.Tensor, waveform_length: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns the outputs of `vocode`."""
        rate_hz = self._features.sample_rate_hz
        return {
            "waveform": tf.clip_by_value(waveform, -1.0, 1.0),
            "waveform_length": waveform_length,
            "sample_rate_hz": tf.fill(tf.shape(waveform_length), rate_hz),
        }
