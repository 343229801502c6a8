"""Base of the networks that make waveforms of acoustic frames."""

from __future__ import annotations

from typing import Any, ClassVar

import tensorflow as tf

from models.config import Options
from models.layers import FeatureNormalization, mask_frames
from models.model import SpeechModel


class VocoderNetwork(SpeechModel):
    """Network over acoustic frames and signals between the centres of frames.

    A subclass creates its layers in the constructor and then calls `make_weights`.

    Args of the constructor:
        config: The architecture.
        frame_dim: Values of a frame.
        hop_length: Samples from one frame to the next.

    Attributes:
        signals: Names of the inputs float32 [batch, frames, hop_length].
        normalization: Of the frames.
    """

    signals: ClassVar[tuple[str, ...]]

    def __init__(
        self, config: Options, frame_dim: int, hop_length: int, **kwargs: Any
    ) -> None:
        super().__init__(config, **kwargs)
        self.frame_dim = frame_dim
        self.hop_length = hop_length
        self.autocast = False  # Half precision would be heard in signals.
        self.normalization = FeatureNormalization(dtype="float32", name="frames")

    def make_weights(self) -> None:
        """Creates the weights of all layers."""
        signal = tf.zeros([1, 1, self.hop_length])
        frames = {
            "frames": tf.zeros([1, 1, self.frame_dim]),
            "frame_lengths": tf.ones([1], tf.int32),
        }
        self(frames | dict.fromkeys(self.signals, signal))

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call`."""
        shape = [None, None, self.hop_length]
        return {
            "frames": tf.TensorSpec([None, None, self.frame_dim], name="frames"),
            "frame_lengths": tf.TensorSpec([None], tf.int32, "frame_lengths"),
            **{name: tf.TensorSpec(shape, name=name) for name in self.signals},
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        sizes = {"frame_dim": self.frame_dim, "hop_length": self.hop_length}
        return super().get_config() | sizes

    def normalized(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Normalizes frames, in the precision of the layers.

        Args:
            frames: float32 [batch, frames, frame_dim].
            lengths: int32 [batch], the valid frames.
        """
        frames = self.normalization(mask_frames(frames, lengths))
        return tf.cast(frames, self.compute_dtype)
