"""The Free Spoken Digit Dataset: the ten digits by six speakers.

https://github.com/Jakobovski/free-spoken-digit-dataset
"""

from __future__ import annotations

import re
from pathlib import Path

from tfspeech.data.corpora.files import audio_files
from tfspeech.data.manifest import Corpus, Utterance
from tfspeech.errors import CorpusError

_NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>[^_]+)_(?P<index>\d+)")
_TEST_INDICES = range(5)  # The data set's own test split.


def load(path: Path) -> Corpus:
    """Reads files called `{digit}_{speaker}_{index}.wav`.

    Indices 0 to 4 are the data set's own test split; the others train.

    Args:
        path: The root of the data set, or its folder `recordings`.

    Raises:
        CorpusError: There are no recordings, or some are named otherwise.
    """
    folder = path / "recordings" if (path / "recordings").is_dir() else path
    files = audio_files(folder) if folder.is_dir() else []
    if not files:
        raise CorpusError(
            f"{path} holds no recordings; give the folder of the data set that "
            "contains recordings/0_george_0.wav and so on"
        )
    return Corpus(f"fsdd:{path}", tuple(_utterance(file) for file in files))


def _utterance(file: Path) -> Utterance:
    name = _NAME.fullmatch(file.stem)
    if name is None:
        raise CorpusError(
            f"{file} is not named as the Free Spoken Digit Dataset does, "
            "{digit}_{speaker}_{index}.wav; rename or remove it, or use folder:PATH"
        )
    split = "test" if int(name["index"]) in _TEST_INDICES else "train"
    return Utterance(file, name["digit"], name["speaker"], split)
