"""A table of recordings: CSV, TSV or JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfspeech.data.manifest import SPLITS, Corpus, Utterance, hold_out
from tfspeech.errors import CorpusError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = ".jsonl"
_NEEDED = ("path", "text")
_OPTIONAL = ("speaker", "split")


def load(path: Path) -> Corpus:
    """Reads a table with the columns path and text, and optionally speaker and split.

    Paths are relative to the table's folder. Without a column split, a tenth of the
    recordings each goes to test and validation (see `hold_out`).

    Args:
        path: A file that ends in `.csv`, `.tsv` (both with a header) or `.jsonl` (an
            object in each line).

    Raises:
        CorpusError: The file is of another kind, lacks a column, is empty, or a row
            has no path or an unknown split.
    """
    if not path.is_file():
        raise CorpusError(f"{path} is not a file; give a .csv, .tsv or .jsonl file")
    try:
        rows = list(_read_rows(path))
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"{path} is not a table in UTF-8: {error}; save it as such"
        ) from error
    if not rows:
        raise CorpusError(f"{path} lists no recordings; add a row for each")
    utterances = tuple(_utterance(path, number, row) for number, row in rows)
    if not any("split" in row for _, row in rows):
        utterances = hold_out(utterances, "test", 1 / 10)
        utterances = hold_out(utterances, "validation", 1 / 9)
    return Corpus(f"manifest:{path}", utterances)


def _read_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line number and the known columns of each row."""
    kind = path.suffix.lower()
    if kind not in (*_DELIMITERS, _JSON_LINES):
        raise CorpusError(
            f"{path} is not a manifest; its name must end in .csv, .tsv or .jsonl"
        )
    with path.open(encoding="utf-8-sig", newline="") as file:
        if kind == _JSON_LINES:
            rows = _json_objects(path, file)
        else:
            rows = _table_rows(path, csv.DictReader(file, delimiter=_DELIMITERS[kind]))
        for number, row in rows:
            _check_columns(path, number, row)
            yield (
                number,
                {
                    name: "" if row[name] is None else str(row[name]).strip()
                    for name in (*_NEEDED, *_OPTIONAL)
                    if name in row
                },
            )


def _table_rows(
    path: Path, reader: csv.DictReader
) -> Iterator[tuple[int, dict[str, Any]]]:
    _check_columns(path, 1, dict.fromkeys(reader.fieldnames or ()))
    for row in reader:
        yield reader.line_num, row


def _json_objects(path: Path, file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path}, line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise CorpusError(f"{path}, line {number} is not a JSON object")
        yield number, row


def _check_columns(path: Path, number: int, row: dict[str, Any]) -> None:
    missing = [name for name in _NEEDED if name not in row]
    if missing:
        found = ", ".join(str(name) for name in row) or "none"
        raise CorpusError(
            f"{path}, line {number} lacks {' and '.join(missing)}; needed are "
            f"{', '.join(_NEEDED)}, optional {', '.join(_OPTIONAL)}. "
            f"Received: {found}"
        )


def _utterance(path: Path, number: int, row: dict[str, str]) -> Utterance:
    if not row["path"]:
        raise CorpusError(f"{path}, line {number} has no path; name an audio file")
    split = row.get("split", "train")
    if split not in SPLITS:
        raise CorpusError(
            f"{path}, line {number}: split must be one of {', '.join(SPLITS)}. "
            f"Received: {split!r}"
        )
    audio = path.parent / row["path"]
    try:
        return Utterance(audio, row["text"], row.get("speaker", ""), split)
    except CorpusError as error:
        raise CorpusError(f"{path}, line {number}: {error}") from error
