"""Which corpus a run is trained on."""

from __future__ import annotations

import dataclasses
import os

from models.config import option
from tfspeech.data.store import MAX_SECONDS


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Data."""

    data: str = option("", "corpus", metavar="CORPUS[:PATH]")
    test_speakers: str = option(
        "",
        "speakers who make up the test split, and are in no other",
        metavar="A,B",
    )
    max_seconds: float = option(MAX_SECONDS, "audio beyond this is cut off", unit="s")

    def __post_init__(self) -> None:
        if not self.max_seconds > 0:
            raise ValueError(
                f"max_seconds must be above 0. Received: {self.max_seconds}"
            )

    @property
    def held_out(self) -> list[str]:
        """The names in `test_speakers`."""
        return [name for name in self.test_speakers.split(",") if name]


@dataclasses.dataclass(frozen=True)
class RecognitionDataConfig(DataConfig):
    """Data."""

    data: str = option(
        "spoken_digits",
        "corpus: spoken_digits, fsdd:PATH, folder:PATH or manifest:FILE",
        metavar="CORPUS[:PATH]",
    )
    synthetic_per_label: int = option(
        600,
        "utterances of every label that eSpeak NG speaks in many voices, as company "
        "for recordings in training; 0 for none",
    )
    synthetic_share: float = option(
        0.5, "share of an epoch that is drawn from the synthetic utterances"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, valid, wanted in (
            ("synthetic_per_label", self.synthetic_per_label >= 0, "0 or more"),
            ("synthetic_share", 0 <= self.synthetic_share < 1, "in [0, 1)"),
        ):
            if not valid:
                raise ValueError(
                    f"{name} must be {wanted}. Received: {getattr(self, name)}"
                )


@dataclasses.dataclass(frozen=True)
class SynthesisDataConfig(DataConfig):
    """Data."""

    data: str = option(
        "reader",
        "corpus: reader, ljspeech:PATH or manifest:FILE",
        metavar="CORPUS[:PATH]",
    )


@dataclasses.dataclass(frozen=True)
class ParametricDataConfig(SynthesisDataConfig):
    """Data."""

    alignments: str = option(
        "",
        "folder of TextGrids with the times of phonemes; by default they lie beside "
        "the recordings",
        metavar="DIR",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alignments:
            # The run is to find them from whatever folder it is resumed in.
            path = os.path.abspath(os.path.expanduser(self.alignments))
            object.__setattr__(self, "alignments", path)
