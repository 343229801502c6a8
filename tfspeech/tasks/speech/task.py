"""What all tasks of models that speak have in common."""

from __future__ import annotations

import abc
import dataclasses

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.audio.vocoders import Vocoder
from tfspeech.data.pipeline import Batch
from tfspeech.tasks.conditions import Condition
from tfspeech.text.front_end import TextFrontEnd


class SpeechTask(abc.ABC):
    """From a model's frames to losses over them, and to waveforms.

    Args of the constructor:
        model: To `frames`.
        vocoder: From frames to waveforms.
        features: The frames.
        front_end: What reads texts.

    Attributes:
        conditions: Those that the model speaks under.
        vocoder: The same, compiled.
    """

    conditions: tuple[Condition, ...] = ()

    def __init__(
        self,
        model: keras.Model,
        vocoder: Vocoder,
        features: AcousticConfig,
        front_end: TextFrontEnd,
    ) -> None:
        self.model = model
        self.features = features
        self.front_end = front_end
        frames = tf.TensorSpec([None, None, features.frame_dim])
        self.vocoder = tf.function(vocoder, [frames, tf.TensorSpec([None], tf.int32)])

    @abc.abstractmethod
    def loss(self, outputs: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """The mean loss per frame over a batch, a scalar."""

    def weight(self, batch: Batch) -> tf.Tensor:
        """The frames of a batch, a float32 scalar."""
        return tf.cast(tf.reduce_sum(batch["frame_lengths"]), tf.float32)

    def waveform(self, frames: np.ndarray) -> np.ndarray:
        """Makes a waveform, float32 [samples], of frames [frames, frame_dim]."""
        length = tf.constant([len(frames)])
        waveforms, lengths = self.vocoder(tf.constant(frames[np.newaxis]), length)
        return waveforms.numpy()[0, : int(lengths[0])]

    def log_mels(self, waveform: np.ndarray) -> np.ndarray:
        """Computes log-mels [frames, num_mels] of a waveform, float32 [samples]."""
        features = dataclasses.replace(self.features, lpc_order=0, pitch=False)
        samples = tf.constant(waveform[np.newaxis])
        return acoustic_frames(samples, [len(waveform)], features)[0].numpy()[0]

    def mean_loss(self, batches: tf.data.Dataset) -> float:
        """The mean loss per frame over batches, under teacher forcing if there is."""
        total = frames = 0.0
        for batch in batches:
            loss, weight = self._evaluate(batch)
            total, frames = total + float(loss * weight), frames + float(weight)
        return total / frames

    @tf.function(reduce_retracing=True)
    def _evaluate(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        loss = self.loss(self.model(batch, training=False), batch)
        return loss, self.weight(batch)
