"""Hybrid of a recurrent network and hidden Markov models: the network."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.config import option
from models.frame_recognizer import FrameRecognizer, FrameRecognizerConfig


@dataclasses.dataclass(frozen=True)
class HybridRecognizerConfig(FrameRecognizerConfig):
    """Hybrid: convolutions, recurrent layers, a softmax over states of phonemes."""

    conv_strides: tuple[int, ...] = option(
        (2, 1),
        "stride of each convolution before the recurrent layers; the flag repeated "
        "for several",
        unit="frames",
    )


@keras.saving.register_keras_serializable(package="tfspeech")
class HybridRecognizer(FrameRecognizer):
    """Classifier of every frame of padded batches into states of phonemes.

    Posteriors divided by the priors of the states are likelihoods up to a factor, which
    hidden Markov models take in place of Gaussians. Source: Bourlard and Morgan 1994,
    "Connectionist speech recognition: a hybrid approach".

    Args of the constructor:
        config: The architecture.
        feature_dim: Features per frame.
        num_states: States of all phonemes.

    Attributes:
        log_priors: Logarithms of the priors of the states, float32 [num_states], a
            weight that is not trained.
    """

    def __init__(
        self,
        config: HybridRecognizerConfig,
        feature_dim: int,
        num_states: int,
        name: str = "hybrid_recognizer",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, feature_dim, num_states, name=name, **kwargs)
        self.num_states = num_states
        self.log_priors = self.add_weight(
            shape=(num_states,),
            initializer=keras.initializers.Constant(-np.log(num_states)),
            dtype="float32",
            trainable=False,
            name="log_priors",
        )
        self.create_weights()

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        return super().get_config() | {"num_states": self.num_states}

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
