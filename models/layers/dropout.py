"""Dropout whose masks belong to the examples of a batch."""

from __future__ import annotations

import keras
import tensorflow as tf

from models.layers.masking import Shape
from models.layers.random import bernoulli, row_seeds


class RandomLayer(keras.layers.Layer):
    """Base of layers that drop values at random, for each example of a batch by itself.

    The mask of an example depends on its seed, on the path of the layer in its model
    (`attention_tts/decoder/prenet/dropout_0`) and on the position in the example: on
    neither the other examples of a batch, nor its padding, nor the process. Keras sets
    the path when a layer is built, so the parent's `build` builds it too. Two calls
    with one seed draw the same; a model has one such layer for each draw.

    Args of the constructor:
        rate: Probability of being dropped, in [0, 1).
        name: Of the layer, one that no sibling has.
    """

    def __init__(self, rate: float, *, name: str, **kwargs: object) -> None:
        super().__init__(name=name, **kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be in [0, 1). Received: rate={rate}")
        self.rate = rate

    def build(self, input_shape: Shape | None = None) -> None:
        """Creates the state of the seeds that are drawn where none are given."""
        if self.rate:
            self.seed_generator = keras.random.SeedGenerator(name="seeds")

    def dropped(
        self, seeds: tf.Tensor | None, batch: tf.Tensor, shape: list[tf.Tensor | int]
    ) -> tf.Tensor:
        """Draws which values are dropped, each with probability `rate`.

        Args:
            seeds: int64 [batch], one for each example; None to draw them, other ones
                at each call.
            batch: int32, the number of examples.
            shape: Of an example. A longer first axis leaves what was there as it is.

        Returns:
            bool [batch, *shape].
        """
        seeds = row_seeds(seeds, self.seed_generator, batch)
        return bernoulli(seeds, shape, self.path, self.rate)


class Dropout(RandomLayer):
    """Inverted dropout: 0 with probability `rate`, else the value / (1 - rate).

    Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks
    from Overfitting", with the factor in training instead of at inference. See
    `RandomLayer` for the constructor's arguments and for what masks depend on.
    """

    def call(
        self, values: tf.Tensor, seeds: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Drops values in training, and returns them as they are otherwise.

        Args:
            values: [batch, ..., channels]; the first axis after the batch, such as
                time, may be padded to any length.
            seeds: See `RandomLayer.dropped`.
            training: Whether to drop.

        Returns:
            The shape of `values`.
        """
        if not (training and self.rate):
            return values
        batch, *shape = tf.unstack(tf.shape(values))
        kept = tf.cast(~self.dropped(seeds, batch, shape), values.dtype)
        return values * (kept / (1 - self.rate))
