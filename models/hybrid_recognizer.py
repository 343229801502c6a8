"""Hybrid of a recurrent network and hidden Markov models: the network."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from models.config import option
from models.frame_recognizer import FrameRecognizer, FrameRecognizerConfig
from models.state_posteriors import StatePosteriors


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
class HybridRecognizer(StatePosteriors, FrameRecognizer):
    """Classifier of every frame of padded batches into states of phonemes.

    Posteriors divided by the priors of the states are likelihoods up to a factor, which
    hidden Markov models take in place of Gaussians. Source: Bourlard and Morgan 1994,
    "Connectionist speech recognition: a hybrid approach".

    Args of the constructor:
        config: The architecture.
        feature_dim: Features per frame.
        num_states: States of all phonemes.
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
        self.add_priors(num_states)
        self.create_weights()

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as JSON knows them."""
        return super().get_config() | {"num_states": self.num_states}
