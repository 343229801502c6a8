"""An LSTM cell with zoneout, for loops that are written out."""

from __future__ import annotations

import keras
import tensorflow as tf

LstmState = tuple[tf.Tensor, tf.Tensor]
"""Output h and memory c, float32 [batch, units] each."""


class ZoneoutLstmCell(keras.layers.Layer):
    """LSTM whose units keep their last value at random.

    In training each unit of h and of c stays as it was with probability `zoneout`; else
    the mean of that is taken: h = zoneout h' + (1 - zoneout) h. Source: Krueger et al.
    2017, "Zoneout" (arXiv 1606.01305), equations 4 and 5.

    The gates of what is known for all steps before the loop are one large product,
    `project`; a step only adds those of what the loop itself brings forth.

    Args of the constructor:
        units: Size of h and c.
        zoneout: Probability in [0, 1).
    """

    def __init__(self, units: int, zoneout: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.zoneout = zoneout
        self.seed_generator = keras.random.SeedGenerator()

    def build(
        self, known_shape: tuple[int | None, ...], looped_shape: tuple[int | None, ...]
    ) -> None:
        """Creates kernels [known, 4 units], [looped + units, 4 units] and the bias."""
        units = self.units
        self.kernel = self.add_weight(shape=(known_shape[-1], 4 * units), name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(looped_shape[-1] + units, 4 * units), name="recurrent_kernel"
        )
        self.bias = self.add_weight(
            shape=(4 * units,), initializer=_remember_at_first, name="bias"
        )

    def project(self, known: tf.Tensor) -> tf.Tensor:
        """Gates of what is known before the loop: [..., known] -> [..., 4 units]."""
        return tf.tensordot(known, self.kernel, 1) + self.bias

    def initial_state(self, batch: tf.Tensor) -> LstmState:
        """Zeros."""
        zeros = tf.zeros([batch, self.units])
        return zeros, zeros

    def updates(self, shape: tf.Tensor, training: bool) -> tf.Tensor:
        """Which units of h and c change.

        Args:
            shape: [2], steps and batch.
            training: Whether units are held back at random.

        Returns:
            float32 [steps, batch, 2 units]: 0 or 1 in training, else 1 - zoneout.
        """
        shape = tf.concat([shape, [2 * self.units]], 0)
        if not (training and self.zoneout):
            return tf.fill(shape, 1.0 - self.zoneout)
        drawn = keras.random.uniform(shape, seed=self.seed_generator)
        return tf.cast(drawn >= self.zoneout, tf.float32)

    def step(
        self,
        gates: tf.Tensor,
        looped: tf.Tensor,
        state: LstmState,
        update: tf.Tensor,
    ) -> LstmState:
        """One step.

        Args:
            gates: From `project`, float32 [batch, 4 units].
            looped: What came forth in the loop, float32 [batch, looped].
            state: That of the step before.
            update: One step of `updates`, float32 [batch, 2 units].
        """
        h, c = state
        gates += tf.matmul(tf.concat([looped, h], 1), self.recurrent_kernel)
        sizes = [3 * self.units, self.units]
        opened, candidate = tf.split(gates, sizes, axis=1)
        enter, keep, leave = tf.split(tf.sigmoid(opened), 3, axis=1)
        update_h, update_c = tf.split(update, 2, axis=1)
        new_c = keep * c + enter * tf.tanh(candidate)
        new_h = leave * tf.tanh(new_c)
        return h + update_h * (new_h - h), c + update_c * (new_c - c)


def _remember_at_first(shape: tuple[int, ...], dtype: str) -> tf.Tensor:
    """The gates' bias, for input, forget, output and candidate: 1 for forget."""
    return tf.repeat(tf.constant([0.0, 1.0, 0.0, 0.0], dtype), shape[0] // 4)
