"""Settings of the training of duration-based synthesis."""

from __future__ import annotations

import dataclasses

from models.config import NOT_NEGATIVE, SHARE, Options, option
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.errors import SpecError

VOCODER_OF = {"mel": "griffin_lim", "lpc": "lpc"}
"""Target -> the vocoder that makes speech of it."""


@dataclasses.dataclass(frozen=True)
class ParallelSynthesisConfig(Options):
    """Duration-based synthesis."""

    target: str = option(
        "lpc",
        "what is predicted: log-mels for Griffin-Lim, or linear prediction with F0 and "
        "voicing for pulses and noise",
        choices=tuple(VOCODER_OF),
    )
    frame_loss: str = option(
        "l1",
        "error of frames: absolute or squared",
        choices=("l1", "l2"),
        search=("l1", "l2"),
    )
    delta_weight: float = option(
        0.0, "weight of the error of differences between frames, beside the frames' own"
    )
    pitch_weight: float = option(
        8.0, "weight of the errors of F0 and voicing, beside those of the filters"
    )
    segment_weight: float = option(
        1.0, "weight of the errors of durations, pitch and energy of segments"
    )
    adversarial_weight: float = option(
        0.0, "weight of a discriminator's error of frames, 0 for no discriminator"
    )
    kl_weight: float = option(
        0.0,
        "weight of the KL divergence, in nats, of the latent variable from N(0, 1)",
    )
    kl_warmup: int = option(
        0,
        "epochs over which that weight rises from 0, 0 for none",
        NOT_NEGATIVE,
        unit="epochs",
    )
    free_bits: float = option(
        0.0,
        "KL divergence of every dimension of a latent variable that costs nothing",
        unit="nats",
    )
    variance_scaling: float = option(
        0.0,
        "how much of the variance that predicted filters lack is given back at "
        "synthesis, 0 for none, 1 for all",
        SHARE,
    )
    validation_sentences: int = option(16, "sentences spoken at every validation")


def target_values(config: ParallelSynthesisConfig, features: AcousticConfig) -> slice:
    """Which of the values of a frame are predicted.

    Raises:
        SpecError: The frames do not have them.
    """
    if config.target == "mel":
        return slice(0, features.num_mels)
    if not features.pitch:
        raise SpecError(
            "--target lpc needs linear prediction and pitch in the frames: give "
            "--lpc-order 24 --pitch. Received: pitch=False"
        )
    return slice(features.num_mels, features.frame_dim)
