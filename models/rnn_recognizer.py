"""Recurrent recogniser of isolated words."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from models.config import BELOW_1, NOT_NEGATIVE, Options, Range, option, sizes
from models.layers import (
    AttentionPooling,
    Dropout,
    FeatureNormalization,
    LastPooling,
    MaskedConv1D,
    MeanPooling,
    Recurrent,
)
from models.model import SpeechModel


@dataclasses.dataclass(frozen=True)
class RnnRecognizerConfig(Options):
    """RNN recogniser: optional convolutions, recurrent layers, pooling, softmax.

    A plain Elman network, 128 features -> 256 units -> 10 words from the last step, is
    `RnnRecognizerConfig(cell="elman", units=256, layers=1, bidirectional=False,
    conv_layers=0, pooling="last", dropout=0.0)` on 128 features.
    """

    cell: str = option("gru", "recurrent cell", choices=("elman", "lstm", "gru"))
    layers: int = option(1, "number of recurrent layers", search=(1, 2))
    units: int = option(128, "units per recurrent layer and direction", search=sizes)
    bidirectional: bool = option(True, "bidirectional recurrent layers")
    conv_layers: int = option(
        2, "convolutions before the recurrent layers, 0 for none", NOT_NEGATIVE
    )
    conv_filters: int = option(128, "filters per convolution", search=sizes)
    conv_kernel_size: int = option(5, "kernel size of each convolution", unit="frames")
    conv_stride: int = option(2, "stride of each convolution", unit="frames")
    tied_convolutions: bool = option(
        False, "depthwise convolutions where input and output channels are as many"
    )
    pooling: str = option(
        "attention", "pooling over time", choices=("last", "mean", "attention")
    )
    dropout: float = option(0.2, "dropout rate", BELOW_1, search=Range(0.0, 0.5))


@keras.saving.register_keras_serializable(package="tfspeech")
class RnnRecognizer(SpeechModel):
    """Classifier of padded batches of feature sequences into words.

    Args of the constructor:
        config: The architecture.
        feature_dim: Features per frame.
        num_classes: Number of words.

    Attributes:
        output_layers: The layers whose units are words.
        activation_names: The layers whose activations `call` returns on request.
    """

    def __init__(
        self,
        config: RnnRecognizerConfig,
        feature_dim: int,
        num_classes: int,
        name: str = "rnn_recognizer",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
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
                "lengths": tf.ones([1], "int32"),
            }
        )

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call` in recognition."""
        shape = [None, None, self.feature_dim]
        return {
            "features": tf.TensorSpec(shape, tf.float32, "features"),
            "lengths": tf.TensorSpec([None], tf.int32, "lengths"),
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        sizes = {"feature_dim": self.feature_dim, "num_classes": self.num_classes}
        return super().get_config() | sizes

    def call(
        self,
        inputs: dict[str, tf.Tensor],
        training: bool = False,
        with_activations: bool = False,
    ) -> dict[str, Any]:
        """Scores a batch.

        Args:
            inputs: `features` float32 [batch, frames, feature_dim] and `lengths` int32
                [batch], in frames; and `seeds` int64 [batch] of the dropout, drawn
                where they are not given.
            training: Whether dropout is on.
            with_activations: Whether activations are returned, too.

        Returns:
            `logits`, float32 [batch, num_classes], and `embedding` [batch, channels],
            from which `classifier` makes them. On request `activations`, the outputs
            of the recurrent layers before dropout, within (-1, 1), by layer, [batch,
            frames, units]; and `activation_lengths`, by layer, int32 [batch], in
            frames.
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
        logits = tf.cast(self.classifier(pooled), tf.float32)
        outputs = {"logits": logits, "embedding": pooled}
        if with_activations:
            outputs["activations"] = activations
            outputs["activation_lengths"] = dict.fromkeys(activations, lengths)
        return outputs
