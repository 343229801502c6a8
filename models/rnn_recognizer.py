"""Recurrent recogniser of isolated words."""

from __future__ import annotations

import dataclasses

import keras
import tensorflow as tf

from models.config import Range, check_choices, option, sizes
from models.layers import (
    AttentionPooling,
    Dropout,
    FeatureNormalization,
    LastPooling,
    MaskedConv1D,
    MeanPooling,
    Recurrent,
)


@dataclasses.dataclass(frozen=True)
class RnnRecognizerConfig:
    """RNN recogniser: optional convolutions, recurrent layers, pooling, softmax.

    A plain Elman network, 128 features -> 256 units -> 10 words from the last step, is
    `RnnRecognizerConfig(cell="elman", units=256, layers=1, bidirectional=False,
    conv_layers=0, pooling="last", dropout=0.0)` on 128 features.
    """

    cell: str = option("gru", "recurrent cell", choices=("elman", "lstm", "gru"))
    layers: int = option(1, "number of recurrent layers", search=(1, 2))
    units: int = option(128, "units per recurrent layer and direction", search=sizes)
    bidirectional: bool = option(True, "bidirectional recurrent layers")
    conv_layers: int = option(2, "convolutions before the recurrent layers, 0 for none")
    conv_filters: int = option(128, "filters per convolution", search=sizes)
    conv_kernel_size: int = option(5, "kernel size of each convolution", unit="frames")
    conv_stride: int = option(2, "stride of each convolution", unit="frames")
    tied_convolutions: bool = option(
        False, "depthwise convolutions where input and output channels are as many"
    )
    pooling: str = option(
        "attention", "pooling over time", choices=("last", "mean", "attention")
    )
    dropout: float = option(0.2, "dropout rate", search=Range(0.0, 0.5))

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("layers", "units", "conv_filters", "conv_kernel_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {self}")
        if self.conv_layers < 0 or self.conv_stride < 1:
            raise ValueError(
                f"conv_layers must be >= 0 and conv_stride >= 1. Received: {self}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1). Received: {self.dropout}")


class RnnRecognizer(keras.Model):
    """Classifier of padded batches of feature sequences into words.

    Args of the constructor:
        config: The architecture.
        feature_dim: Features per frame.
        num_classes: Number of words.

    Attributes:
        output_layers: The layers whose units are words.
        activation_names: The keys of `activations`.
    """

    def __init__(
        self,
        config: RnnRecognizerConfig,
        feature_dim: int,
        num_classes: int,
        **kwargs: object,
    ) -> None:
        super().__init__(name="rnn_recognizer", **kwargs)
        self.config = config
        self.feature_dim = feature_dim
        self.num_classes = num_classes
        policy = self.dtype_policy
        # Statistics lose too much in half precision.
        self.normalization = FeatureNormalization(dtype="float32", name="features")
        self.convolutions = [
            MaskedConv1D(
                config.conv_filters,
                config.conv_kernel_size,
                config.conv_stride,
                config.tied_convolutions and channels == config.conv_filters,
                dtype=policy,
                name=f"conv_{index}",
            )
            for index, channels in enumerate(
                [feature_dim, *[config.conv_filters] * config.conv_layers][:-1]
            )
        ]
        self.norms = [
            keras.layers.LayerNormalization(dtype=policy, name=f"conv_norm_{index}")
            for index in range(config.conv_layers)
        ]
        self.recurrent = [
            Recurrent(
                config.cell,
                config.units,
                config.bidirectional,
                dtype=policy,
                name=f"recurrent_{index}",
            )
            for index in range(config.layers)
        ]
        self.conv_dropouts = [
            Dropout(config.dropout, dtype=policy, name=f"conv_dropout_{index}")
            for index in range(config.conv_layers)
        ]
        self.recurrent_dropouts = [
            Dropout(config.dropout, dtype=policy, name=f"recurrent_dropout_{index}")
            for index in range(config.layers)
        ]
        if config.pooling == "attention":
            self.pooling = AttentionPooling(config.units, dtype=policy, name="pooling")
        elif config.pooling == "mean":
            self.pooling = MeanPooling(dtype=policy, name="pooling")
        else:
            self.pooling = LastPooling(
                config.bidirectional, dtype=policy, name="pooling"
            )
        self.classifier = keras.layers.Dense(
            num_classes, dtype=policy, name="classifier"
        )
        self.output_layers = [self.classifier]
        self.activation_names = tuple(layer.name for layer in self.recurrent)
        self(
            {
                "features": tf.zeros([1, 1, feature_dim]),
                "lengths": tf.ones([1], tf.int32),
            }
        )

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Scores a batch.

        Args:
            inputs: `features` float32 [batch, frames, feature_dim] and `lengths` int32
                [batch], in frames; and `seeds` int64 [batch] of the dropout, drawn
                where they are not given.
            training: Whether dropout is on.

        Returns:
            `logits`, float32 [batch, num_classes]; `activations`, the outputs of the
            recurrent layers before dropout, within (-1, 1), by layer, [batch, frames,
            units]; `activation_lengths`, by layer, int32 [batch], in frames.
        """
        lengths, seeds = inputs["lengths"], inputs.get("seeds")
        frames = self.normalization(inputs["features"])
        frames = tf.cast(frames, self.compute_dtype)
        for convolution, norm, dropout in zip(
            self.convolutions, self.norms, self.conv_dropouts, strict=True
        ):
            frames, lengths = convolution(frames, lengths)
            frames = dropout(tf.nn.silu(norm(frames)), seeds, training=training)
        activations = {}
        for recurrent, dropout in zip(
            self.recurrent, self.recurrent_dropouts, strict=True
        ):
            frames = recurrent(frames, lengths)
            activations[recurrent.name] = frames
            frames = dropout(frames, seeds, training=training)
        pooled = self.pooling(frames, lengths)
        return {
            "logits": tf.cast(self.classifier(pooled), tf.float32),
            "activations": activations,
            "activation_lengths": dict.fromkeys(activations, lengths),
        }
