"""Architecture of parallel TTS: its configuration, and the blocks that it asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras

from models.config import AT_LEAST_1, BELOW_1, NOT_NEGATIVE, Options, option, sizes
from models.layers import DepthwiseBlock, RecurrentBlock, SelfAttentionBlock

BODIES: dict[str, Callable[..., keras.layers.Layer]] = {
    "cnn": lambda c, **k: DepthwiseBlock(c.units, c.kernel_size, c.dropout, **k),
    "untied_cnn": lambda c, **k: DepthwiseBlock(
        c.units, c.kernel_size, c.dropout, tied=False, **k
    ),
    "rnn": lambda c, hidden_units, **k: RecurrentBlock(c.units, c.dropout, **k),
    "transformer": lambda c, **k: SelfAttentionBlock(c.units, c.heads, c.dropout, **k),
    "dense": lambda c, **k: DepthwiseBlock(c.units, 1, c.dropout, **k),
}
"""Name -> a block over frames of a configuration, a layer with the arguments k."""


@dataclasses.dataclass(frozen=True)
class ParallelTtsConfig(Options):
    """Parallel TTS: encoder of phonemes, durations, pitch and energy, then a body."""

    units: int = option(192, "channels of encoder and body", search=sizes)
    encoder_layers: int = option(
        4, "depthwise convolution blocks of the encoder, 0 for none", NOT_NEGATIVE
    )
    attention_layers: int = option(
        2,
        "self-attention blocks of the encoder, evenly among the others, 0 for none",
        NOT_NEGATIVE,
    )
    body: str = option("cnn", "architecture of the blocks over frames", choices=BODIES)
    body_layers: int = option(6, "blocks over frames", search=(4, 6, 8))
    hidden_units: tuple[int, ...] = option(
        (),
        "units of the hidden layer of a block, once for all blocks or repeated for "
        "each, from the first of the encoder to the last of the body; by default twice "
        "the channels",
        AT_LEAST_1,
    )
    kernel_size: int = option(
        7, "kernel size of the depthwise convolutions", unit="segments or frames"
    )
    heads: int = option(4, "heads of self-attention")
    dropout: float = option(0.05, "dropout rate", BELOW_1, search=(0.05, 0.1, 0.2))
    variance_dropout: float = option(
        0.5, "dropout rate of the predictors of durations, pitch and energy", BELOW_1
    )
    latent_size: int = option(
        0,
        "size of the latent variable of a word, which renditions differ by, 0 for none",
        NOT_NEGATIVE,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.units % 2 == 0, "units", "even")
        self.require(
            self.units % self.heads == 0, "heads", f"a divisor of units, {self.units}"
        )
        self.require(
            len(self.hidden_units) in (0, 1, self._blocks),
            "hidden_units",
            f"one size for all or {self._blocks}, of each block with a hidden layer",
        )

    @property
    def _blocks(self) -> int:
        """Number of blocks that have a hidden layer."""
        body = 0 if self.body == "rnn" else self.body_layers
        return self.encoder_layers + self.attention_layers + body

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """Units of the hidden layer of every block that has one, encoder first."""
        sizes = self.hidden_units or (2 * self.units,)
        return sizes if len(sizes) == self._blocks else self._blocks * sizes


def build_encoder(
    config: ParallelTtsConfig, policy: keras.DTypePolicy
) -> list[keras.layers.Layer]:
    """The blocks over segments: convolutions, with self-attention among them."""
    kinds = config.encoder_layers * ["conv"]
    for index in range(config.attention_layers):
        place = (index + 1) * config.encoder_layers // config.attention_layers
        kinds.insert(place + index, "attention")
    layers = {"conv": DepthwiseBlock, "attention": SelfAttentionBlock}
    widths = {"conv": config.kernel_size, "attention": config.heads}
    return [
        layers[kind](
            *(config.units, widths[kind], config.dropout),
            hidden_units=config.hidden_sizes[index],
            dtype=policy,
            name=f"encoder_{kind}_{kinds[:index].count(kind)}",
        )
        for index, kind in enumerate(kinds)
    ]


def build_body(
    config: ParallelTtsConfig, policy: keras.DTypePolicy
) -> list[keras.layers.Layer]:
    """The blocks over frames."""
    hidden_units = iter(
        config.hidden_sizes[config.encoder_layers + config.attention_layers :]
    )
    return [
        BODIES[config.body](
            config,
            hidden_units=next(hidden_units, None),
            dtype=policy,
            name=f"body_{index}",
        )
        for index in range(config.body_layers)
    ]
