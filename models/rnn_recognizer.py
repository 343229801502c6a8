"""Recurrent recogniser of isolated words."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import keras
import tensorflow as tf

from models.config import BELOW_1, NOT_NEGATIVE, Options, Range, option, sizes
from models.layers import AttentionPooling, LastPooling, MeanPooling
from models.recognizer import Recognizer


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
    pooling_units: int = option(
        0, "hidden units of attention pooling, 0 for as many as units", NOT_NEGATIVE
    )
    dropout: float = option(0.2, "dropout rate", BELOW_1, search=Range(0.0, 0.5))


@keras.saving.register_keras_serializable(package="tfspeech")
class RnnRecognizer(Recognizer):
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
        strides = [config.conv_stride] * config.conv_layers
        super().__init__(
            *(config, feature_dim, strides, config.tied_convolutions),
            name=name,
            **kwargs,
        )
        self.num_classes = num_classes
        policy = self.dtype_policy
        if config.pooling == "attention":
            self.pooling = AttentionPooling(
                config.pooling_units or config.units, dtype=policy, name="pooling"
            )
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
        self.create_weights()

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        return super().get_config() | {"num_classes": self.num_classes}

    def without_dead_units(self) -> Self:
        """Returns the model without units that are always 0, or that no score sees.

        These are recurrent units and those of attention pooling.
        """
        if not isinstance(self.pooling, AttentionPooling):
            return super().without_dead_units()
        config, arrays, rows = self._live_states()
        hidden, score = self.pooling.hidden, self.pooling.score
        places = self.pooling.live_units()
        if config == self.config and len(places) == hidden.units:
            return self
        config = dataclasses.replace(config, pooling_units=len(places))
        arrays[hidden.kernel.path] = hidden.kernel.numpy()[rows][:, places]
        arrays[hidden.bias.path] = hidden.bias.numpy()[places]
        arrays[score.kernel.path] = score.kernel.numpy()[places]
        return self._smaller(config, arrays)

    def call(
        self,
        inputs: dict[str, tf.Tensor],
        training: bool = False,
        with_activations: bool = False,
    ) -> dict[str, Any]:
        """Scores a batch.

        Args:
            inputs: As of `encode`.
            training: Whether dropout is on.
            with_activations: Whether activations are returned, too.

        Returns:
            `logits`, float32 [batch, num_classes]; on request `activations` and
            `activation_lengths`; see `encode`.
        """
        pooled, measured = self.embed(inputs, training)
        outputs = {"logits": tf.cast(self.classifier(pooled), tf.float32)}
        return outputs | (measured if with_activations else {})

    def embed(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, dict[str, Any]]:
        """Pools a batch over time.

        Args:
            inputs: As of `encode`.
            training: Whether dropout is on.

        Returns:
            What `classifier` turns into logits, [batch, channels]; and the activations
            of `encode`.
        """
        frames, lengths, measured = self.encode(inputs, training)
        return self.pooling(frames, lengths), measured
