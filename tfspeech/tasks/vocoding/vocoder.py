"""Trained networks as vocoders of the frames that a synthesiser predicts."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from models.layers import mask_frames
from models.layers.random import uniform
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.correction import correct_mels
from tfspeech.audio.excitation import NOISE_FRAMES, flat_noise, pulses
from tfspeech.audio.vocoders import valid_samples


class NeuralVocoder:
    """Pulses and noise through the filters that a network predicts.

    Args of the constructor:
        model: The network, of `SourceFilter`'s inputs and outputs.
        features: The frames.
        values: Which of the values of a frame the network sees, int [values].
        corrections: See `vocoded`.
    """

    def __init__(
        self,
        model: keras.Model,
        features: AcousticConfig,
        values: np.ndarray,
        corrections: int = 0,
    ) -> None:
        self._model = model
        self._features = features
        self._values = values
        self._corrections = corrections

    def __call__(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Synthesizes a batch: see `tfspeech.audio.vocoders.Vocoder`."""
        hop_length = self._features.hop_length
        frames = mask_frames(frames, frame_lengths)
        waveforms = self._hops(frames, frame_lengths)
        waveforms = tf.reshape(waveforms, [tf.shape(waveforms)[0], -1])
        return valid_samples(waveforms, frame_lengths, hop_length)

    def _hops(self, frames: tf.Tensor, frame_lengths: tf.Tensor) -> tf.Tensor:
        """Synthesizes from frames that are 0 behind the valid ones.

        Returns:
            float32 [batch, frames, hop_length].
        """
        inputs = network_inputs(frames, frame_lengths, self._features, self._values)
        return vocoded(self._model, inputs, self._features, self._corrections)


class WaveNetVocoder(NeuralVocoder):
    """Speech that a `WaveNet` draws, sample by sample, and always in the same way.

    Where two graphs round differently, a sample may be drawn otherwise, and then all
    that follow it are.
    """

    def _hops(self, frames: tf.Tensor, frame_lengths: tf.Tensor) -> tf.Tensor:
        """Draws the samples."""
        batch, count = tf.unstack(tf.shape(frames)[:2])
        samples = count * self._features.hop_length
        drawn = uniform(tf.zeros([1], tf.int64), [samples], "samples")
        drawn = tf.tile(drawn, [batch, 1])
        frames = tf.gather(frames, self._values, axis=2)
        return self._model.generate(frames, frame_lengths, drawn)


def vocoded(
    model: keras.Model,
    inputs: dict[str, tf.Tensor],
    features: AcousticConfig,
    corrections: int,
) -> tf.Tensor:
    """Vocodes frames, and corrects the result towards their log-mels.

    Args:
        model: The network, of `SourceFilter`'s inputs and outputs.
        inputs: Of the network; log-mels come first in its frames if there are
            corrections.
        features: The frames.
        corrections: How many times; see `correct_mels`.

    Returns:
        float32 [batch, frames, hop_length], as the network returns it.
    """
    hops = model(inputs)["waveform"]
    if not corrections:
        return hops
    shape, lengths = tf.shape(hops), inputs["frame_lengths"]
    waveforms = correct_mels(
        tf.reshape(hops, [shape[0], -1]),
        inputs["frames"][:, :, : features.num_mels],
        *(lengths, features, corrections),
    )
    return mask_frames(tf.reshape(waveforms, shape), lengths - 1)


def network_inputs(
    frames: tf.Tensor,
    frame_lengths: tf.Tensor,
    features: AcousticConfig,
    values: np.ndarray,
    seeds: tf.Tensor | None = None,
    first_frame: tf.Tensor | int = 0,
    first_turns: tf.Tensor | float = 0.0,
) -> dict[str, tf.Tensor]:
    """Prepares what a network sees, and what it filters.

    Args:
        frames: As of `acoustic_frames`, float32 [batch, frames, frame_dim].
        frame_lengths: int32 [batch].
        features: The frames.
        values: Which of the values of a frame the network sees, int [values].
        seeds: Of the place where the noise begins, int64 [batch]; by default it is that
            of the first frame.
        first_frame: Number of the first frame in an utterance, int32 [batch].
        first_turns: The phase of the pulses there, float32 [batch].

    Returns:
        `frames` float32 [batch, frames, values] with `frame_lengths` int32 [batch];
        `pulses` and `noise`, float32 [batch, frames, hop_length].
    """
    hop_length, rate_hz = features.hop_length, features.sample_rate_hz
    batch, count = tf.unstack(tf.shape(frames)[:2])
    if seeds is not None:
        drawn = uniform(seeds, [], "noise") * NOISE_FRAMES
        first_frame = tf.cast(drawn, tf.int32)
    first_frame = tf.broadcast_to(first_frame, [batch])
    white = flat_noise(first_frame, count, hop_length, features.frame_length)
    return {
        "frames": tf.gather(frames, values, axis=2),
        "frame_lengths": frame_lengths,
        "pulses": pulses(frames[:, :, -2], hop_length, rate_hz, first_turns),
        "noise": white,
    }
