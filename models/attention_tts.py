"""Attention-based text-to-speech, after Tacotron 2."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.config import BELOW_1, NOT_NEGATIVE, Options, option, sizes
from models.layers import (
    AdditiveAttention,
    Attention,
    AttentionDecoder,
    DotAttention,
    FeatureNormalization,
    LocalAttention,
    LocationSensitiveAttention,
    Postnet,
    TextEncoder,
    mask_frames,
)
from models.layers.text_encoder import ENCODERS
from models.model import SpeechModel

ATTENTIONS: dict[str, Callable[..., Attention]] = {
    "additive": lambda c, **k: AdditiveAttention(
        c.attention_units, c.attention_top_k, **k
    ),
    "dot": lambda c, **k: DotAttention(c.attention_units, c.attention_top_k, **k),
    "multi_head": lambda c, **k: DotAttention(
        c.attention_units, c.attention_top_k, c.attention_heads, **k
    ),
    "location_sensitive": lambda c, **k: LocationSensitiveAttention(
        c.attention_units,
        c.attention_top_k,
        c.location_filters,
        c.location_kernel_size,
        **k,
    ),
    "local": lambda c, **k: LocalAttention(
        c.attention_units, c.attention_top_k, c.local_width, **k
    ),
}
"""Name -> the decoder's attention of a configuration, a layer with the arguments k."""


@dataclasses.dataclass(frozen=True)
class AttentionTtsConfig(Options):
    """Attention TTS: encoder of symbols, attention, LSTM decoder, postnet.

    One LSTM as encoder and one as decoder, dot attention and s = h + c are
    `AttentionTtsConfig(encoder="lstm", encoder_layers=1, attention="dot",
    context="residual", postnet_layers=0)`.
    """

    encoder: str = option("conv_lstm", "encoder architecture", choices=ENCODERS)
    encoder_layers: int = option(
        2, "convolutions of conv_lstm, layers of lstm or blocks of self_attention"
    )
    encoder_units: int = option(256, "channels of the encoder's output", search=sizes)
    encoder_kernel_size: int = option(5, "kernel size of the encoder", unit="symbols")
    encoder_heads: int = option(4, "heads of the encoder's self-attention")
    encoder_top_k: int = option(
        0,
        "largest weights kept by the encoder's self-attention, 0 for all",
        NOT_NEGATIVE,
    )
    tied_convolutions: bool = option(
        False, "depthwise convolutions in encoder and postnet"
    )
    attention: str = option(
        "location_sensitive", "decoder attention mechanism", choices=ATTENTIONS
    )
    attention_units: int = option(128, "size of queries and keys", search=sizes)
    attention_heads: int = option(4, "heads of multi_head attention")
    attention_top_k: int = option(
        0, "largest attention weights kept per decoder step, 0 for all", NOT_NEGATIVE
    )
    attention_window: int = option(
        3,
        "largest advance of the attention per decoder step in synthesis, with at most "
        "one symbol back; 0 for no limit",
        NOT_NEGATIVE,
        unit="symbols",
    )
    location_filters: int = option(8, "filters of location_sensitive attention")
    location_kernel_size: int = option(
        15, "kernel size of location_sensitive attention", unit="symbols"
    )
    local_width: int = option(
        6, "half width of the window of local attention", unit="symbols"
    )
    context: str = option(
        "appended",
        "combination of decoder output and context: [h; c] or h + c",
        choices=("appended", "residual"),
    )
    prenet_units: int = option(128, "units of each prenet layer", search=sizes)
    prenet_dropout: float = option(0.5, "dropout rate of the prenet", BELOW_1)
    decoder_layers: int = option(1, "number of decoder LSTM layers")
    decoder_units: int = option(256, "units of each decoder LSTM layer", search=sizes)
    zoneout: float = option(
        0.1, "zoneout probability of the decoder LSTM layers", BELOW_1
    )
    reduction_factor: int = option(4, "output of each decoder step", unit="frames")
    postnet_layers: int = option(
        0, "number of postnet convolutions, 0 for none", NOT_NEGATIVE
    )
    postnet_filters: int = option(128, "filters per postnet convolution")
    postnet_kernel_size: int = option(5, "kernel size of the postnet", unit="frames")
    dropout: float = option(0.1, "dropout rate of encoder and postnet", BELOW_1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.encoder_units % 2 == 0, "encoder_units", "even")
        for heads, units in (
            ("encoder_heads", "encoder_units"),
            ("attention_heads", "attention_units"),
        ):
            if getattr(self, units) % getattr(self, heads):
                raise ValueError(
                    f"{heads} must divide {units}. Received: "
                    f"{heads}={getattr(self, heads)}, {units}={getattr(self, units)}"
                )
        if self.context == "residual" and self.encoder_units != self.decoder_units:
            raise ValueError(
                "context=residual adds encoded symbols to the decoder's output; "
                "encoder_units must equal decoder_units. Received: "
                f"{self.encoder_units} and {self.decoder_units}"
            )


