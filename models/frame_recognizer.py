"""Recurrent classifier of every frame, the base of recognisers of connected speech."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from models.config import BELOW_1, Options, Range, option, sizes
from models.layers import mask_frames
from models.recognizer import Recognizer


@dataclasses.dataclass(frozen=True)
class FrameRecognizerConfig(Options):
    """Convolutions, recurrent layers, a softmax for every frame."""

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


class FrameRecognizer(Recognizer):
    """Classifier of every frame of padded batches.

    A subclass calls `create_weights` at the end of its constructor.

    Args of the constructor:
        config: The architecture.
        feature_dim: Features per frame.
        num_classes: Classes of a frame.
        causal: As of `Recognizer`.

    Attributes:
        output_layers: The layers whose units are classes.
    """

    def __init__(
        self,
        config: FrameRecognizerConfig,
        feature_dim: int,
        num_classes: int,
        causal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            config, feature_dim, config.conv_strides, causal=causal, **kwargs
        )
        self.classifier = keras.layers.Dense(
            num_classes, dtype=self.dtype_policy, name="classifier"
        )
        self.output_layers = [self.classifier]

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
            `logits`, float32 [batch, frames, num_classes], 0 beyond the lengths; and
            `logit_lengths` int32 [batch], in frames. On request `activations` and
            `activation_lengths`; see `encode`.
        """
        frames, lengths, measured = self.encode(inputs, training)
        logits = tf.cast(self.classifier(frames), tf.float32)
        outputs = {"logits": mask_frames(logits, lengths), "logit_lengths": lengths}
        return outputs | (measured if with_activations else {})
