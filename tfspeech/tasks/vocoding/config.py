"""Settings of the training of vocoders."""

from __future__ import annotations

import dataclasses

import numpy as np

from models.config import Bounds, Options, option
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.config import DataConfig
from tfspeech.errors import SpecError

# What of the settings of frames must be the same: always, and for what is seen of them.
_ALWAYS = "sample_rate_hz", "hop_length_ms"
_SEEN = {
    "mel": (
        *("frame_length_ms", "num_mels", "mel_low_hz", "mel_high_hz"),
        "magnitude_floor",
    ),
    "lpc": ("lpc_order",),
}


@dataclasses.dataclass(frozen=True)
class VocodingDataConfig(DataConfig):
    """Data."""

    data: str = option(
        "reader",
        "corpus of recordings, whose texts are not used: reader, ljspeech:PATH, "
        "manifest:FILE, or package.module:FUNCTION, which returns a corpus",
        metavar="CORPUS[:PATH]",
    )
    frames_from: str = option(
        "",
        "run of parallel_tts or dense_synthesis: train on the frames that it predicts "
        "for the durations of the recordings, with their pitch",
        metavar="RUN_DIR",
    )


@dataclasses.dataclass(frozen=True)
class VocodingConfig(Options):
    """Vocoding."""

    conditioning: str = option(
        "mel",
        "what of a frame the network sees besides pitch and voicing: log-mels, or the "
        "parameters of linear prediction",
        choices=tuple(_SEEN),
    )
    segment_frames: int = option(
        32,
        "length of a training segment, which starts anywhere in an utterance",
        Bounds("at least 8", lambda x: x >= 8),
        unit="frames",
    )
    validation_sentences: int = option(16, "recordings resynthesised at validations")


def conditioning_values(config: VocodingConfig, features: AcousticConfig) -> np.ndarray:
    """Which of the values of a frame the network sees, int [values]; pitch comes last.

    Raises:
        SpecError: The frames do not have them.
    """
    if not features.pitch:
        raise SpecError(
            "vocoders need the pitch in the frames: give --pitch, and an --lpc-order "
            "such as 24. Received: pitch=False"
        )
    mels, values = features.num_mels, np.arange(features.frame_dim)
    return (
        np.r_[values[:mels], values[-2:]]
        if config.conditioning == "mel"
        else values[mels:]
    )


def check_frames(
    config: VocodingConfig,
    own: AcousticConfig,
    given: AcousticConfig,
    predicted: slice,
) -> None:
    """Checks whether a vocoder can make speech of the frames of a synthesiser.

    Args:
        config: Of the vocoder.
        own: The frames that it was trained on.
        given: The frames of the synthesiser.
        predicted: Which of their values it predicts.

    Raises:
        SpecError: They are not those that the vocoder sees.
    """
    if not given.pitch:
        raise SpecError(
            "the vocoder needs pitch and voicing, which the synthesiser does not "
            "predict: train it with --pitch and an --lpc-order such as 24"
        )
    names = *_ALWAYS, *_SEEN[config.conditioning]
    wrong = [name for name in names if getattr(own, name) != getattr(given, name)]
    if wrong:
        wanted, found = (
            ", ".join(f"{name}={getattr(features, name)!r}" for name in wrong)
            for features in (own, given)
        )
        raise SpecError(
            f"the vocoder takes frames with {wanted}, and those of the synthesiser "
            f"have {found}: train one of the two with the frames of the other"
        )
    inside = range(given.frame_dim)[predicted]
    if not set(conditioning_values(config, given)) <= set(inside):
        (other,) = set(_SEEN) - {config.conditioning}
        raise SpecError(
            f"the vocoder was trained with --conditioning {config.conditioning}, which "
            "the synthesiser does not predict: train a vocoder with --conditioning "
            f"{other}"
        )
