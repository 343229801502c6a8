"""Duration-based TTS by dense networks, frame by frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from models.config import Options, option, sizes
from models.layers import FeatureNormalization, mask_frames
from models.layers.activations import silu
from models.layers.dead_units import drop_constant_units
from models.model import SpeechModel

ACTIVATIONS = ("relu", "silu", "tanh", "sigmoid")


@dataclasses.dataclass(frozen=True)
class DenseSynthesisConfig(Options):
    """Dense synthesis: one dense network for acoustic frames, one for durations.

    The defaults are 128 -> 64 -> tanh for the frames, with ReLU between, and 64 -> 32
    -> tanh for the durations.
    """

    hidden_units: tuple[int, ...] = option(
        (128, 64),
        "units of a hidden layer of the acoustic network; repeat for more",
        search=sizes,
    )
    duration_units: tuple[int, ...] = option(
        (64, 32),
        "units of a hidden layer of the duration network; repeat for more",
        search=sizes,
    )
    hidden_activation: str = option(
        "relu",
        "hidden activation",
        choices=ACTIVATIONS,
        search=("relu", "tanh", "silu"),
    )
    output_activation: str = option(
        "tanh", "output activation", choices=("tanh", "linear")
    )


class DenseNet(keras.Model):
    """Dense layers, applied to every vector of features alone.

    Args of the constructor:
        feature_dim: Number of input features.
        output_dim: Number of output values.
        hidden_units: Units of each hidden layer.
        hidden_activation: Activation of the hidden layers.
        output_activation: Activation of the output layer.
    """

    def __init__(
        self,
        feature_dim: int,
        output_dim: int,
        hidden_units: Sequence[int] = (128, 64),
        hidden_activation: str = "relu",
        output_activation: str = "tanh",
        name: str = "dense_net",
        **kwargs: object,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.feature_dim = feature_dim
        policy = self.dtype_policy
        hidden = silu if hidden_activation == "silu" else hidden_activation
        self.hidden = [
            keras.layers.Dense(units, hidden, dtype=policy, name=f"hidden_{index}")
            for index, units in enumerate(hidden_units)
        ]
        self.last = keras.layers.Dense(
            output_dim, output_activation, dtype=policy, name="output"
        )
        self.output_layers = [self.last]
        self.build()

    def build(self, input_shape: object = None) -> None:
        """Creates all weights; they do not depend on the shape of a batch."""
        dim = self.feature_dim
        for layer in (*self.hidden, self.last):
            layer.build((None, dim))
            dim = layer.units

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Maps `features` [..., feature_dim] to `outputs` float32 [..., output_dim]."""
        values = tf.cast(inputs["features"], self.compute_dtype)
        for layer in (*self.hidden, self.last):
            values = layer(values)
        return {"outputs": tf.cast(values, tf.float32)}


