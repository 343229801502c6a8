"""Discriminators: small nets that tell recordings from synthetic speech."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from models.config import Options, option
from models.layers.masking import Shape
from models.model import SpeechModel

_SLOPE = 0.1  # Of leaky ReLU.
_POWER_FLOOR = 1e-5  # Keeps the logarithms of silence, and their gradients, bounded.


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig(Options):
    """Discriminators: of every n-th sample, and of spectra at several resolutions."""

    periods: tuple[int, ...] = option(
        (2, 3, 5, 7, 11),
        "period of a discriminator that sees every n-th sample; repeat for more",
        unit="samples",
    )
    period_channels: tuple[int, ...] = option(
        (8, 16, 32, 64),
        "channels of a convolution of these; repeat for more layers",
    )
    spectrum_channels: int = option(
        64, "channels of the convolutions of a discriminator of spectra"
    )


class _Convolutions(keras.layers.Layer):
    """Convolutions over time, each followed by a leaky ReLU, and one to a score.

    Args of the constructor:
        channels: Of each layer but the last.
        kernel_size: Of each layer.
        stride: Of each layer but the last.
    """

    def __init__(
        self, channels: Sequence[int], kernel_size: int, stride: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        options = {"padding": "same", "dtype": self.dtype_policy}
        self.hidden = [
            keras.layers.Conv1D(
                count, kernel_size, stride, name=f"conv_{index}", **options
            )
            for index, count in enumerate(channels)
        ]
        self.last = keras.layers.Conv1D(1, 3, name="score", **options)

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for [batch, places, channels]."""
        channels = input_shape[-1]
        for layer in (*self.hidden, self.last):
            layer.build((None, None, channels))
            channels = layer.filters

    def call(self, values: tf.Tensor) -> list[tf.Tensor]:
        """Returns the activations of all layers and the scores, [batch, places, n]."""
        outputs = []
        for layer in self.hidden:
            values = tf.nn.leaky_relu(layer(values), _SLOPE)
            outputs.append(values)
        return [*outputs, self.last(values)]


@keras.saving.register_keras_serializable(package="tfspeech")
class Discriminators(SpeechModel):
    """Several views of a waveform, each scored by a net of its own.

    Those of every n-th sample are after J. Kong, J. Kim, J. Bae, "HiFi-GAN: Generative
    Adversarial Networks for Efficient and High Fidelity Speech Synthesis", 2020; those
    of spectra after W. Jang et al., "UnivNet", 2021, but convolve over time alone, so
    that a CPU can train them.

    Args of the constructor:
        config: The architecture.
        fft_lengths: Samples of the windows whose spectra are seen.

    Attributes:
        views: Names of the discriminators.
    """

    def __init__(
        self,
        config: DiscriminatorConfig,
        fft_lengths: Sequence[int],
        name: str = "discriminators",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
        self.fft_lengths = tuple(fft_lengths)
        policy = self.dtype_policy
        self.of_samples = [
            _Convolutions(
                config.period_channels, 5, 3, dtype=policy, name=f"period_{period}"
            )
            for period in config.periods
        ]
        self.of_spectra = [
            _Convolutions(
                [config.spectrum_channels] * 3,
                *(3, 1),
                dtype=policy,
                name=f"spectrum_{length}",
            )
            for length in self.fft_lengths
        ]
        self.views = [each.name for each in (*self.of_samples, *self.of_spectra)]
        self.output_layers = [
            each.last for each in (*self.of_samples, *self.of_spectra)
        ]
        self({"waveform": tf.zeros([1, max(self.fft_lengths)])})

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call`."""
        return {"waveform": tf.TensorSpec([None, None], name="waveform")}

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        return super().get_config() | {"fft_lengths": list(self.fft_lengths)}

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Scores waveforms.

        Args:
            inputs: `waveform` float32 [batch, samples], at least one window of them.
            training: Without influence; there is no dropout.

        Returns:
            For each view `VIEW/score` float32 [batch, scores], high for recordings; and
            `VIEW/0` and so on, activations of its layers [batch, places, channels].
        """
        waveform = inputs["waveform"]
        batch = tf.shape(waveform)[0]
        outputs = {}
        for period, net in zip(self.config.periods, self.of_samples, strict=True):
            count = tf.shape(waveform)[1] // period
            columns = tf.reshape(waveform[:, : count * period], [batch, count, period])
            rows = tf.reshape(tf.transpose(columns, [0, 2, 1]), [-1, count, 1])
            found = net(tf.cast(rows, self.compute_dtype))
            # The rows of one waveform are places of it.
            outputs |= _named(
                net.name,
                [
                    tf.reshape(x, [batch, tf.shape(x)[1] * period, x.shape[2]])
                    for x in found
                ],
            )
        for length, net in zip(self.fft_lengths, self.of_spectra, strict=True):
            spectra = tf.signal.stft(waveform, length, length // 4, length)
            power = tf.square(tf.math.real(spectra)) + tf.square(tf.math.imag(spectra))
            values = tf.math.log(power + _POWER_FLOOR)
            outputs |= _named(net.name, net(tf.cast(values, self.compute_dtype)))
        return outputs


def _named(view: str, outputs: list[tf.Tensor]) -> dict[str, tf.Tensor]:
    *hidden, score = (tf.cast(each, tf.float32) for each in outputs)
    layers = {f"{view}/{index}": each for index, each in enumerate(hidden)}
    return {**layers, f"{view}/score": score[:, :, 0]}
