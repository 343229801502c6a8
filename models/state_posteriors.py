"""Posteriors of the states of hidden Markov models, as likelihoods."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


class StatePosteriors:
    """Mixin of Keras models whose `logits` are those of states in every frame.

    Attributes:
        num_states: States of all phonemes.
        log_priors: Logarithms of the priors of the states, float32 [num_states], a
            weight that is not trained.
    """

    def add_priors(self, num_states: int) -> None:
        """Creates `log_priors`, all the same."""
        self.num_states = num_states
        self.log_priors = self.add_weight(
            shape=(num_states,),
            initializer=keras.initializers.Constant(-np.log(num_states)),
            dtype="float32",
            trainable=False,
            name="log_priors",
        )

    def set_priors(self, counts: np.ndarray) -> None:
        """Sets the priors to the shares of the states, each counted once more.

        Args:
            counts: Frames of each state in the training set, [num_states].
        """
        shares = (counts + 1) / (counts.sum() + self.num_states)
        self.log_priors.assign(np.log(shares))

    def log_likelihoods(self, logits: tf.Tensor, prior_scale: tf.Tensor) -> tf.Tensor:
        """Returns log-likelihoods of frames in states, up to a summand for each frame.

        They are log P(state | audio) - prior_scale * log P(state).

        Args:
            logits: Of `call`, float32 [..., num_states].
            prior_scale: How much the priors count, from 0 to 1.
        """
        return tf.nn.log_softmax(logits) - prior_scale * self.log_priors
