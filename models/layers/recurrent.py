"""Recurrent layers over padded batches."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.masking import Shape, sequence_mask

CELLS = {
    "elman": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
}


class Recurrent(keras.layers.Layer):
    """One recurrent layer, in one direction or in both.

    Elman is h_t = tanh(W_hh h_(t-1) + W_xh x_t + b) (Elman 1990, "Finding Structure in
    Time"); LSTM and GRU are Keras's own. States do not move through padding.

    Attributes:
        states: Tensors that make up the state of a cell.
        units: Of each of them.
    """

    def __init__(
        self, cell: str, units: int, bidirectional: bool = False, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        layer = CELLS[cell](
            units,
            return_sequences=True,
            return_state=not bidirectional,
            dtype=self.dtype_policy,
            name="cell",
        )
        self.states = 2 if cell == "lstm" else 1
        self.units = units
        if bidirectional:
            layer = keras.layers.Bidirectional(
                layer, dtype=self.dtype_policy, name="both"
            )
        self.layer = layer

    def build(self, input_shape: Shape) -> None:
        """Creates kernels, recurrent kernels and biases of the cells."""
        self.layer.build(input_shape)

    def call(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Runs over [batch, frames, channels] with int32 lengths [batch].

        Returns:
            [batch, frames, units], or twice the units in both directions.
        """
        mask = sequence_mask(lengths, frames)
        outputs = self.layer(frames, mask=mask)
        # Keras hangs its mask on the result; lengths are what the next layer goes by.
        return tf.identity(outputs[0] if self.layer.return_state else outputs)

    def stream(
        self, frames: tf.Tensor, lengths: tf.Tensor, past: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Goes on with utterances of which frames were seen before, in one direction.

        Args:
            frames: The next ones, [batch, frames, channels].
            lengths: How many of them are valid, int32 [batch].
            past: The states behind the frame before, [batch, states, units]; at first
                0.

        Returns:
            As `call`; and the `past` of the frames that follow.
        """
        mask = sequence_mask(lengths, frames)
        outputs, *states = self.layer(
            frames, mask=mask, initial_state=tf.unstack(past, self.states, axis=1)
        )
        return tf.identity(outputs), tf.stack(states, axis=1)
