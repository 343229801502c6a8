"""Recurrent recogniser of connected speech."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import keras
import tensorflow as tf

from models.config import BELOW_1, Options, Range, option, sizes
from models.layers import (
    Dropout,
    FeatureNormalization,
    MaskedConv1D,
    Recurrent,
    mask_frames,
)
from models.layers.dead_units import drop_zero_units, kept_outputs, live_units
from models.model import SpeechModel


@dataclasses.dataclass(frozen=True)
class CtcRecognizerConfig(Options):
    """CTC recogniser: convolutions, recurrent layers, a softmax for every frame."""

    cell: str = option("gru", "recurrent cell", choices=("elman", "lstm", "gru"))
    layers: int = option(2, "number of recurrent layers", search=(1, 2, 3))
    units: int = option(128, "units per recurrent layer and direction", search=sizes)
    bidirectional: bool = option(True, "bidirectional recurrent layers")
    conv_strides: tuple[int, ...] = option(
        (2, 2),
        "stride of each convolution before the recurrent layers; the flag repeated "
        "for several",
        unit="frames",
    )
    conv_filters: int = option(128, "filters per convolution", search=sizes)
    conv_kernel_size: int = option(5, "kernel size of each convolution", unit="frames")
    dropout: float = option(0.2, "dropout rate", BELOW_1, search=Range(0.0, 0.5))

    def output_lengths(self, lengths: Any) -> Any:
        """Returns how many frames come out of the convolutions.

        Args:
            lengths: Frames that go in, an integer or integers in a tensor or array.
        """
        for stride in self.conv_strides:
            lengths = -(-lengths // stride)
        return lengths


@keras.saving.register_keras_serializable(package="tfspeech")
class CtcRecognizer(SpeechModel):
    """Classifier of every frame of padded batches into symbols and the blank.

    What the classes of the frames read as is in `models.ctc`.

    Args of the constructor:
        config: The architecture.
        feature_dim: Features per frame.
        num_symbols: Number of symbols, without the blank.

    Attributes:
        output_layers: The layers whose units are symbols.
        activation_names: The layers whose activations `call` returns on request.
    """

    def __init__(
        self,
        config: CtcRecognizerConfig,
        feature_dim: int,
        num_symbols: int,
        name: str = "ctc_recognizer",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
        self.feature_dim = feature_dim
        self.num_symbols = num_symbols
        policy = self.dtype_policy
        # Statistics lose too much in half precision.
        self.normalization = FeatureNormalization(dtype="float32", name="features")
        self.convolutions = [
            MaskedConv1D(
                *(config.conv_filters, config.conv_kernel_size, stride),
                dtype=policy,
                name=f"conv_{index}",
            )
            for index, stride in enumerate(config.conv_strides)
        ]
        self.norms = [
            keras.layers.LayerNormalization(dtype=policy, name=f"conv_norm_{index}")
            for index in range(len(config.conv_strides))
        ]
        self.recurrent = [
            Recurrent(
                *(config.cell, config.units, config.bidirectional),
                dtype=policy,
                name=f"recurrent_{index}",
            )
            for index in range(config.layers)
        ]
        self.conv_dropouts = [
            Dropout(config.dropout, dtype=policy, name=f"conv_dropout_{index}")
            for index in range(len(config.conv_strides))
        ]
        self.recurrent_dropouts = [
            Dropout(config.dropout, dtype=policy, name=f"recurrent_dropout_{index}")
            for index in range(config.layers)
        ]
        self.classifier = keras.layers.Dense(
            num_symbols + 1, dtype=policy, name="classifier"
        )
        self.output_layers = [self.classifier]
        self.activation_names = tuple(layer.name for layer in self.recurrent)
        lengths = tf.ones([1], tf.int32)
        self({"features": tf.zeros([1, 1, feature_dim]), "lengths": lengths})

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
        sizes = {"feature_dim": self.feature_dim, "num_symbols": self.num_symbols}
        return super().get_config() | sizes

    def without_dead_units(self) -> Self:
        """Returns the model without recurrent units that are always 0."""
        kept = live_units(self.recurrent)
        arrays = drop_zero_units(self.recurrent, kept)
        rows = kept_outputs(self.recurrent[-1], kept[-1])
        arrays[self.classifier.kernel.path] = self.classifier.kernel.numpy()[rows]
        config = dataclasses.replace(self.config, units=len(kept[0][0]))
        return self if config == self.config else self._smaller(config, arrays)

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
            `logits`, float32 [batch, frames, num_symbols + 1], of the symbols and, at
            the place `models.ctc.BLANK`, the blank, 0 beyond the lengths; and
            `logit_lengths` int32 [batch], in frames. On request `activations`, the
            outputs of the recurrent layers before dropout, within (-1, 1), by layer,
            [batch, frames, units]; and `activation_lengths`, by layer, int32 [batch],
            in frames.
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
        logits = tf.cast(self.classifier(frames), tf.float32)
        outputs = {"logits": mask_frames(logits, lengths), "logit_lengths": lengths}
        if with_activations:
            outputs["activations"] = activations
            outputs["activation_lengths"] = dict.fromkeys(activations, lengths)
        return outputs
