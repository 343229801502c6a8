"""An LSTM cell with zoneout, for loops that are written out."""

from __future__ import annotations

import tensorflow as tf

from models.layers.dropout import RandomLayer
from models.layers.masking import Shape

LstmState = tuple[tf.Tensor, tf.Tensor]
"""Output h and cell state c, float32 [batch, units] each."""


class ZoneoutLstmCell(RandomLayer):
    """LSTM whose units keep their last value at random.

    In training each unit of h and of c stays as it was with probability `zoneout`; else
    the mean of that is taken: h = zoneout h' + (1 - zoneout) h. Source: Krueger et al.
    2017, "Zoneout" (arXiv 1606.01305), equations 4 and 5.

    The gates of inputs that are there for all steps before the loop are one large
    product, `project`; a step only adds those of what the loop itself computes.

    Args of the constructor:
        units: Size of h and c.
        zoneout: Probability in [0, 1).
        name: See `RandomLayer`.
    """

    def __init__(
        self, units: int, zoneout: float, *, name: str, **kwargs: object
    ) -> None:
        super().__init__(zoneout, name=name, **kwargs)
        self.units = units

    def build(self, input_shape: Shape, recurrent_shape: Shape) -> None:
        """Creates the kernels and the bias [4 units].

        The kernels are [inputs, 4 units] and [recurrent inputs + units, 4 units].
        """
        super().build()
        units = self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], 4 * units), name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(recurrent_shape[-1] + units, 4 * units), name="recurrent_kernel"
        )
        self.bias = self.add_weight(
            shape=(4 * units,), initializer=_unit_forget_bias, name="bias"
        )

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Gates of the inputs, before the loop: [..., inputs] -> [..., 4 units]."""
        return tf.tensordot(inputs, self.kernel, 1) + self.bias

    def initial_state(self, batch: tf.Tensor) -> LstmState:
        """Zeros."""
        zeros = tf.zeros([batch, self.units])
        return zeros, zeros

    def updates(
        self,
        steps: tf.Tensor | int,
        batch: tf.Tensor,
        seeds: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Draws which units of h and c change.

        Args:
            steps: int32, the number of steps; more of them leave the first as they are.
            batch: int32, the number of examples.
            seeds: See `RandomLayer.dropped`.
            training: Whether units are held back at random.

        Returns:
            float32 [steps, batch, 2 units], those of h first: 0 or 1 in training, else
            1 - zoneout.
        """
        if not (training and self.rate):
            return tf.fill([steps, batch, 2 * self.units], 1.0 - self.rate)
        held = self.dropped(seeds, batch, [steps, 2 * self.units])
        return tf.cast(tf.transpose(~held, [1, 0, 2]), tf.float32)

    def step(
        self,
        gates: tf.Tensor,
        recurrent_inputs: tf.Tensor,
        state: LstmState,
        update: tf.Tensor,
    ) -> LstmState:
        """One step.

        Args:
            gates: From `project`, float32 [batch, 4 units].
            recurrent_inputs: Inputs that the loop computes, float32 [batch, channels].
            state: That of the step before.
            update: One step of `updates`, float32 [batch, 2 units].
        """
        h, c = state
        gates += tf.matmul(tf.concat([recurrent_inputs, h], 1), self.recurrent_kernel)
        sizes = [3 * self.units, self.units]
        gates, candidate = tf.split(gates, sizes, axis=1)
        input_gate, forget_gate, output_gate = tf.split(tf.sigmoid(gates), 3, axis=1)
        update_h, update_c = tf.split(update, 2, axis=1)
        new_c = forget_gate * c + input_gate * tf.tanh(candidate)
        new_h = output_gate * tf.tanh(new_c)
        return h + update_h * (new_h - h), c + update_c * (new_c - c)


def _unit_forget_bias(shape: tuple[int, ...], dtype: str) -> tf.Tensor:
    """The gates' bias, for input, forget, output and candidate: 1 for forget."""
    return tf.repeat(tf.constant([0.0, 1.0, 0.0, 0.0], dtype), shape[0] // 4)
