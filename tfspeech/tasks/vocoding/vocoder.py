"""A trained network as a vocoder of the frames that a synthesiser predicts."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.excitation import noise, pulses
from tfspeech.audio.vocoders import valid_samples


class NeuralVocoder:
    """Pulses and noise through the filters that a network predicts.

    Args of the constructor:
        model: The network, of `SourceFilter`'s inputs and outputs.
        features: The frames.
        values: Which of the values of a frame the network sees, int [values].
    """

    def __init__(
        self, model: keras.Model, features: AcousticConfig, values: np.ndarray
    ) -> None:
        self._model = model
        self._features = features
        self._values = values

    def __call__(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Synthesizes a batch: see `tfspeech.audio.vocoders.Vocoder`."""
        hop_length = self._features.hop_length
        valid = tf.sequence_mask(frame_lengths, tf.shape(frames)[1])[:, :, tf.newaxis]
        frames = tf.where(valid, frames, 0.0)
        inputs = network_inputs(frames, frame_lengths, self._features, self._values)
        waveforms = self._model(inputs)["waveform"]
        waveforms = tf.reshape(waveforms, [tf.shape(waveforms)[0], -1])
        return valid_samples(waveforms, frame_lengths, hop_length)


def network_inputs(
    frames: tf.Tensor,
    frame_lengths: tf.Tensor,
    features: AcousticConfig,
    values: np.ndarray,
    white: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Prepares what a network sees, and what it filters.

    Args:
        frames: As of `acoustic_frames`, float32 [batch, frames, frame_dim].
        frame_lengths: int32 [batch].
        features: The frames.
        values: Which of the values of a frame the network sees, int [values].
        white: White noise of mean square 1, float32 [batch, frames, hop_length]; by
            default one that is always the same.

    Returns:
        `frames` float32 [batch, frames, values] with `frame_lengths` int32 [batch];
        `pulses` and `noise`, float32 [batch, frames, hop_length].
    """
    hop_length, rate_hz = features.hop_length, features.sample_rate_hz
    shape = tf.stack([*tf.unstack(tf.shape(frames)[:2]), hop_length])
    if white is None:
        white = noise(shape[1] * hop_length, rate_hz)
        white = tf.broadcast_to(tf.reshape(white, shape[1:]), shape)
    return {
        "frames": tf.gather(frames, values, axis=2),
        "frame_lengths": frame_lengths,
        "pulses": pulses(frames[:, :, -2], hop_length, rate_hz),
        "noise": white,
    }
