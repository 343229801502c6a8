"""Which corpus a run is trained on."""

from __future__ import annotations

import dataclasses
import os
from typing import ClassVar, Self

from models.config import POSITIVE, Options, option
from tfspeech.data.store import MAX_SECONDS


@dataclasses.dataclass(frozen=True)
class DataConfig(Options):
    """Data.

    Attributes:
        folders: Names of the fields that hold folders, empty for none.
    """

    folders: ClassVar[tuple[str, ...]] = ()
    data: str = option("", "corpus", metavar="CORPUS[:PATH]")
    test_speakers: str = option(
        "",
        "speakers who make up the test split, and are in no other",
        metavar="A,B",
    )
    max_seconds: float = option(
        MAX_SECONDS, "audio beyond this is cut off", POSITIVE, unit="s"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.folders:
            if value := getattr(self, name):
                # The run is to find it from whatever folder it is resumed in.
                path = os.path.abspath(os.path.expanduser(value))
                object.__setattr__(self, name, path)

    @property
    def held_out(self) -> list[str]:
        """The names in `test_speakers`."""
        return [name for name in self.test_speakers.split(",") if name]

    def of_corpus(self, spec: str) -> Self:
        """Returns what holds for another corpus: nothing that belongs to this one."""
        return dataclasses.replace(self, data=spec, test_speakers="")
