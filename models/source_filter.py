"""Source-filter vocoder: pulses and noise through filters that a small net predicts."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from models.config import Options, option, sizes
from models.layers import mask_frames
from models.layers.activations import silu
from models.layers.cepstral_filter import cepstral_response, filter_frames
from models.layers.convolution_block import ConvolutionBlock
from models.vocoder import VocoderNetwork

# The logarithm of the gain of a filter whose parameters are 0: that of quiet speech.
_LOG_GAIN = -4.0
# Levels are exponentials of outputs; without it an update may change them by 40 dB.
_OUTPUT_SCALE = 0.3


@dataclasses.dataclass(frozen=True)
class SourceFilterConfig(Options):
    """Source-filter vocoder: pulses and noise through filters that a net predicts."""

    channels: int = option(256, "channels of a convolution", search=sizes)
    layers: int = option(3, "convolutions", search=(2, 3, 4))
    kernel_size: int = option(3, "kernel size of each convolution", unit="frames")
    pulse_cepstra: int = option(80, "cepstra of the filter of the pulses", search=sizes)
    noise_cepstra: int = option(40, "cepstra of the filter of the noise", search=sizes)


@keras.saving.register_keras_serializable(package="tfspeech")
class SourceFilter(VocoderNetwork):
    """Speech as a sum of filtered pulses and filtered noise.

    X. Wang, S. Takaki, J. Yamagishi, "Neural Source-Filter Waveform Models for
    Statistical Parametric Speech Synthesis", 2020, have nets as filters; here they are
    linear, so that a net predicts them once per frame, as in J. Engel et al., "DDSP:
    Differentiable Digital Signal Processing", 2020. They have minimum phase.

    Args of the constructor:
        config: The architecture.
        frame_dim: Values of a frame.
        hop_length: Samples from one frame to the next.

    Attributes:
        fft_length: Samples that a filter has for the part of a signal under its window.
    """

    signals = "pulses", "noise"

    def __init__(
        self,
        config: SourceFilterConfig,
        frame_dim: int,
        hop_length: int,
        name: str = "source_filter",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, frame_dim, hop_length, name=name, **kwargs)
        # Two hops are filtered, and two are for what the filters add behind them.
        self.fft_length = 1 << (4 * hop_length - 1).bit_length()
        policy = self.dtype_policy
        self.blocks = [
            ConvolutionBlock(
                config.channels,
                config.kernel_size,
                silu,
                0.0,
                dtype=policy,
                name=f"block_{index}",
            )
            for index in range(config.layers)
        ]
        self.pulse_filter, self.noise_filter = (
            keras.layers.Dense(
                1 + order,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                dtype=policy,
                name=layer,
            )
            for layer, order in (
                ("pulse_filter", config.pulse_cepstra),
                ("noise_filter", config.noise_cepstra),
            )
        )
        self.output_layers = [self.pulse_filter, self.noise_filter]
        self.make_weights()

    @property
    def look_ahead(self) -> int:
        """How many frames after its own a filter depends on, and as many before."""
        return self.config.layers * (self.config.kernel_size // 2)

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Filters pulses and noise as the frames want it.

        Args:
            inputs: `frames` float32 [batch, frames, frame_dim] with `frame_lengths`
                int32 [batch]; `pulses` and `noise` of mean square 1, float32 [batch,
                frames, hop_length], from the centre of a frame to that of the next.
            training: Without influence; there is no dropout.

        Returns:
            `waveform` float32 [batch, frames, hop_length], full scale 1, from the
            centre of a frame to that of the next; 0 from the last valid frame on.
        """
        lengths = inputs["frame_lengths"]
        hidden = self.normalized(inputs["frames"], lengths)
        for index, block in enumerate(self.blocks):
            convolved = block(hidden, lengths)
            hidden = convolved + hidden if index else convolved
        sources = []
        for name, layer in (
            ("pulses", self.pulse_filter),
            ("noise", self.noise_filter),
        ):
            outputs = _OUTPUT_SCALE * tf.cast(layer(hidden), tf.float32)
            # Cepstra of speech fall about so, and a sum of many is to stay bounded.
            cepstrum = outputs[:, :, 1:] / tf.range(1.0, outputs.shape[-1])
            log_gain = outputs[:, :, :1] + _LOG_GAIN
            response = cepstral_response(cepstrum, log_gain, self.fft_length)
            signal = mask_frames(inputs[name], lengths - 1)
            shape = tf.shape(signal)
            sources.append((tf.reshape(signal, [shape[0], -1]), response))
        waveform = filter_frames(sources, self.hop_length, self.fft_length)
        waveform = waveform[:, : shape[1] * self.hop_length]
        return {"waveform": mask_frames(tf.reshape(waveform, shape), lengths - 1)}
