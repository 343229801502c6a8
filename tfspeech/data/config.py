"""Which corpus a run is trained on."""

from __future__ import annotations

import dataclasses

from models.config import option
from tfspeech.data.store import MAX_SECONDS


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Data."""

    data: str = option(
        "spoken_digits",
        "corpus: spoken_digits, fsdd:PATH, folder:PATH or manifest:FILE",
        metavar="CORPUS[:PATH]",
    )
    test_speakers: str = option(
        "",
        "speakers who make up the test split, and are in no other",
        metavar="A,B",
    )
    synthetic_per_label: int = option(
        200,
        "training utterances of every label spoken by eSpeak NG in many voices, beside "
        "those of the corpus; 0 for none",
    )
    max_seconds: float = option(MAX_SECONDS, "audio beyond this is cut off", unit="s")

    def __post_init__(self) -> None:
        if self.synthetic_per_label < 0 or not self.max_seconds > 0:
            raise ValueError(
                "synthetic_per_label must not be negative, and max_seconds must be "
                f"above 0. Received: {self.synthetic_per_label}, {self.max_seconds}"
            )

    @property
    def held_out(self) -> list[str]:
        """The names in `test_speakers`."""
        return [name for name in self.test_speakers.split(",") if name]
