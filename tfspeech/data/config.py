"""Which corpus a run is trained on."""

from __future__ import annotations

import dataclasses
from typing import Self

from models.config import POSITIVE, Options, option
from tfspeech.data.store import MAX_SECONDS


@dataclasses.dataclass(frozen=True)
class DataConfig(Options):
    """Data."""

    data: str = option("", "corpus", metavar="CORPUS[:PATH]")
    test_speakers: str = option(
        "",
        "speakers who make up the test split, and are in no other",
        metavar="A,B",
    )
    max_seconds: float = option(
        MAX_SECONDS, "audio beyond this is cut off", POSITIVE, unit="s"
    )

    @property
    def held_out(self) -> list[str]:
        """The names in `test_speakers`."""
        return [name for name in self.test_speakers.split(",") if name]

    def of_corpus(self, spec: str) -> Self:
        """Returns what holds for another corpus: nothing that belongs to this one."""
        return dataclasses.replace(self, data=spec, test_speakers="")
