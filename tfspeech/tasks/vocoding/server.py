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

_EXAMPLE_FRAMES = 20


class Served(Protocol):
    """What of a task is exported."""

    model: keras.Model
    vocoder: Vocoder
    features: AcousticConfig
    limits: WaveformLimits


class VocodingServer(tf.Module):
    """A vocoder as one module of TensorFlow's own operations.

    Args of the constructor:
        task: Its model is exported, and its `limits` hold.
    """

    def __init__(self, task: Served) -> None:
        super().__init__(name="vocoding_server")
        self._features = task.features
        self._vocoder = task.vocoder
        self._limits = task.limits
        # Keras hides its variables from TensorFlow's tracking; the export needs them.
        self._weights = [v.value for v in task.model.variables]

    # An export looks at all attributes; functions are to be traced once.
    @functools.cached_property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        frames = tf.TensorSpec([None, None, self._features.frame_dim], name="frames")
        length = tf.TensorSpec([None], tf.int32, "frame_length")
        vocode = tf.function(self.vocode).get_concrete_function(
            frames=frames, frame_length=length
        )
        return {"serving_default": vocode, "vocode": vocode}

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature."""
        frames = np.zeros([1, _EXAMPLE_FRAMES, self._features.frame_dim], np.float32)
        frames[:, :, -2] = np.log(150.0)
        length = np.array([_EXAMPLE_FRAMES], np.int32)
        request = {"frames": frames, "frame_length": length}
        return dict.fromkeys(self.signatures, request)

    @property
    def metadata(self) -> dict[str, Any]:
        """Properties of the model that its signatures do not tell a client."""
        return {
            "sample_rate_hz": self._features.sample_rate_hz,
            "hop_length": self._features.hop_length,
            "frame_dim": self._features.frame_dim,
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
        size, rate_hz = tf.shape(frames)[1], self._features.sample_rate_hz
        fit = [
            tf.debugging.assert_positive(frame_length, "frame_length must be above 0"),
            tf.debugging.assert_less_equal(
                frame_length, size, "frame_length must not be more than the frames"
            ),
            self._limits.check_in_graph(
                "max_spoken_seconds", size * self._features.hop_length, rate_hz
            ),
        ]
        with tf.control_dependencies(fit):
            valid = tf.sequence_mask(frame_length, size)[:, :, tf.newaxis]
        frames = tf.where(valid, frames, 0.0)
        finite = tf.reduce_all(tf.math.is_finite(frames))
        check = tf.debugging.Assert(finite, ["frames must be finite"])
        with tf.control_dependencies([check]):
            waveform, waveform_length = self._vocoder(frames, frame_length)
        return {
            "waveform": tf.clip_by_value(waveform, -1.0, 1.0),
            "waveform_length": waveform_length,
            "sample_rate_hz": tf.fill(tf.shape(waveform_length), rate_hz),
        }
