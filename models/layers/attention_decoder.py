"""Recurrent decoder from encoded symbols to frames, by attention."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.attention import Attention, Memory, State
from models.layers.masking import Shape, mask_frames
from models.layers.prenet import Prenet
from models.layers.zoneout import LstmState, ZoneoutLstmCell

Carry = tuple[tf.Tensor, State, tuple[LstmState, ...]]
"""State between steps: the context, the state of the attention, those of the LSTMs."""


class AttentionDecoder(keras.layers.Layer):
    """Prenet, LSTM and attention in a loop; a step predicts several frames.

    Each step reads the last frame of the step before and the last context:

        h_t = LSTM(prenet(y_(t-1)), c_(t-1)),  c_t = attention(h_t),
        y_t, stop_t = linear(s_t),  s_t = [h_t; c_t], or h_t + c_t if `residual`.

    In training y_(t-1) is the recording's (teacher forcing), in synthesis its own (free
    running). The same step serves both. It computes in float32 whatever the policy:
    errors of a loop add up.

    Args of the constructor:
        attention: The attention.
        frame_dim: Size of a frame.
        reduction_factor: Frames per step.
        units: Units of each LSTM.
        layers: LSTMs, each on top of the last.
        zoneout: See `ZoneoutLstmCell`.
        prenet_units: See `Prenet`.
        prenet_dropout: See `Prenet`.
        residual: Whether contexts are added to h instead of appended to it.
    """

    def __init__(
        self,
        attention: Attention,
        frame_dim: int,
        reduction_factor: int,
        *,
        units: int,
        layers: int,
        zoneout: float,
        prenet_units: int,
        prenet_dropout: float,
        residual: bool,
        **kwargs: object,
    ) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.attention = attention
        self.frame_dim = frame_dim
        self.reduction_factor = reduction_factor
        self.residual = residual
        self.prenet = Prenet(prenet_units, prenet_dropout, name="prenet")
        self.cells = [
            ZoneoutLstmCell(units, zoneout, name=f"lstm_{index}")
            for index in range(layers)
        ]
        # The last output of a step is the logit of its being the last step.
        self.output_layer = keras.layers.Dense(
            frame_dim * reduction_factor + 1, name="output"
        )

    def build(self, encoded_shape: Shape, *_: Shape) -> None:
        """Creates the weights of all parts for [batch, symbols, channels]."""
        channels, units = encoded_shape[-1], self.cells[0].units
        self.prenet.build((None, self.frame_dim))
        prenet_units = self.prenet.dense[-1].units
        recurrent_dim = channels
        for cell in self.cells:
            cell.build((None, prenet_units), (None, recurrent_dim))
            recurrent_dim = units + channels
        self.attention.build((None, units), encoded_shape)
        self.output_layer.build((None, units if self.residual else units + channels))

    def call(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        frames: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Predicts each step from the recording before it.

        Args:
            encoded: [batch, symbols, channels].
            lengths: int32 [batch], in symbols.
            frames: The recording, normalised, [batch, frames, frame_dim].
            seeds: int64 [batch], of dropout and zoneout.
            training: Whether dropout and zoneout are on.

        Returns:
            Frames [batch, steps * reduction_factor, frame_dim], stop logits
            [batch, steps] and alignments [batch, steps, symbols], steps being
            ceil(frames / reduction_factor).
        """
        memory = self.attention.prepare(encoded, lengths)
        batch = tf.shape(frames)[0]
        steps = -(-tf.shape(frames)[1] // self.reduction_factor)
        previous = tf.pad(frames, [[0, 0], [1, 0], [0, 0]])
        previous = previous[:, :: self.reduction_factor][:, :steps]
        prenet_outputs = self.prenet(previous, seeds, training=training)
        prenet_outputs = tf.transpose(prenet_outputs, [1, 0, 2])
        inputs = []
        for cell in self.cells:
            updates = cell.updates(steps, batch, seeds, training)
            inputs.append(
                _unstack(tf.concat([cell.project(prenet_outputs), updates], 2))
            )

        def body(
            step: tf.Tensor,
            carry: Carry,
            features: tf.TensorArray,
            alignments: tf.TensorArray,
        ) -> tuple[tf.Tensor, Carry, tf.TensorArray, tf.TensorArray]:
            step_inputs = [array.read(step) for array in inputs]
            carry, step_features = self._step(step_inputs, carry, memory)
            features = features.write(step, step_features)
            alignments = alignments.write(step, carry[1][0])
            return step + 1, carry, features, alignments

        arrays = [tf.TensorArray(tf.float32, steps) for _ in range(2)]
        *_, features, alignments = tf.while_loop(
            lambda step, *_: step < steps,
            body,
            (0, self._initial_carry(memory, batch), *arrays),
        )
        outputs, stop_logits = self._outputs(features.stack())
        return (
            _batch_major(outputs, self.reduction_factor),
            tf.transpose(stop_logits),
            tf.transpose(alignments.stack(), [1, 0, 2]),
        )

    def synthesize(
        self, encoded: tf.Tensor, lengths: tf.Tensor, max_steps: tf.Tensor, window: int
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Runs freely until it predicts the stop itself, or has taken all steps.

        Args:
            encoded: float32 [batch, symbols, channels].
            lengths: int32 [batch], in symbols.
            max_steps: int32 [batch], at least one step is taken.
            window: See `Attention.step`.

        Returns:
            Normalised frames [batch, steps * reduction_factor, frame_dim]; steps, int32
            [batch]; alignments [batch, steps, symbols], all 0 after the last step; and
            bool [batch], whether the decoder predicted the stop.
        """
        memory = self.attention.prepare(encoded, lengths)
        batch = tf.shape(encoded)[0]
        updates = [cell.updates(1, batch)[0] for cell in self.cells]

        def body(
            step: tf.Tensor,
            carry: Carry,
            frame: tf.Tensor,
            stopped: tf.Tensor,
            taken: tf.Tensor,
            frames: tf.TensorArray,
            alignments: tf.TensorArray,
        ) -> tuple:
            prenet_outputs = self.prenet(frame)
            inputs = [
                tf.concat([cell.project(prenet_outputs), update], 1)
                for cell, update in zip(self.cells, updates, strict=True)
            ]
            carry, features = self._step(inputs, carry, memory, window)
            outputs, stop_logits = self._outputs(features)
            taken += tf.cast(active(stopped, taken), tf.int32)
            stopped |= (stop_logits > 0) & (taken == step + 1)
            frames = frames.write(step, outputs)
            alignments = alignments.write(step, carry[1][0])
            frame = outputs[:, -self.frame_dim :]
            return step + 1, carry, frame, stopped, taken, frames, alignments

        def active(stopped: tf.Tensor, taken: tf.Tensor) -> tf.Tensor:
            return ~stopped & (taken < tf.maximum(max_steps, 1))

        arrays = [tf.TensorArray(tf.float32, 0, dynamic_size=True) for _ in range(2)]
        _, _, _, stopped, taken, frames, alignments = tf.while_loop(
            lambda step, carry, frame, stopped, taken, *_: tf.reduce_any(
                active(stopped, taken)
            ),
            body,
            (
                0,
                self._initial_carry(memory, batch),
                tf.zeros([batch, self.frame_dim]),
                tf.zeros([batch], tf.bool),
                tf.zeros([batch], tf.int32),
                *arrays,
            ),
        )
        frames = _batch_major(frames.stack(), self.reduction_factor)
        alignments = tf.transpose(alignments.stack(), [1, 0, 2])
        return frames, taken, mask_frames(alignments, taken), stopped

    def _initial_carry(self, memory: Memory, batch: tf.Tensor) -> Carry:
        context = tf.zeros([batch, memory.values.shape[-1]])
        states = tuple(cell.initial_state(batch) for cell in self.cells)
        return context, self.attention.initial_state(memory), states

    def _step(
        self, inputs: list[tf.Tensor], carry: Carry, memory: Memory, window: int = 0
    ) -> tuple[Carry, tf.Tensor]:
        """One step for inputs [batch, 4 units + 2 units] of each cell."""
        context, attention_state, states = carry
        recurrent_inputs, new_states = context, []
        for index, cell in enumerate(self.cells):
            sizes = [4 * cell.units, 2 * cell.units]
            gates, update = tf.split(inputs[index], sizes, axis=1)
            new_states.append(cell.step(gates, recurrent_inputs, states[index], update))
            h = new_states[-1][0]
            if index == 0:
                context, attention_state = self.attention.step(
                    h, memory, attention_state, window
                )
            recurrent_inputs = tf.concat([h, context], 1)
        features = h + context if self.residual else recurrent_inputs
        return (context, attention_state, tuple(new_states)), features

    def _outputs(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Frames [..., reduction_factor * frame_dim] and stop logits [...]."""
        outputs = self.output_layer(features)
        return outputs[..., :-1], outputs[..., -1]


def _unstack(tensor: tf.Tensor) -> tf.TensorArray:
    """Splits into steps; the gradient of reading one does not touch the others."""
    return tf.TensorArray(tf.float32, tf.shape(tensor)[0]).unstack(tensor)


def _batch_major(outputs: tf.Tensor, reduction_factor: int) -> tf.Tensor:
    """[steps, batch, factor * dim] -> [batch, steps * factor, dim]."""
    steps, batch, _ = tf.unstack(tf.shape(outputs))
    dim = outputs.shape[-1] // reduction_factor
    outputs = tf.transpose(outputs, [1, 0, 2])
    return tf.reshape(outputs, [batch, steps * reduction_factor, dim])
