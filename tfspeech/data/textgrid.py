"""Praat's TextGrid files: intervals of time with a label, in tiers.

The format is that of the manual (https://www.fon.hum.uva.nl/praat/manual/
TextGrid_file_formats.html). What Praat reads of a file are its strings in quotation
marks, its flags, and the numbers that stand by themselves, in their order; the words
around them, which make the long format long, mean nothing.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tfspeech.errors import CorpusError
from tfspeech.files import read_file

_INTERVALS, _POINTS = "IntervalTier", "TextTier"
_TOKEN = re.compile(
    r"""(?P<comment>![^\n]*)
    | "(?P<string>(?:[^"]|"")*)"
    | (?P<flag><\w+>)
    | (?<!\S)(?P<number>[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)
    | [^\s"<]+""",
    re.VERBOSE,
)
_ENCODINGS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_TOLERANCE_S = 1e-6


class Interval(NamedTuple):
    """A stretch of time.

    Attributes:
        start_s: Where it starts, in seconds.
        end_s: Where it ends.
        label: What is there; empty where nothing is.
    """

    start_s: float
    end_s: float
    label: str


def read_textgrid(path: Path) -> dict[str, tuple[Interval, ...]]:
    """Reads the intervals of a TextGrid in the long or the short text format.

    Args:
        path: A file in UTF-8, or in UTF-16 with a byte order mark.

    Returns:
        The intervals of each tier by its name, in their order. Tiers of points are
        left out.

    Raises:
        CorpusError: The file is missing, is no TextGrid in text format or breaks off;
            a time is no number, or an interval starts before the one before it ends.
    """
    tokens = _Tokens(path)
    header = tokens.take("string"), tokens.take("string")
    if header != ("ooTextFile", "TextGrid"):
        raise tokens.error("this is no TextGrid; save it in Praat as a text file")
    tokens.times()
    tiers: dict[str, tuple[Interval, ...]] = {}
    if tokens.take("flag") != "<exists>":
        return tiers
    for _ in range(tokens.count()):
        kind = tokens.take("string")
        if kind not in (_INTERVALS, _POINTS):
            raise tokens.error(
                f"a tier is an {_INTERVALS} or a {_POINTS}. Received: {kind!r}"
            )
        name = tokens.take("string")
        if kind == _INTERVALS and name in tiers:
            raise tokens.error(f"there is another tier {name!r}; rename one")
        tokens.times()
        if kind == _INTERVALS:
            tiers[name] = tuple(_read_intervals(tokens))
        else:
            for _ in range(tokens.count()):
                tokens.take("number"), tokens.take("string")
    return tiers


def write_textgrid(
    path: Path, tiers: Mapping[str, Sequence[Interval]], end_s: float
) -> None:
    """Writes a TextGrid in the long text format, in UTF-8.

    Args:
        path: The file; another of that name is replaced.
        tiers: The intervals of each tier, in their order. Gaps between them become
            intervals without a label, as Praat wants them.
        end_s: Where the recording ends, in seconds.

    Raises:
        CorpusError: An interval starts before the one before it ends, does not end
            after its start, or reaches beyond the end.
        OSError: The file cannot be written.
    """
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_seconds(end_s)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, intervals) in enumerate(tiers.items(), 1):
        filled = list(_without_gaps(path, name, intervals, end_s))
        lines += [
            f"    item [{number}]:",
            f'        class = "{_INTERVALS}"',
            f"        name = {_quote(name)}",
            "        xmin = 0",
            f"        xmax = {_seconds(end_s)}",
            f"        intervals: size = {len(filled)}",
        ]
        for place, each in enumerate(filled, 1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_seconds(each.start_s)}",
                f"            xmax = {_seconds(each.end_s)}",
                f"            text = {_quote(each.label)}",
            ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class _Tokens:
    """The strings, flags and numbers of a file, taken one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            data = read_file(path)
            self._text = data.decode(_ENCODINGS.get(data[:2], "utf-8-sig"))
        except OSError as error:
            raise CorpusError(
                f"{path} cannot be read: {error.strerror or error}"
            ) from error
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{path} is neither UTF-8 nor UTF-16: {error}; save it in Praat with "
                "UTF-8 as its text writing preference"
            ) from error
        self._tokens = (
            token
            for token in _TOKEN.finditer(self._text)
            if token.lastgroup in ("string", "flag", "number")
        )
        self._place = 0

    def take(self, kind: str) -> str:
        """Returns the next token, which must be a string, a flag or a number."""
        token = next(self._tokens, None)
        if token is None:
            self._place = len(self._text)
            raise self.error(f"the file ends where a {kind} was expected")
        self._place = token.start()
        if token.lastgroup != kind:
            raise self.error(f"a {kind} was expected. Received: {token[0][:40]}")
        return token[kind].replace('""', '"')

    def count(self) -> int:
        """Returns the next number, which says how many of something follow."""
        number = self.take("number")
        if not number.isdecimal():
            raise self.error(f"a whole number was expected. Received: {number}")
        return int(number)

    def times(self) -> tuple[float, float]:
        """Returns the next two numbers, a start and an end in seconds."""
        start_s, end_s = float(self.take("number")), float(self.take("number"))
        if not start_s <= end_s < math.inf:
            raise self.error(f"a time ends before it starts: {start_s:g} to {end_s:g}")
        return start_s, end_s

    def error(self, what: str) -> CorpusError:
        """Returns an error that names file and line of the last token."""
        line = self._text.count("\n", 0, self._place) + 1
        return CorpusError(f"{self._path}, line {line}: {what}")


def _read_intervals(tokens: _Tokens) -> Iterator[Interval]:
    last_s = -math.inf
    for _ in range(tokens.count()):
        start_s, end_s = tokens.times()
        if start_s < last_s - _TOLERANCE_S:
            raise tokens.error(
                f"an interval starts at {start_s:g} s, before the end of the one "
                f"before it at {last_s:g} s"
            )
        last_s = end_s
        yield Interval(start_s, end_s, tokens.take("string"))


def _without_gaps(
    path: Path, name: str, intervals: Sequence[Interval], end_s: float
) -> Iterator[Interval]:
    last_s = 0.0
    for each in (*intervals, Interval(end_s, end_s, "")):
        is_end = each.start_s == each.end_s == end_s
        if each.start_s < last_s - _TOLERANCE_S or not (
            is_end or each.start_s < each.end_s <= end_s + _TOLERANCE_S
        ):
            raise CorpusError(
                f"{path}: intervals of tier {name!r} must follow each other and end by "
                f"{end_s:g} s. Received: {each.start_s:g} to {each.end_s:g} s after "
                f"{last_s:g} s"
            )
        if each.start_s > last_s + _TOLERANCE_S:
            yield Interval(last_s, each.start_s, "")
        if not is_end:
            yield each
        last_s = each.end_s


def _seconds(time_s: float) -> str:
    return f"{time_s:.6f}".rstrip("0").rstrip(".")


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
