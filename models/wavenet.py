"""WaveNet: speech sample by sample, from all samples before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.config import Options, option, sizes
from models.layers import mask_frames
from models.layers.activations import silu
from models.layers.convolution_block import ConvolutionBlock
from models.layers.mu_law import (
    LEVELS,
    mu_law_classes,
    mu_law_levels,
    mu_law_samples,
)
from models.vocoder import VocoderNetwork


@dataclasses.dataclass(frozen=True)
class WaveNetConfig(Options):
    """WaveNet: dilated causal convolutions over all samples before, one at a time."""

    channels: int = option(32, "channels of the residual path", search=sizes)
    skip_channels: int = option(64, "channels of the skip connections", search=sizes)
    cycles: int = option(2, "cycles of dilations", search=(1, 2, 3))
    dilations: int = option(
        8, "layers of a cycle, each with twice the dilation of the one before"
    )
    frame_channels: int = option(
        64, "channels of the two convolutions over frames", search=sizes
    )


@keras.saving.register_keras_serializable(package="tfspeech")
class WaveNet(VocoderNetwork):
    """Distribution of every sample, given those before and acoustic frames.

    A. van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016: gated
    activations, residual and skip connections. A convolution of width 2 is a dense
    layer of two samples, so that training, which knows all samples, and generation,
    which caches those that will be needed, call the same layers.

    Args of the constructor:
        config: The architecture.
        frame_dim: Values of a frame.
        hop_length: Samples from one frame to the next.
    """

    signals = ("waveform",)

    def __init__(
        self,
        config: WaveNetConfig,
        frame_dim: int,
        hop_length: int,
        name: str = "wavenet",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, frame_dim, hop_length, name=name, **kwargs)
        self._dilations = [2**i for i in range(config.dilations)] * config.cycles
        layers, policy = len(self._dilations), self.dtype_policy

        def dense(units: int, name: str) -> keras.layers.Dense:
            return keras.layers.Dense(units, dtype=policy, name=name)

        self.frame_blocks = [
            ConvolutionBlock(
                *(config.frame_channels, 3, silu, 0.0),
                dtype=policy,
                name=f"frame_block_{index}",
            )
            for index in range(2)
        ]
        gates = 2 * config.channels
        self.condition = dense(layers * gates, "condition")
        self.first = dense(config.channels, "first")
        self.gates = [dense(gates, f"gates_{i}") for i in range(layers)]
        self.mixes = [
            dense(config.channels + config.skip_channels, f"mix_{i}")
            for i in range(layers)
        ]
        self.hidden = dense(config.skip_channels, "hidden")
        self.last = dense(LEVELS, "last")
        self.output_layers = [self.last]
        self.make_weights()

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Predicts every sample from the true ones before it.

        Args:
            inputs: `frames` float32 [batch, frames, frame_dim] with `frame_lengths`
                int32 [batch]; `waveform` float32 [batch, frames, hop_length], full
                scale 1, from the centre of a frame to that of the next.
            training: Without influence; there is no dropout.

        Returns:
            `logits` float32 [batch, frames x hop_length, 256], of the classes of
            `mu_law_classes`; 0 from the last valid frame on.
        """
        hops = inputs["frame_lengths"] - 1
        waveform = mask_frames(inputs["waveform"], hops)
        batch, count, _ = tf.unstack(tf.shape(waveform))
        levels = mu_law_levels(mu_law_classes(tf.reshape(waveform, [batch, -1])))
        before = tf.pad(levels, [[0, 0], [1, 0]])[:, :-1]
        conditions = self._conditions(inputs["frames"], inputs["frame_lengths"])

        def with_past(index: int, values: tf.Tensor) -> tf.Tensor:
            past = tf.pad(values, [[0, 0], [self._dilations[index], 0], [0, 0]])
            return tf.concat([past[:, : count * self.hop_length], values], axis=2)

        def gated(index: int, values: tf.Tensor) -> tf.Tensor:
            # All samples of a hop are under one frame.
            shape = [batch, count, self.hop_length, values.shape[-1]]
            added = tf.reshape(values, shape) + conditions[:, :, index, tf.newaxis]
            return _gated(tf.reshape(added, tf.shape(values)))

        logits = self._logits(before[:, :, tf.newaxis], with_past, gated)
        return {"logits": mask_frames(logits, hops * self.hop_length)}

    def generate(
        self, frames: tf.Tensor, lengths: tf.Tensor, drawn: tf.Tensor
    ) -> tf.Tensor:
        """Draws sample after sample; what layers will need of the past is cached.

        Args:
            frames: float32 [batch, frames, frame_dim].
            lengths: int32 [batch], the valid frames.
            drawn: Where in its distribution each sample is, in [0, 1), float32
                [batch, frames x hop_length].

        Returns:
            float32 [batch, frames, hop_length], 0 from the last valid frame on.
        """
        batch, count = tf.unstack(tf.shape(frames)[:2])
        # Behind one another lie the steps, the layers and the utterances.
        conditions = tf.transpose(self._conditions(frames, lengths), [1, 2, 0, 3])
        drawn = tf.transpose(drawn)
        size = [sum(self._dilations), batch, self.config.channels]
        # The last hop is behind the last valid frame of all.
        samples = (count - 1) * self.hop_length

        def step(
            number: tf.Tensor, level: tf.Tensor, cache: tf.Tensor, found: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray]:
            condition = conditions[number // self.hop_length]
            logits, cache = self._next(number, level, condition, cache)
            classes = _chosen(logits, drawn[number])
            level = mu_law_levels(classes)[:, tf.newaxis]
            return number + 1, level, cache, found.write(number, classes)

        *_, found = tf.while_loop(
            lambda number, *_: number < samples,
            step,
            (
                tf.constant(0),
                tf.zeros([batch, 1]),
                tf.zeros(size, self.compute_dtype),
                tf.TensorArray(tf.int32, samples, element_shape=[None]),
            ),
        )
        waveform = mu_law_samples(tf.transpose(found.stack()))
        waveform = tf.pad(waveform, [[0, 0], [0, self.hop_length]])
        waveform = tf.reshape(waveform, [batch, count, self.hop_length])
        return mask_frames(waveform, lengths - 1)

    def _next(
        self,
        number: tf.Tensor,
        level: tf.Tensor,
        condition: tf.Tensor,
        cache: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Predicts one sample, and caches what later ones need of it.

        Args:
            number: Of the sample, int32.
            level: Of the sample before, float32 [batch, 1].
            condition: What its frame adds to the gates, [layers, batch, gates].
            cache: Inputs of the layers, [sum of dilations, batch, channels].

        Returns:
            The logits, float32 [batch, 256], and the cache of the next sample.
        """
        # The cached values of a layer lie behind those of the layers before it.
        starts = tf.constant(np.cumsum([0, *self._dilations[:-1]]), tf.int32)
        places = starts + number % tf.constant(self._dilations)
        past = tf.gather(cache, places)
        entered = []

        def with_past(index: int, values: tf.Tensor) -> tf.Tensor:
            entered.append(values)
            return tf.concat([past[index], values], axis=1)

        logits = self._logits(
            level, with_past, lambda index, x: _gated(x + condition[index])
        )
        places = places[:, tf.newaxis]
        return logits, tf.tensor_scatter_nd_update(cache, places, tf.stack(entered))

    def _conditions(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Returns the frames' part of the gates, [batch, frames, layers, gates]."""
        hidden = self.normalized(frames, lengths)
        for block in self.frame_blocks:
            hidden = block(hidden, lengths)
        shape = [*tf.unstack(tf.shape(hidden)[:2]), len(self._dilations)]
        return tf.reshape(self.condition(hidden), [*shape, 2 * self.config.channels])

    def _logits(
        self,
        before: tf.Tensor,
        with_past: Callable[[int, tf.Tensor], tf.Tensor],
        gated: Callable[[int, tf.Tensor], tf.Tensor],
    ) -> tf.Tensor:
        """The stack of layers over one sample or over all.

        Args:
            before: Levels of the samples before, float32 [..., 1].
            with_past: (number of a layer, its inputs) -> with those of its dilation
                ago in front of them, [..., 2 channels].
            gated: (number of a layer, its sums) -> activations under the frames.

        Returns:
            float32 [..., 256].
        """
        values = self.first(tf.cast(before, self.compute_dtype))
        skips = 0.0
        for index, (gates, mix) in enumerate(zip(self.gates, self.mixes, strict=True)):
            mixed = mix(gated(index, gates(with_past(index, values))))
            skips += mixed[..., self.config.channels :]
            values += mixed[..., : self.config.channels]
        hidden = tf.nn.relu(self.hidden(tf.nn.relu(skips)))
        return tf.cast(self.last(hidden), tf.float32)


def _gated(values: tf.Tensor) -> tf.Tensor:
    """Multiplies the tanh of half of the channels by the sigmoid of the others."""
    filters, gates = tf.split(values, 2, axis=-1)
    return tf.tanh(filters) * tf.sigmoid(gates)


def _chosen(logits: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Chooses classes, int32 [batch], by where in their distributions samples are.

    Args:
        logits: float32 [batch, classes].
        drawn: In [0, 1), float32 [batch].
    """
    shares = tf.cumsum(tf.nn.softmax(logits), axis=1)
    below = tf.cast(shares < drawn[:, tf.newaxis], tf.int32)
    # Rounding may leave the sum of all shares below what was drawn.
    return tf.minimum(tf.reduce_sum(below, axis=1), LEVELS - 1)
