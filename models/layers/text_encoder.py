"""Encoders from symbols to vectors that a decoder attends to."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.convolution_block import ConvolutionBlock
from models.layers.masking import Shape
from models.layers.recurrent import Recurrent
from models.layers.self_attention import SelfAttentionBlock, add_positions

ENCODERS = ("conv_lstm", "lstm", "self_attention")


class TextEncoder(keras.layers.Layer):
    """Embedding of symbols, then an encoder of one of three architectures.

    - `conv_lstm`: convolutions, then an LSTM in both directions (Tacotron 2, arXiv
      1712.05884, section 2.2);
    - `lstm`: LSTMs in one direction;
    - `self_attention`: Transformer blocks (arXiv 1706.03762, section 3).

    Args of the constructor:
        num_symbols: Size of the embedding; symbol 0 is the padding.
        kind: One of `ENCODERS`.
        units: Size of the embedding and of the result.
        layers: Convolutions, LSTMs or blocks.
        kernel_size: Width of the convolutions, in symbols.
        heads: Heads of self-attention.
        top_k: Weights kept by self-attention, 0 for all.
        tied: Whether the convolutions are tied; see `ConvolutionBlock`.
        dropout: Share of activations dropped in training.
    """

    def __init__(
        self,
        num_symbols: int,
        *,
        kind: str,
        units: int,
        layers: int,
        kernel_size: int,
        heads: int,
        top_k: int,
        tied: bool,
        dropout: float,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.embedding = keras.layers.Embedding(
            num_symbols, units, dtype=policy, name="embedding"
        )
        self.has_positions = kind == "self_attention"
        self.blocks, self.recurrent = [], []
        if kind == "conv_lstm":
            self.blocks = [
                ConvolutionBlock(
                    units,
                    kernel_size,
                    tf.nn.relu,
                    dropout,
                    tied=tied,
                    dtype=policy,
                    name=f"conv_{index}",
                )
                for index in range(layers)
            ]
            self.recurrent = [
                Recurrent("lstm", units // 2, True, dtype=policy, name="lstm")
            ]
        elif kind == "lstm":
            self.recurrent = [
                Recurrent("lstm", units, dtype=policy, name=f"lstm_{index}")
                for index in range(layers)
            ]
        else:
            self.blocks = [
                SelfAttentionBlock(
                    units, heads, dropout, top_k, dtype=policy, name=f"block_{index}"
                )
                for index in range(layers)
            ]

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for symbols [batch, symbols]."""
        self.embedding.build(input_shape)
        for block in (*self.blocks, *self.recurrent):
            block.build((*input_shape, self.embedding.output_dim))

    def call(
        self,
        symbols: tf.Tensor,
        lengths: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """int32 [batch, symbols], with lengths int32 and seeds int64 [batch].

        Returns:
            [batch, symbols, units].
        """
        encoded = self.embedding(symbols)
        if self.has_positions:
            encoded = add_positions(encoded)
        for block in self.blocks:
            encoded = block(encoded, lengths, seeds, training=training)
        for recurrent in self.recurrent:
            encoded = recurrent(encoded, lengths)
        return encoded
