"""The LJ Speech data set, https://keithito.com/LJ-Speech-Dataset, public domain."""

from __future__ import annotations

from pathlib import Path

from tfspeech.data.manifest import SPLITS, Corpus, Utterance, hold_out
from tfspeech.errors import CorpusError
from tfspeech.files import read_file

_SPEAKER = "LJ"
_MAX_HELD_OUT = 100
_MAX_HELD_OUT_SHARE = 0.1


def load(path: Path) -> Corpus:
    """Reads `metadata.csv`, of lines `ID|text|normalised text`, for `wavs/ID.wav`.

    The normalised text is taken; where a line has none, the text. The data set has no
    splits: a tenth of the clips, but at most 100, goes to validation and to test each.

    Args:
        path: The folder with `metadata.csv`.

    Raises:
        CorpusError: The table is missing, is not in UTF-8, lists less than three clips,
            or a line of it has no text.
    """
    table = path / "metadata.csv"
    try:
        lines = read_file(table).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"{table} cannot be read: {error}; give the folder of the data set, which "
            "contains metadata.csv and wavs"
        ) from error
    utterances = tuple(
        _utterance(table, number, line) for number, line in enumerate(lines, 1) if line
    )
    if len(utterances) < len(SPLITS):
        raise CorpusError(
            f"{table} lists {len(utterances) or 'no'} clips; add lines, so that each "
            f"of {', '.join(SPLITS)} gets one"
        )
    for split in ("validation", "test"):
        left = sum(each.split == "train" for each in utterances)
        count = min(_MAX_HELD_OUT, _MAX_HELD_OUT_SHARE * len(utterances))
        utterances = hold_out(utterances, split, count / left)
    return Corpus(f"ljspeech:{path}", utterances)


def _utterance(table: Path, number: int, line: str) -> Utterance:
    # The table knows no quoting: a quotation mark is part of the text.
    name, *texts = line.split("|")
    text = next((text for text in reversed(texts) if text.strip()), "").strip()
    if not name or not text or len(texts) > 2:
        raise CorpusError(
            f"{table}, line {number} is not ID|text|normalised text. "
            f"Received: {line[:80]!r}"
        )
    return Utterance(table.parent / "wavs" / f"{name}.wav", text, _SPEAKER, "train")
