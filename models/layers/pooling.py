"""Pooling of a sequence of any length to one vector."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from models.layers.masking import Shape, mask_frames, sequence_mask


class LastPooling(keras.layers.Layer):
    """The final state of each direction: last frame forwards, first frame backwards.

    Args of the constructor:
        bidirectional: Whether the second half of the channels runs backwards.
    """

    def __init__(self, bidirectional: bool = False, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.bidirectional = bidirectional

    def call(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Pools [batch, frames, channels] with int32 [batch] to [batch, channels]."""
        last = tf.gather(frames, tf.maximum(lengths - 1, 0), axis=1, batch_dims=1)
        if not self.bidirectional:
            return last
        half = frames.shape[-1] // 2
        return tf.concat([last[:, :half], frames[:, 0, half:]], axis=-1)


class MeanPooling(keras.layers.Layer):
    """The mean of the frames that are speech."""

    def call(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Pools [batch, frames, channels] with int32 [batch] to [batch, channels]."""
        total = tf.reduce_sum(mask_frames(frames, lengths), axis=1)
        return total / tf.cast(tf.maximum(lengths, 1), total.dtype)[:, tf.newaxis]


class AttentionPooling(keras.layers.Layer):
    """A mean weighted by what each frame scores: v' tanh(W h + b), softmax over time.

    Source: Yang et al. 2016, "Hierarchical Attention Networks for Document
    Classification", equations 5 to 7.
    """

    def __init__(self, units: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.hidden = keras.layers.Dense(
            units, activation="tanh", dtype=policy, name="hidden"
        )
        self.score = keras.layers.Dense(1, use_bias=False, dtype=policy, name="score")

    def build(self, input_shape: Shape) -> None:
        """Creates W [channels, units], b [units] and v [units, 1]."""
        self.hidden.build(input_shape)
        self.score.build((*input_shape[:-1], self.hidden.units))

    def live_units(self) -> np.ndarray:
        """Finds hidden units that scores of frames differ by, one at least.

        What a unit adds to the scores of all frames alike, softmax leaves out.

        Returns:
            Their places, int [units].
        """
        leads_in = np.any(self.hidden.kernel.numpy() != 0.0, axis=0)
        leads_out = self.score.kernel.numpy()[:, 0] != 0.0
        places = np.flatnonzero(leads_in & leads_out)
        return places if places.size else np.zeros(1, int)

    def call(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Pools [batch, frames, channels] with int32 [batch] to [batch, channels]."""
        scores = tf.cast(self.score(self.hidden(frames))[:, :, 0], tf.float32)
        # The first frame stays open, so that an empty utterance is not 0 / 0.
        mask = sequence_mask(tf.maximum(lengths, 1), frames)
        scores = tf.where(mask, scores, scores.dtype.min)
        weights = tf.cast(tf.nn.softmax(scores, axis=1), frames.dtype)
        return tf.einsum("bt,btc->bc", weights, mask_frames(frames, lengths))
