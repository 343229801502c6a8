"""The graph of a generator of words that TF Serving runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import Vocoder
from tfspeech.tasks.conditions import Condition


class Served(Protocol):
    """Parts of a task that are exported."""

    model: keras.Model
    vocoder: Vocoder
    vocoder_variables: tuple[keras.Variable, ...]
    features: AcousticConfig
    conditions: Sequence[Condition]
    generate: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class GenerationServer(tf.Module):
    """Generator and vocoder as one module of TensorFlow's own operations.

    Args of the constructor:
        task: Its generator and vocoder are exported.
    """

    def __init__(self, task: Served) -> None:
        super().__init__(name="generation_server")
        self._features = task.features
        self._vocoder = task.vocoder
        self._generate = task.generate
        self._conditions = task.conditions
        # Keras hides its variables from TensorFlow's tracking; the export needs them.
        variables = *task.model.variables, *task.vocoder_variables
        self._weights = [v.value for v in variables]

    # An export looks at all attributes; functions are to be traced once.
    @functools.cached_property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        specs = {condition.name: condition.spec for condition in self._conditions}
        draw = tf.function(self.draw).get_concrete_function(**specs)
        return {"serving_default": draw, "draw": draw}

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature."""
        request = {
            condition.name: np.full(1, condition.default, np.float32)
            for condition in self._conditions
        }
        return {"serving_default": request, "draw": request}

    @property
    def metadata(self) -> dict[str, Any]:
        """Properties of the model that its signatures do not tell a client."""
        return {
            "sample_rate_hz": self._features.sample_rate_hz,
            "hop_length": self._features.hop_length,
        }

    def draw(self, **conditions: tf.Tensor) -> dict[str, tf.Tensor]:
        """Makes clips, each by its own seed.

        Args:
            **conditions: All of the model, each float32 [batch].

        Returns:
            `waveform` float32 [batch, samples] in [-1, 1], 0 beyond `waveform_length`
            int32 [batch] in samples; `sample_rate_hz` int32 [batch]; `frames` float32
            [batch, frames, frame_dim] and `frame_length` int32 [batch].

        Raises:
            tf.errors.InvalidArgumentError: A condition is out of range.
        """
        in_range = [c.check_in_graph(conditions[c.name]) for c in self._conditions]
        with tf.control_dependencies(in_range):
            seeds = tf.cast(conditions["seed"], tf.int64)
        frames, frame_length = self._generate(seeds, conditions["temperature"])
        waveform, waveform_length = self._vocoder(frames, frame_length)
        rate_hz = self._features.sample_rate_hz
        return {
            "waveform": tf.clip_by_value(waveform, -1.0, 1.0),
            "waveform_length": waveform_length,
            "sample_rate_hz": tf.fill(tf.shape(waveform_length), rate_hz),
            "frames": frames,
            "frame_length": frame_length,
        }