@keras.saving.register_keras_serializable(package="tfspeech")
class AttentionTts(SpeechModel):
    """Predicts the acoustic frames of a padded batch of symbol sequences.

    Args of the constructor:
        config: The architecture.
        num_symbols: Number of symbols, with 0 for padding.
        frame_dim: Size of an acoustic frame.
    """

    def __init__(
        self,
        config: AttentionTtsConfig,
        num_symbols: int,
        frame_dim: int,
        name: str = "attention_tts",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
        self.num_symbols = num_symbols
        self.feature_dim = frame_dim
        policy = self.dtype_policy
        # Statistics lose too much in half precision.
        self.normalization = FeatureNormalization(dtype="float32", name="frames")
        self.encoder = TextEncoder(
            num_symbols,
            kind=config.encoder,
            units=config.encoder_units,
            layers=config.encoder_layers,
            kernel_size=config.encoder_kernel_size,
            heads=config.encoder_heads,
            top_k=config.encoder_top_k,
            tied=config.tied_convolutions,
            dropout=config.dropout,
            dtype=policy,
            name="encoder",
        )
        self.decoder = AttentionDecoder(
            # Keras counts the names that it gives; weights are known by theirs.
            ATTENTIONS[config.attention](config, name=f"{config.attention}_attention"),
            frame_dim,
            config.reduction_factor,
            units=config.decoder_units,
            layers=config.decoder_layers,
            zoneout=config.zoneout,
            prenet_units=config.prenet_units,
            prenet_dropout=config.prenet_dropout,
            residual=config.context == "residual",
            name="decoder",
        )
        self.postnet = None
        if config.postnet_layers:
            self.postnet = Postnet(
                frame_dim,
                layers=config.postnet_layers,
                filters=config.postnet_filters,
                kernel_size=config.postnet_kernel_size,
                tied=config.tied_convolutions,
                dropout=config.dropout,
                dtype=policy,
                name="postnet",
            )
        self.output_layers = [self.decoder.output_layer]
        if self.postnet is not None:
            self.output_layers.append(self.postnet.last)
        self.build()

    def build(self, input_shape: object = None) -> None:
        """Creates all weights; they do not depend on the shape of a batch."""
        self.normalization.build((None, None, self.feature_dim))
        self.encoder.build((None, None))
        self.decoder.build((None, None, self.config.encoder_units))
        if self.postnet is not None:
            self.postnet.build((None, None, self.feature_dim))

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call`: a text, and the recording that it follows."""
        shape = [None, None, self.feature_dim]
        return {
            "symbols": tf.TensorSpec([None, None], tf.int32, "symbols"),
            "symbol_lengths": tf.TensorSpec([None], tf.int32, "symbol_lengths"),
            "frames": tf.TensorSpec(shape, tf.float32, "frames"),
            "frame_lengths": tf.TensorSpec([None], tf.int32, "frame_lengths"),
        }

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        sizes = {"num_symbols": self.num_symbols, "frame_dim": self.feature_dim}
        return super().get_config() | sizes

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Predicts each decoder step from the recording before it (teacher forcing).

        Args:
            inputs: `symbols` int32 [batch, symbols] with `symbol_lengths` int32
                [batch]; `frames` float32 [batch, frames, frame_dim] with
                `frame_lengths` int32 [batch]; and `seeds` int64 [batch] of dropout and
                zoneout, drawn where they are not given.
            training: Whether dropout and zoneout are on.

        Returns:
            `frames`, and `frames_refined` by the postnet, float32 [batch, frames,
            frame_dim], 0 beyond the lengths; `stop_logits` float32 [batch, steps] and
            `alignment` float32 [batch, steps, symbols], steps being ceil(frames /
            reduction_factor).
        """
        lengths, seeds = inputs["frame_lengths"], inputs.get("seeds")
        frames = mask_frames(self.normalization(inputs["frames"]), lengths)
        encoded = self.encoder(
            inputs["symbols"], inputs["symbol_lengths"], seeds, training=training
        )
        outputs, stop_logits, alignment = self.decoder(
            encoded, inputs["symbol_lengths"], frames, seeds, training=training
        )
        outputs = outputs[:, : tf.shape(frames)[1]]
        return {
            **self._refine(outputs, lengths, seeds, training),
            "stop_logits": stop_logits,
            "alignment": alignment,
        }

    @tf.function(reduce_retracing=True)
    def synthesize(
        self, symbols: tf.Tensor, symbol_lengths: tf.Tensor, max_frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Synthesizes free-running, as one compiled loop.

        Args:
            symbols: int32 [batch, symbols].
            symbol_lengths: int32 [batch].
            max_frames: int32 [batch] or a scalar, where to stop at the latest, rounded
                up to whole decoder steps.

        Returns:
            `frames` float32 [batch, frames, frame_dim], 0 beyond `frame_lengths` int32
            [batch]; `alignment` float32 [batch, steps, symbols], 0 beyond frame_lengths
            / reduction_factor; and `stopped` bool [batch], whether the decoder itself
            predicted the stop.
        """
        factor = self.config.reduction_factor
        max_steps = -(-tf.broadcast_to(max_frames, tf.shape(symbol_lengths)) // factor)
        encoded = tf.cast(self.encoder(symbols, symbol_lengths), tf.float32)
        outputs, steps, alignment, stopped = self.decoder.synthesize(
            encoded, symbol_lengths, max_steps, self.config.attention_window
        )
        lengths = steps * factor
        return {
            "frames": self._refine(outputs, lengths)["frames_refined"],
            "frame_lengths": lengths,
            "alignment": alignment,
            "stopped": stopped,
        }

    @property
    def parameters_saved(self) -> int:
        """Number of weights that tied convolutions save."""
        blocks = [*self.encoder.blocks, *(self.postnet.blocks if self.postnet else ())]
        return sum(getattr(block, "parameters_saved", 0) for block in blocks)

    def summary(self, *args: object, **kwargs: object) -> None:
        """Prints the summary of Keras, and the weights that tied convolutions save."""
        super().summary(*args, **kwargs)
        if self.config.tied_convolutions:
            write = kwargs.get("print_fn") or print
            write(f" Saved by tied convolutions: {self.parameters_saved:,}")

    def _refine(
        self,
        outputs: tf.Tensor,
        lengths: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> dict[str, tf.Tensor]:
        """Frames with and without the postnet, no longer normalised."""
        refined = outputs
        if self.postnet is not None:
            refined = self.postnet(outputs, lengths, seeds, training=training)
        frames, refined = (
            mask_frames(self.normalization(x, invert=True), lengths)
            for x in (outputs, refined)
        )
        return {"frames": frames, "frames_refined": refined}