@keras.saving.register_keras_serializable(package="tfspeech")
class DenseSynthesis(SpeechModel):
    """Predicts durations from linguistic features, and acoustic frames from both.

    H. Zen, A. Senior, M. Schuster, "Statistical Parametric Speech Synthesis Using Deep
    Neural Networks", 2013, and Z. Wu, O. Watts, S. King, "Merlin: An Open Source Neural
    Network Speech Synthesis System", 2016, describe systems of this kind.

    Args of the constructor:
        config: The architecture.
        feature_dim: Linguistic features of a frame, and of a segment.
        target_dim: Values of a frame that are predicted.

    Attributes:
        normalization: Of the frames, to [-1, 1].
        duration_normalization: Of log durations, to [-1, 1].
        prediction_std: Standard deviation of predicted frames around recorded ones
            (root mean square error), float32 [target_dim]; set by whoever measures it.
        duration_std: Likewise of the log durations of phonemes, a scalar.
    """

    def __init__(
        self,
        config: DenseSynthesisConfig,
        feature_dim: int,
        target_dim: int,
        name: str = "dense_synthesis",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
        self.feature_dim = feature_dim
        self.target_dim = target_dim
        activations = config.hidden_activation, config.output_activation
        policy = self.dtype_policy
        # Weights are known by their paths; both nets have the same layers.
        with keras.name_scope(self.name):
            self.acoustic = DenseNet(
                *(feature_dim, target_dim, config.hidden_units, *activations),
                name="acoustic",
                dtype=policy,
            )
            self.duration = DenseNet(
                *(feature_dim, 1, config.duration_units, *activations),
                name="duration",
                dtype=policy,
            )
        # Statistics lose too much in half precision.
        self.normalization = FeatureNormalization(dtype="float32", name="frames")
        self.duration_normalization = FeatureNormalization(
            dtype="float32", name="log_durations"
        )
        self.output_layers = [self.acoustic.last, self.duration.last]
        self.build()

    def build(self, input_shape: object = None) -> None:
        """Creates all weights; they do not depend on the shape of a batch."""
        self.normalization.build((None, None, self.target_dim))
        self.duration_normalization.build((None, None, 1))
        self.prediction_std = self.add_weight(
            shape=(self.target_dim,),
            initializer="ones",
            trainable=False,
            dtype="float32",
            name="prediction_std",
        )
        self.duration_std = self.add_weight(
            shape=(),
            initializer="zeros",
            trainable=False,
            dtype="float32",
            name="duration_std",
        )

    def set_statistics(self, frames: np.ndarray, log_durations: np.ndarray) -> None:
        """Sets the normalisation by the training set; see `set_range`.

        Args:
            frames: Of the training set, [frames, target_dim].
            log_durations: Of the training set, [segments].
        """
        self.normalization.set_range(frames)
        self.duration_normalization.set_range(log_durations[:, np.newaxis])

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call`: features of frames, and of segments."""
        shape = [None, None, self.feature_dim]
        return {
            "frame_features": tf.TensorSpec(shape, tf.float32, "frame_features"),
            "frame_lengths": tf.TensorSpec([None], tf.int32, "frame_lengths"),
            "segment_features": tf.TensorSpec(shape, tf.float32, "segment_features"),
            "segment_lengths": tf.TensorSpec([None], tf.int32, "segment_lengths"),
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        sizes = {"feature_dim": self.feature_dim, "target_dim": self.target_dim}
        return super().get_config() | sizes

    def without_dead_units(self) -> Self:
        """Returns the model without hidden units that are constant."""
        arrays: dict[str, np.ndarray] = {}
        units = []
        for net in (self.acoustic, self.duration):
            arrays |= drop_constant_units([*net.hidden, net.last])
            units.append(tuple(arrays[each.bias.path].size for each in net.hidden))
        config = dataclasses.replace(
            self.config, hidden_units=units[0], duration_units=units[1]
        )
        return self if config == self.config else self._smaller(config, arrays)

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Predicts frames and durations, each from its own features.

        Args:
            inputs: `frame_features` float32 [batch, frames, feature_dim] with
                `frame_lengths` int32 [batch]; `segment_features` float32 [batch,
                segments, feature_dim] with `segment_lengths` int32 [batch].
            training: Without influence; there is no dropout.

        Returns:
            `frames` float32 [batch, frames, target_dim] and `log_durations` float32
            [batch, segments], both 0 beyond the lengths.
        """
        return {
            "frames": self.predict_frames(inputs),
            "log_durations": self.predict_log_durations(inputs),
        }

    def predict_frames(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Predicts frames from the features of frames; see `call`."""
        outputs = self.acoustic({"features": inputs["frame_features"]})["outputs"]
        outputs = self.normalization(outputs, invert=True)
        return mask_frames(outputs, inputs["frame_lengths"])

    def predict_log_durations(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Predicts log durations from the features of segments; see `call`."""
        outputs = self.duration({"features": inputs["segment_features"]})["outputs"]
        outputs = self.duration_normalization(outputs, invert=True)
        return mask_frames(outputs, inputs["segment_lengths"])[:, :, 0]
