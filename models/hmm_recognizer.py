"""Hidden Markov models with Gaussian mixtures: the densities of their states."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import keras
import tensorflow as tf

from models.config import POWER_OF_2, Options, option
from models.gaussian_mixtures import GaussianMixtures
from models.layers import FeatureNormalization, mask_frames
from models.model import SpeechModel, features_signature
from models.state_posteriors import StatePosteriors


@dataclasses.dataclass(frozen=True)
class HmmRecognizerConfig(Options):
    """Hidden Markov models: a mixture of Gaussians for every state of a phoneme.

    Attributes:
        conv_strides: Every second frame is classified, so that no phoneme is shorter
            than that; derivatives among the features know the others.
    """

    gaussians: int = option(
        8,
        "Gaussians in a state's mixture, a power of 2",
        POWER_OF_2,
        search=(4, 8, 16),
    )
    conv_strides: ClassVar[tuple[int, ...]] = (2,)

    def output_lengths(self, lengths: Any) -> Any:
        """Returns how many frames are classified.

        Args:
            lengths: Frames of features, an integer or integers in a tensor or array.
        """
        return -(-lengths // self.conv_strides[0])


@keras.saving.register_keras_serializable(package="tfspeech")
class HmmRecognizer(StatePosteriors, SpeechModel):
    """Posteriors of the states of phonemes in every frame, from Gaussian mixtures.

    By Bayes' rule the posterior of a state is its density, times its prior, divided by
    the sum over all states; `GaussianMixtures` says how densities are scaled. They may
    be trained to be likely (Baum-Welch) and the posteriors to be right, by gradient.
    Source: Bahl et al. 1986, "Maximum mutual information estimation of hidden Markov
    model parameters for speech recognition", here frame by frame. The features pass a
    linear transform first, at the start the identity, which makes up for covariances
    that are diagonal (Gales 1999, "Semi-tied covariance matrices for hidden Markov
    models").

    Args of the constructor:
        config: The architecture.
        feature_dim: Features per frame.
        num_states: States of all phonemes.

    Attributes:
        normalization: Of the features.
        transform: Of the normalised features.
        mixtures: The densities.
        output_layers: The layers whose units are states.
    """

    def __init__(
        self,
        config: HmmRecognizerConfig,
        feature_dim: int,
        num_states: int,
        name: str = "hmm_recognizer",
        **kwargs: Any,
    ) -> None:
        super().__init__(config, name=name, **kwargs)
        self.feature_dim = feature_dim
        # Exponents lose too much in half precision.
        self.normalization = FeatureNormalization(dtype="float32", name="features")
        self.transform = keras.layers.Dense(
            *(feature_dim, None, False, "identity"), dtype="float32", name="transform"
        )
        self.mixtures = GaussianMixtures(
            num_states, config.gaussians, dtype="float32", name="mixtures"
        )
        self.output_layers = [self.mixtures]
        self.add_priors(num_states)
        for layer in (self.normalization, self.transform, self.mixtures):
            layer.build((None, None, feature_dim))
        self.built = True

    @property
    def signature(self) -> dict[str, tf.TensorSpec]:
        """The inputs of `call`."""
        return features_signature(self.feature_dim)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        sizes = {"feature_dim": self.feature_dim, "num_states": self.num_states}
        return super().get_config() | sizes

    def call(
        self, inputs: dict[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Scores a batch.

        Args:
            inputs: `features` float32 [batch, frames, feature_dim] and `lengths` int32
                [batch], in frames.
            training: Changes nothing.

        Returns:
            `logits`, float32 [batch, frames, num_states], scaled log densities and
            log-priors of the states, added, 0 beyond the lengths; and `logit_lengths`
            int32 [batch], in frames.
        """
        features = inputs["features"][:, :: self.config.conv_strides[0]]
        lengths = self.config.output_lengths(inputs["lengths"])
        # What is not finite in the padding would spoil the gradient.
        features = mask_frames(self.normalization(features), lengths)
        logits = self.mixtures(self.transform(features)) + self.log_priors
        return {"logits": mask_frames(logits, lengths), "logit_lengths": lengths}
