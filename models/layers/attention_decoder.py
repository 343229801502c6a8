"""From encoded symbols to frames: a recurrent decoder that attends."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.attention import Attention, Memory, State
from models.layers.masking import mask_frames
from models.layers.prenet import Prenet
from models.layers.zoneout import LstmState, ZoneoutLstmCell

Carry = tuple[tf.Tensor, State, tuple[LstmState, ...]]
"""What a step hands to the next: context, state of the attention, states of LSTMs."""


class AttentionDecoder(keras.layers.Layer):
    """Prenet, LSTM and attention in a loop; a step speaks several frames.

    Each step reads the last frame of the step before and the last context:

        h_t = LSTM(prenet(y_(t-1)), c_(t-1)),  c_t = attention(h_t),
        y_t, stop_t = linear(s_t),  s_t = [h_t; c_t], or h_t + c_t if `residual`.

    In training y_(t-1) is the recording's (teacher forcing), in synthesis its own. The
    same step serves both. It computes in float32 whatever the policy: errors of a loop
    add up.

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
        # The last output of a step says whether it was the last one.
        self.output_layer = keras.layers.Dense(
            frame_dim * reduction_factor + 1, name="output"
        )

    def build(
        self, encoded_shape: tuple[int | None, ...], *_: tuple[int | None, ...]
    ) -> None:
        """Creates the weights of all parts for [batch, symbols, channels]."""
        channels, units = encoded_shape[-1], self.cells[0].units
        self.prenet.build((None, self.frame_dim))
        prenet_units = self.prenet.dense[-1].units
        looped = channels
        for cell in self.cells:
            cell.build((None, prenet_units), (None, looped))
            looped = units + channels
        self.attention.build((None, units), encoded_shape)
        self.output_layer.build((None, units if self.residual else units + channels))

    def call(
        self,
        encoded: tf.Tensor,
        lengths: tf.Tensor,
        frames: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Predicts each step from the recording before it.

        Args:
            encoded: [batch, symbols, channels].
            lengths: int32 [batch], in symbols.
            frames: The recording, normalised, [batch, frames, frame_dim].
            training: Whether dropout and zoneout are on.

        Returns:
            Frames [batch, steps * reduction_factor, frame_dim], stop logits
            [batch, steps] and alignments [batch, steps, symbols], steps being
            ceil(frames / reduction_factor).
        """
        memory = self.attention.prepare(encoded, lengths)
        batch = tf.shape(frames)[0]
        steps = -(-tf.shape(frames)[1] // self.reduction_factor)
        before = tf.pad(frames, [[0, 0], [1, 0], [0, 0]])[:, :: self.reduction_factor]
        known = self.prenet(before[:, :steps], training=training)
        known = tf.transpose(known, [1, 0, 2])
        shape = tf.stack([steps, batch])
        inputs = [
            _unstack(tf.concat([cell.project(known), cell.updates(shape, training)], 2))
            for cell in self.cells
        ]

        def body(
            step: tf.Tensor, carry: Carry, said: tf.TensorArray, read: tf.TensorArray
        ) -> tuple[tf.Tensor, Carry, tf.TensorArray, tf.TensorArray]:
            now = [array.read(step) for array in inputs]
            carry, features = self._step(now, carry, memory)
            said = said.write(step, features)
            return step + 1, carry, said, read.write(step, carry[1][0])

        arrays = [tf.TensorArray(tf.float32, steps) for _ in range(2)]
        *_, said, read = tf.while_loop(
            lambda step, *_: step < steps,
            body,
            (0, self._start(memory, batch), *arrays),
        )
        spoken, stop_logits = self._speak(said.stack())
        return (
            _batch_major(spoken, self.reduction_factor),
            tf.transpose(stop_logits),
            tf.transpose(read.stack(), [1, 0, 2]),
        )

    def synthesize(
        self, encoded: tf.Tensor, lengths: tf.Tensor, max_steps: tf.Tensor, window: int
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Speaks until it says stop itself, or has taken all steps it may.

        Args:
            encoded: float32 [batch, symbols, channels].
            lengths: int32 [batch], in symbols.
            max_steps: int32 [batch], at least one step is taken.
            window: See `Attention.step`.

        Returns:
            Normalised frames [batch, steps * reduction_factor, frame_dim]; steps, int32
            [batch]; alignments [batch, steps, symbols], all 0 after the last step; and
            bool [batch], whether the decoder said stop.
        """
        memory = self.attention.prepare(encoded, lengths)
        batch = tf.shape(encoded)[0]
        updates = [cell.updates(tf.stack([1, batch]), False)[0] for cell in self.cells]

        def body(
            step: tf.Tensor,
            carry: Carry,
            frame: tf.Tensor,
            stopped: tf.Tensor,
            taken: tf.Tensor,
            frames: tf.TensorArray,
            read: tf.TensorArray,
        ) -> tuple:
            known = self.prenet(frame)
            now = [
                tf.concat([cell.project(known), update], 1)
                for cell, update in zip(self.cells, updates, strict=True)
            ]
            carry, features = self._step(now, carry, memory, window)
            spoken, stop_logits = self._speak(features)
            taken += tf.cast(going(stopped, taken), tf.int32)
            stopped |= (stop_logits > 0) & (taken == step + 1)
            frames = frames.write(step, spoken)
            read = read.write(step, carry[1][0])
            frame = spoken[:, -self.frame_dim :]
            return step + 1, carry, frame, stopped, taken, frames, read

        def going(stopped: tf.Tensor, taken: tf.Tensor) -> tf.Tensor:
            return ~stopped & (taken < tf.maximum(max_steps, 1))

        arrays = [tf.TensorArray(tf.float32, 0, dynamic_size=True) for _ in range(2)]
        _, _, _, stopped, taken, frames, read = tf.while_loop(
            lambda step, carry, frame, stopped, taken, *_: tf.reduce_any(
                going(stopped, taken)
            ),
            body,
            (
                0,
                self._start(memory, batch),
                tf.zeros([batch, self.frame_dim]),
                tf.zeros([batch], tf.bool),
                tf.zeros([batch], tf.int32),
                *arrays,
            ),
        )
        frames = _batch_major(frames.stack(), self.reduction_factor)
        alignments = tf.transpose(read.stack(), [1, 0, 2])
        return frames, taken, mask_frames(alignments, taken), stopped

    def _start(self, memory: Memory, batch: tf.Tensor) -> Carry:
        context = tf.zeros([batch, memory.values.shape[-1]])
        states = tuple(cell.initial_state(batch) for cell in self.cells)
        return context, self.attention.initial_state(memory), states

    def _step(
        self, inputs: list[tf.Tensor], carry: Carry, memory: Memory, window: int = 0
    ) -> tuple[Carry, tf.Tensor]:
        """One step for inputs [batch, 4 units + 2 units] of each cell."""
        context, attention_state, states = carry
        looped, new_states = context, []
        for index, cell in enumerate(self.cells):
            sizes = [4 * cell.units, 2 * cell.units]
            gates, update = tf.split(inputs[index], sizes, axis=1)
            new_states.append(cell.step(gates, looped, states[index], update))
            h = new_states[-1][0]
            if index == 0:
                context, attention_state = self.attention.step(
                    h, memory, attention_state, window
                )
            looped = tf.concat([h, context], 1)
        features = h + context if self.residual else looped
        return (context, attention_state, tuple(new_states)), features

    def _speak(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Frames [..., reduction_factor * frame_dim] and stop logits [...]."""
        outputs = self.output_layer(features)
        return outputs[..., :-1], outputs[..., -1]


def _unstack(tensor: tf.Tensor) -> tf.TensorArray:
    """An array to read one step after the other from; reads are cheap to undo."""
    return tf.TensorArray(tf.float32, tf.shape(tensor)[0]).unstack(tensor)


def _batch_major(spoken: tf.Tensor, reduction_factor: int) -> tf.Tensor:
    """[steps, batch, factor * dim] -> [batch, steps * factor, dim]."""
    steps, batch, _ = tf.unstack(tf.shape(spoken))
    dim = spoken.shape[-1] // reduction_factor
    spoken = tf.transpose(spoken, [1, 0, 2])
    return tf.reshape(spoken, [batch, steps * reduction_factor, dim])
