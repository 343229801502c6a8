"""Discriminator of recorded and predicted acoustic frames."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from models.config import Options, option
from models.layers import MaskedConv1D
from models.model import SpeechModel

_SLOPE = 0.2  # Of the leaky ReLU.


@dataclasses.dataclass(frozen=True)
class FrameDiscriminatorConfig(Options):
    """Frame discriminator: convolutions over frames and the phonemes they are of."""

    units: int = option(128, "filters per convolution")
    layers: int = option(3, "number of convolutions")
    kernel_size: int = option(5, "kernel size of each convolution", unit="frames")


@keras.saving.register_keras_serializable(package="tfspeech")
class FrameDiscriminator(SpeechModel):
    """Scores every frame, among its neighbours, as recorded (1) or predicted (0).

    It is told of which symbol every frame is: the conditional discriminator of Mirza,
    Osindero 2014 (arXiv 1411.1784), with the least-squares scores of Mao et al. 2017
    (arXiv 1611.04076).

    Args of the constructor:
        config: The architecture.
        num_symbols: Number of symbols, with 0 for padding.
        frame_dim: Values of a frame.
    """

    def __init__(
        self,
        config: FrameDiscriminatorConfig,
        num_symbols: int,
        frame_dim: int,
        name: str = "frame_discriminator",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
        self.num_symbols = num_symbols
        self.feature_dim = frame_dim
        policy, units = self.dtype_policy, config.units
        self.embedding = keras.layers.Embedding(
            num_symbols, units, dtype=policy, name="embedding"
        )
        self.first = keras.layers.Dense(units, dtype=policy, name="first")
        self.convolutions = [
            MaskedConv1D(units, config.kernel_size, dtype=policy, name=f"conv_{index}")
            for index in range(config.layers)
        ]
        self.last = keras.layers.Dense(1, dtype=policy, name="scores")
        self.output_layers = [self.last]
        self.build()

    def build(self, input_shape: object = None) -> None:
        """Creates all weights; they do not depend on the shape of a batch."""
        self.embedding.build((None, None))
        self.first.build((None, None, self.feature_dim))
        for layer in (*self.convolutions, self.last):
            layer.build((None, None, self.config.units))

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call`."""
        frames = [None, None, self.feature_dim]
        return {
            "frames": tf.TensorSpec(frames, tf.float32, "frames"),
            "frame_symbols": tf.TensorSpec([None, None], tf.int32, "frame_symbols"),
            "frame_lengths": tf.TensorSpec([None], tf.int32, "frame_lengths"),
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        sizes = {"num_symbols": self.num_symbols, "frame_dim": self.feature_dim}
        return super().get_config() | sizes

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Scores frames.

        Args:
            inputs: `frames` float32 [batch, frames, frame_dim], in about [-1, 1], and
                `frame_symbols` int32 [batch, frames], with `frame_lengths` int32
                [batch].
            training: Without influence; there is no dropout.

        Returns:
            `scores` float32 [batch, frames], of any value beyond the lengths.
        """
        frames = tf.cast(inputs["frames"], self.compute_dtype)
        hidden = self.first(frames) + self.embedding(inputs["frame_symbols"])
        for convolution in self.convolutions:
            hidden = tf.nn.leaky_relu(hidden, _SLOPE)
            hidden, _ = convolution(hidden, inputs["frame_lengths"])
        scores = self.last(tf.nn.leaky_relu(hidden, _SLOPE))
        return {"scores": tf.cast(scores, tf.float32)[:, :, 0]}
