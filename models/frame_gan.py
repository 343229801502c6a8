"""Generator of the acoustic frames of isolated words, from noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from models.config import Options, option
from models.layers import FeatureNormalization
from models.model import SpeechModel

_SLOPE = 0.2  # Of the leaky ReLU.


@dataclasses.dataclass(frozen=True)
class FrameGanConfig(Options):
    """Frame GAN: transposed convolutions from noise to a window of frames."""

    latent_dim: int = option(64, "values of the noise that a clip is made of")
    first_frames: int = option(
        8, "frames before the convolutions, each of which doubles them", unit="frames"
    )
    channels: tuple[int, ...] = option(
        (192, 128, 96),
        "channels before each transposed convolution; repeat for more",
    )

    @property
    def window_frames(self) -> int:
        """Frames of the window that a clip lies in."""
        return self.first_frames * 2 ** len(self.channels)


@keras.saving.register_keras_serializable(package="tfspeech")
class FrameGan(SpeechModel):
    """From noise to a window of frames, and which of them are speech.

    After C. Donahue, J. McAuley, M. Puckette, "Adversarial Audio Synthesis", 2019,
    which makes spectrograms of digits by transposed convolutions. These convolve over
    time alone, so that a CPU can train them.

    Args of the constructor:
        config: The architecture.
        frame_dim: Values of a frame.
    """

    def __init__(
        self,
        config: FrameGanConfig,
        frame_dim: int,
        name: str = "frame_gan",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
        self.frame_dim = frame_dim
        policy = self.dtype_policy
        self.normalization = FeatureNormalization(dtype="float32", name="features")
        self.first = keras.layers.Dense(
            config.first_frames * config.channels[0], dtype=policy, name="first"
        )
        self.convolutions = [
            keras.layers.Conv1DTranspose(
                count, 4, 2, padding="same", dtype=policy, name=f"conv_{index}"
            )
            for index, count in enumerate((*config.channels[1:], config.channels[-1]))
        ]
        self.norms = [
            keras.layers.LayerNormalization(dtype=policy, name=f"norm_{index}")
            for index in range(len(config.channels))
        ]
        self.last = keras.layers.Conv1D(
            frame_dim + 1, 5, padding="same", dtype=policy, name="frames"
        )
        self.output_layers = [self.last]
        self.normalization.build((None, None, frame_dim))
        self({"latent": tf.zeros([1, config.latent_dim])})

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call`."""
        shape = [None, self.config.latent_dim]
        return {"latent": tf.TensorSpec(shape, tf.float32, "latent")}

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        return super().get_config() | {"frame_dim": self.frame_dim}

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Makes clips.

        Args:
            inputs: `latent` float32 [batch, latent_dim], of the standard normal
                distribution.
            training: Without influence; there is no dropout.

        Returns:
            `frames` float32 [batch, window_frames, frame_dim], normalised; and `inside`
            float32 [batch, window_frames], how much of a frame lies within the clip,
            in [0, 1].
        """
        config = self.config
        latent = tf.ensure_shape(inputs["latent"], [None, config.latent_dim])
        hidden = self.first(tf.cast(latent, self.compute_dtype))
        hidden = tf.reshape(hidden, [-1, config.first_frames, config.channels[0]])
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            hidden = convolution(tf.nn.leaky_relu(norm(hidden), _SLOPE))
        values = tf.cast(self.last(tf.nn.leaky_relu(hidden, _SLOPE)), tf.float32)
        return {
            "frames": values[:, :, :-1],
            "inside": tf.sigmoid(values[:, :, -1]),
        }
