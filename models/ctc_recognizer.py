"""Recurrent recogniser of connected speech by connectionist temporal classification."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from models.config import option
from models.frame_recognizer import FrameRecognizer, FrameRecognizerConfig
from models.layers import mask_frames
from models.layers.activations import silu


@dataclasses.dataclass(frozen=True)
class CtcRecognizerConfig(FrameRecognizerConfig):
    """CTC recogniser: convolutions, recurrent layers, a softmax for every frame."""

    causal: bool = option(
        False,
        "no layer sees a later frame, and recurrent layers have one direction, so that "
        "the model can transcribe speech while it is spoken",
    )


@keras.saving.register_keras_serializable(package="tfspeech")
class CtcRecognizer(FrameRecognizer):
    """Classifier of every frame of padded batches into symbols and the blank.

    The last class, at the place `models.ctc.BLANK`, is the blank. What the classes of
    the frames read as is in `models.ctc`.

    Args of the constructor:
        config: The architecture.
        feature_dim: Features per frame.
        num_symbols: Number of symbols, without the blank.
    """

    def __init__(
        self,
        config: CtcRecognizerConfig,
        feature_dim: int,
        num_symbols: int,
        name: str = "ctc_recognizer",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *(config, feature_dim, num_symbols + 1, config.causal), name=name, **kwargs
        )
        self.num_symbols = num_symbols
        self.create_weights()

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        return super().get_config() | {"num_symbols": self.num_symbols}

    @property
    def past_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors of a row that `stream` needs from one call to the next.

        All are float32, and 0 at the start of an utterance.
        """
        config = self.config
        channels = [self.feature_dim, *[config.conv_filters] * len(self.convolutions)]
        return {
            layer.name: (config.conv_kernel_size - 1, count)
            for layer, count in zip(self.convolutions, channels, strict=False)
        } | {layer.name: (layer.states, layer.units) for layer in self.recurrent}

    def stream(
        self, features: tf.Tensor, lengths: tf.Tensor, past: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Scores the next frames of utterances; only a causal model can.

        Args:
            features: float32 [batch, frames, feature_dim], at least one frame.
            lengths: How many of them are valid, int32 [batch]: a multiple of the
                product of the strides but at the end of an utterance.
            past: Of the frames before, [batch, *shape of `past_shapes`].

        Returns:
            The logits, float32 [batch, frames, num_symbols + 1], and their lengths,
            int32 [batch], as of `call`; and the `past` of the frames that follow.
        """
        after = {}
        frames = tf.cast(self.normalization(features), self.compute_dtype)
        past = {name: tf.cast(each, frames.dtype) for name, each in past.items()}
        for layer, norm in zip(self.convolutions, self.norms, strict=True):
            frames, lengths, after[layer.name] = layer.stream(
                frames, lengths, past[layer.name]
            )
            frames = silu(norm(frames))
        for layer in self.recurrent:
            frames, after[layer.name] = layer.stream(frames, lengths, past[layer.name])
        after = {name: tf.cast(each, tf.float32) for name, each in after.items()}
        logits = tf.cast(self.classifier(frames), tf.float32)
        return mask_frames(logits, lengths), lengths, after
