"""A table of recordings: CSV, TSV or JSON lines."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.io import wavfile

from tfspeech.audio.samples import as_waveform
from tfspeech.data.manifest import SPLITS, Corpus, Utterance, hold_out
from tfspeech.data.spoken import SpokenAudio
from tfspeech.errors import AudioError, CorpusError
from tfspeech.files import replacing, write_text

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


class NewManifest(NamedTuple):
    """A manifest of utterances that a program holds, which is not written yet.

    Attributes:
        text: JSON lines.
        audio: Name of a file beside the manifest -> float32 [samples] and rate in Hz.
    """

    text: str
    audio: Mapping[str, tuple[np.ndarray, int]]

    def path(self, folder: Path) -> Path:
        """The manifest's place in a folder: another one for other utterances."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return folder / digest[:16] / f"manifest{_JSON_LINES}"

    def write(self, folder: Path) -> None:
        """Writes audio and manifest, unless they are there already.

        Raises:
            OSError: They cannot be written.
        """
        path = self.path(folder)
        if path.is_file():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, (waveform, rate_hz) in self.audio.items():
            with replacing(path.parent / name) as partial:
                wavfile.write(partial, rate_hz, waveform)
        write_text(path, self.text)


def new_manifest(utterances: Iterable[Utterance | Mapping[str, Any]]) -> NewManifest:
    """Returns the manifest of utterances that a program holds.

    Args:
        utterances: `Utterance`s, or mappings with `audio` and `text` and optionally
            `speaker` and `split`. `audio` is the path of a file, or a pair of samples
            and their rate; see `as_waveform`.

    Raises:
        CorpusError: An utterance is something else, or lacks its audio or text.
        SpecError: eSpeak NG lacks the voice of an utterance.
    """
    rows, audio = [], {}
    for number, each in enumerate(utterances):
        fields = dict(vars(each) if isinstance(each, Utterance) else _mapping(each))
        try:
            row = {"path": _stored(fields.pop("audio"), audio)}
            row["text"] = str(fields.pop("text"))
        except KeyError as error:
            raise CorpusError(f"utterance {number} has no {error}") from error
        except AudioError as error:
            raise CorpusError(f"utterance {number}: {error}") from error
        row |= {k: str(fields.pop(k)) for k in _OPTIONAL if fields.get(k) is not None}
        if unknown := sorted(fields.keys() - set(_OPTIONAL)):
            raise CorpusError(
                f"utterance {number} has an unknown {unknown[0]!r}; known are audio, "
                f"text, {', '.join(_OPTIONAL)}"
            )
        rows.append(json.dumps(row) + "\n")
    return NewManifest("".join(rows), audio)


def _mapping(utterance: Any) -> Mapping[str, Any]:
    if isinstance(utterance, Mapping):
        return utterance
    raise CorpusError(
        "an utterance is a mapping with audio and text, and optionally "
        f"{' and '.join(_OPTIONAL)}. Received: {type(utterance).__name__}"
    )


def _stored(audio: Any, stored: dict[str, tuple[np.ndarray, int]]) -> str:
    """The path of an audio file, or the name under which samples go to `stored`."""
    if isinstance(audio, (str, os.PathLike)):
        return os.path.abspath(Path(audio).expanduser())
    if isinstance(audio, SpokenAudio):
        audio = audio.render()
    waveform, rate_hz = as_waveform(audio)
    digest = hashlib.sha256(waveform.tobytes() + str(rate_hz).encode()).hexdigest()
    name = f"{digest[:16]}.wav"
    stored[name] = (waveform, rate_hz)
    return name


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
