"""Tables, plots and sounds that programs get as values and notebooks show."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfspeech.audio.encode import encode_wav

_MOST_ROWS, _MOST_COLUMNS = 10, 8


class Table(dict[str, np.ndarray]):
    """Columns of one length by name; `pandas.DataFrame(table)` takes it as it is.

    Args of the constructor:
        records: The rows; what a row lacks, or has as None, is NaN. Values that are
            neither numbers nor text are left out.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        rows = list(records)
        names = dict.fromkeys(
            name
            for row in rows
            for name, value in row.items()
            if isinstance(value, (int, float, str, type(None)))
        )
        super().__init__((name, _column([r.get(name) for r in rows])) for name in names)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.values()), ()))

    def _shown(self) -> tuple[list[list[str]], str]:
        """A heading and the last rows as text, and what is not shown."""
        names = list(self)[:_MOST_COLUMNS]
        columns = [[name, *map(_text, self[name][-_MOST_ROWS:])] for name in names]
        notes = []
        if self.rows > _MOST_ROWS:
            notes.append(f"the last {_MOST_ROWS} of {self.rows} rows")
        if len(self) > len(names):
            notes.append("also " + ", ".join(list(self)[_MOST_COLUMNS:]))
        return [list(row) for row in zip(*columns, strict=True)], "; ".join(notes)

    def __repr__(self) -> str:
        rows, note = self._shown()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True))
            for row in rows
        ]
        return "\n".join([*lines, f"({note})"] if note else lines)

    def _repr_html_(self) -> str:
        rows, note = self._shown()
        lines = ["".join(f"<td>{html.escape(c)}</td>" for c in row) for row in rows]
        table = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table>{table}</table><p>{html.escape(note)}</p>"


def _column(values: list[Any]) -> np.ndarray:
    if all(isinstance(value, (int, str)) for value in values):
        return np.array(values)
    if any(isinstance(value, str) for value in values):
        return np.array([str(value) for value in values])
    numbers = (v if isinstance(v, (int, float)) else None for v in values)
    return np.array([np.nan if number is None else number for number in numbers])


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Plots(tuple[Path, ...]):
    """The paths of plots, PNG; a notebook shows the plots themselves."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return "".join(
            f'<p>{html.escape(path.stem)}</p><img src="{_url(path.read_bytes())}">'
            for path in self
        )


class Audio(NamedTuple):
    """Sound; a notebook shows a player for it.

    Attributes:
        samples: float32 [samples] in [-1, 1].
        rate_hz: Their rate.
    """

    samples: np.ndarray
    rate_hz: int

    def save(self, path: str | Path) -> None:
        """Writes a wav file, 16-bit PCM."""
        Path(path).write_bytes(encode_wav(self.samples, self.rate_hz))

    def _repr_html_(self) -> str:
        url = _url(encode_wav(self.samples, self.rate_hz), "audio/wav")
        return f'<audio controls src="{url}"></audio>'


def _url(contents: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(contents).decode()}"
