"""Base of recognisers: normalised features, convolutions, recurrent layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from models.config import Options
from models.layers import Dropout, FeatureNormalization, MaskedConv1D, Recurrent
from models.layers.activations import silu
from models.layers.dead_units import drop_zero_units, kept_outputs, live_units
from models.model import SpeechModel, features_signature


class Recognizer(SpeechModel):
    """Convolutions and recurrent layers under a classifier, over padded batches.

    A subclass adds its `classifier`, calls `create_weights`, and has a `call` that
    begins with `encode`.

    Args of the constructor:
        config: The architecture: `cell`, `layers`, `units`, `bidirectional`,
            `conv_filters`, `conv_kernel_size` and `dropout`.
        feature_dim: Features per frame.
        conv_strides: Of every convolution, in frames.
        tied: Whether convolutions are depthwise where as many channels go in as out.
        causal: Whether no layer sees a later frame, so that there is `stream`.

    Attributes:
        activation_names: The layers whose activations `call` returns on request.
    """

    def __init__(
        self,
        config: Options,
        feature_dim: int,
        conv_strides: Sequence[int],
        tied: bool = False,
        causal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, **kwargs)
        self.feature_dim = feature_dim
        policy = self.dtype_policy
        convolutions = range(len(conv_strides))
        # Statistics lose too much in half precision.
        self.normalization = FeatureNormalization(dtype="float32", name="features")
        self.convolutions = [
            MaskedConv1D(
                config.conv_filters,
                config.conv_kernel_size,
                stride,
                tied and (index > 0 or feature_dim == config.conv_filters),
                causal,
                dtype=policy,
                name=f"conv_{index}",
            )
            for index, stride in enumerate(conv_strides)
        ]
        self.norms = [
            keras.layers.LayerNormalization(dtype=policy, name=f"conv_norm_{index}")
            for index in convolutions
        ]
        self.recurrent = [
            Recurrent(
                *(config.cell, config.units, config.bidirectional and not causal),
                dtype=policy,
                name=f"recurrent_{index}",
            )
            for index in range(config.layers)
        ]
        self.conv_dropouts = [
            Dropout(config.dropout, dtype=policy, name=f"conv_dropout_{index}")
            for index in convolutions
        ]
        self.recurrent_dropouts = [
            Dropout(config.dropout, dtype=policy, name=f"recurrent_dropout_{index}")
            for index in range(config.layers)
        ]
        self.activation_names = tuple(layer.name for layer in self.recurrent)

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call` in recognition."""
        return features_signature(self.feature_dim)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        return super().get_config() | {"feature_dim": self.feature_dim}

    def without_dead_units(self) -> Self:
        """Returns the model without recurrent units that are always 0."""
        config, arrays, _ = self._live_states()
        return self if config == self.config else self._smaller(config, arrays)

    def _live_states(self) -> tuple[Options, dict[str, np.ndarray], np.ndarray]:
        """Leaves recurrent units out whose states are always 0.

        Returns:
            The configuration; path of a weight -> what is left of its values; and which
            of the channels under the pooling or the classifier are left, int
            [channels].
        """
        kept = live_units(self.recurrent)
        arrays = drop_zero_units(self.recurrent, kept)
        rows = kept_outputs(self.recurrent[-1], kept[-1])
        kernel = self.classifier.kernel
        arrays[kernel.path] = kernel.numpy()[rows]
        config = dataclasses.replace(self.config, units=len(kept[0][0]))
        return config, arrays, rows

    def create_weights(self) -> None:
        """Creates all weights, by scoring one frame."""
        lengths = tf.ones([1], tf.int32)
        self({"features": tf.zeros([1, 1, self.feature_dim]), "lengths": lengths})

    def encode(
        self, inputs: dict[str, tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, Any]]:
        """Runs all layers under the classifier.

        Args:
            inputs: `features` float32 [batch, frames, feature_dim] and `lengths` int32
                [batch], in frames; and `seeds` int64 [batch] of the dropout, drawn
                where they are not given.
            training: Whether dropout is on.

        Returns:
            The frames that come out, [batch, frames, channels]; their lengths, int32
            [batch]; and `activations`, the outputs of the recurrent layers before
            dropout, within (-1, 1), by layer, [batch, frames, units], with
            `activation_lengths`, by layer, int32 [batch], in frames.
        """
        lengths, seeds = inputs["lengths"], inputs.get("seeds")
        frames = self.normalization(inputs["features"])
        frames = tf.cast(frames, self.compute_dtype)
        for convolution, norm, dropout in zip(
            self.convolutions, self.norms, self.conv_dropouts, strict=True
        ):
            frames, lengths = convolution(frames, lengths)
            frames = dropout(silu(norm(frames)), seeds, training=training)
        activations = {}
        for recurrent, dropout in zip(
            self.recurrent, self.recurrent_dropouts, strict=True
        ):
            frames = recurrent(frames, lengths)
            activations[recurrent.name] = frames
            frames = dropout(frames, seeds, training=training)
        measured = {
            "activations": activations,
            "activation_lengths": dict.fromkeys(activations, lengths),
        }
        return frames, lengths, measured
