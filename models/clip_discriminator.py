"""Discriminator of recorded and generated clips of isolated words."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from models.config import Options, option
from models.model import SpeechModel

_SLOPE = 0.2  # Of the leaky ReLU.
_SMALLEST_VARIANCE = 1e-8


@dataclasses.dataclass(frozen=True)
class ClipDiscriminatorConfig(Options):
    """Discriminator: convolutions over time, and one score of the whole clip."""

    discriminator_channels: tuple[int, ...] = option(
        (96, 128, 192),
        "channels of a convolution, which halves the frames; repeat for more",
    )


@keras.saving.register_keras_serializable(package="tfspeech")
class ClipDiscriminator(SpeechModel):
    """Scores clips, high for recordings.

    The standard deviation over the batch is an input of the last layer, so that clips
    that are all alike are told from recordings: T. Karras et al., "Progressive Growing
    of GANs for Improved Quality, Stability, and Variation", 2018, section 3. So a score
    depends on the other clips of the batch, those of other replicas included.

    Args of the constructor:
        config: The architecture.
        window_frames: Frames of a clip with what is beyond it.
        frame_dim: Values of a frame.
    """

    def __init__(
        self,
        config: ClipDiscriminatorConfig,
        window_frames: int,
        frame_dim: int,
        name: str = "discriminator",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
        self.window_frames = window_frames
        self.frame_dim = frame_dim
        policy = self.dtype_policy
        self.convolutions = [
            keras.layers.Conv1D(
                count, 5, 2, padding="same", dtype=policy, name=f"conv_{index}"
            )
            for index, count in enumerate(config.discriminator_channels)
        ]
        self.last = keras.layers.Dense(1, dtype=policy, name="score")
        self.output_layers = [self.last]
        self.build()

    def build(self, input_shape: object = None) -> None:
        """Creates all weights; they do not depend on the shape of a batch."""
        frames, channels = self.window_frames, self.frame_dim + 1
        for convolution in self.convolutions:
            convolution.build((None, frames, channels))
            frames, channels = -(-frames // 2), convolution.filters
        self.last.build((None, frames * channels + 1))

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call`."""
        frames = [None, self.window_frames, self.frame_dim]
        return {
            "frames": tf.TensorSpec(frames, tf.float32, "frames"),
            "inside": tf.TensorSpec(frames[:2], tf.float32, "inside"),
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        sizes = {"window_frames": self.window_frames, "frame_dim": self.frame_dim}
        return super().get_config() | sizes

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Scores clips.

        Args:
            inputs: `frames` float32 [batch, window_frames, frame_dim], normalised, and
                `inside` float32 [batch, window_frames], how much of a frame lies within
                the clip; what does not is not seen.
            training: Without influence; there is no dropout.

        Returns:
            `score` float32 [batch].
        """
        inside = inputs["inside"][:, :, tf.newaxis]
        hidden = tf.concat([inputs["frames"] * inside, 2.0 * inside - 1.0], axis=2)
        hidden = tf.cast(hidden, self.compute_dtype)
        for convolution in self.convolutions:
            hidden = tf.nn.leaky_relu(convolution(hidden), _SLOPE)
        size = hidden.shape[1] * hidden.shape[2]
        hidden = tf.cast(tf.reshape(hidden, [-1, size]), tf.float32)
        deviation = tf.fill([tf.shape(hidden)[0], 1], _mean_deviation(hidden))
        score = self.last(tf.concat([hidden, deviation], axis=1))
        return {"score": tf.cast(score, tf.float32)[:, 0]}


def _mean_deviation(values: tf.Tensor) -> tf.Tensor:
    """The mean over columns of the standard deviation over the rows of all replicas."""
    count = tf.cast(tf.shape(values)[0], tf.float32)
    sums = tf.reduce_sum(values, axis=0), tf.reduce_sum(tf.square(values), axis=0)
    replicas = tf.distribute.get_replica_context()
    total, squares, count = replicas.all_reduce("SUM", [*sums, count])
    variances = tf.nn.relu(squares / count - tf.square(total / count))
    return tf.reduce_mean(tf.sqrt(variances + _SMALLEST_VARIANCE))
