"""The part of the Speech Synthesis Markup Language that says how words are spoken.

Elements and values are those of "Speech Synthesis Markup Language (SSML) Version 1.1",
W3C Recommendation, 2010, sections 3.2.2 to 3.2.4. What it leaves to the processor, such
as how fast `fast` is, is in the tables here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from xml.parsers import expat

from tfspeech.errors import SpecError, TextError
from tfspeech.tasks.conditions import CONDITIONS
from tfspeech.tasks.speech.phrases import MARKS, Phrase, Prosody, Utterance

MAX_BYTES = 100_000
MAX_DEPTH = 32
MAX_BREAK_S = 10.0

_NEUTRAL = {condition.name: condition.default for condition in CONDITIONS}

_FACTORS = {"rate", "pitch_range"}

_LABELS = {
    "rate": {"x-slow": 0.5, "slow": 0.75, "fast": 1.33, "x-fast": 2.0},
    "pitch": {"x-low": -6.0, "low": -3.0, "high": 3.0, "x-high": 6.0},
    "range": {"x-low": 0.4, "low": 0.7, "high": 1.4, "x-high": 2.0},
    "volume": {"x-soft": -9.0, "soft": -4.5, "loud": 4.5, "x-loud": 9.0},
}
_UNCHANGED = ("medium", "default")
_EMPHASIS: dict[str, dict[str, float]] = {
    "strong": {"rate": 0.8, "semitones": 3.0, "energy": 4.0},
    "moderate": {"rate": 0.9, "semitones": 1.5, "energy": 2.0},
    "none": {},
    "reduced": {"rate": 1.15, "semitones": -1.0, "energy": -2.0},
}
_STRENGTHS_S = {
    "none": 0.0,
    "x-weak": 0.1,
    "weak": 0.2,
    "medium": 0.4,
    "strong": 0.7,
    "x-strong": 1.2,
}
_SPEAK_ATTRIBUTES = ("version", "xmlns", "xml:lang")

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_PERCENT = re.compile(f"({_NUMBER})%")
_CHANGE = re.compile(f"([+-](?:{_NUMBER}))(%|st)")
_DECIBELS = re.compile(f"([+-](?:{_NUMBER}))dB")
_TIME = re.compile(f"({_NUMBER})(ms|s)")


def _rate(value: str) -> float | None:
    """A factor of "120%"."""
    found = _PERCENT.fullmatch(value)
    return float(found[1]) / 100.0 if found else None


def _semitones(value: str) -> float | None:
    """Semitones of "+2st" or "-10%"."""
    found = _CHANGE.fullmatch(value)
    if not found:
        return None
    if found[2] == "st":
        return float(found[1])
    factor = 1.0 + float(found[1]) / 100.0
    return 12.0 * math.log2(factor) if factor > 0.0 else -math.inf


def _pitch_range(value: str) -> float | None:
    """A factor of "+50%"."""
    found = _CHANGE.fullmatch(value)
    valid = found and found[2] == "%"
    return 1.0 + float(found[1]) / 100.0 if valid else None


def _decibels(value: str) -> float | None:
    """Decibels of "+6dB"."""
    found = _DECIBELS.fullmatch(value)
    return float(found[1]) if found else None


class _Attribute(NamedTuple):
    """An attribute of `prosody`: which condition, how values read, an example."""

    condition: str
    read: Callable[[str], float | None]
    example: str


_PROSODY = {
    "rate": _Attribute("rate", _rate, "120%"),
    "pitch": _Attribute("semitones", _semitones, "+2st or -10%"),
    "range": _Attribute("pitch_range", _pitch_range, "+50%"),
    "volume": _Attribute("energy", _decibels, "+6dB"),
}


def parse_ssml(document: str, usual: Prosody = _NEUTRAL) -> list[Utterance]:
    """Reads a document, which may not have a document type.

    Elements: `speak`, the root; `prosody` with `rate`, `pitch`, `range` and `volume`;
    `emphasis` with `level`; `break` with `time` or `strength`. Elements inside one
    another act together. What changes only a part of a word makes words of its parts.

    Args:
        document: Of at most `MAX_BYTES` in UTF-8.
        usual: What the document changes: a value for every one of `CONDITIONS` that
            the model has. What it lacks, `emphasis` leaves out and `prosody` may not
            ask for.

    Returns:
        What is spoken, cut at the breaks.

    Raises:
        TextError: It is too long, no XML, has another element, attribute or value, or
            nothing to say; the error names line and column.
    """
    contents = document.encode("utf-8", "replace")
    if len(contents) > MAX_BYTES:
        raise TextError(
            f"SSML may have {MAX_BYTES} bytes. Received: {len(contents)} bytes"
        )
    reader = _Reader(usual)
    reader.read(contents)
    utterances = reader.utterances
    if not utterances:
        raise TextError("there is nothing to say in the SSML")
    return utterances


def parse_documents(
    documents: Sequence[str], usual: Prosody
) -> list[tuple[Utterance, bool]]:
    """Reads documents, all of them before the first is spoken; see `parse_ssml`.

    Returns:
        Their utterances, and whether each is the last one of its document.
    """
    return [
        (utterance, place == len(utterances))
        for utterances in [parse_ssml(document, usual) for document in documents]
        for place, utterance in enumerate(utterances, 1)
    ]


class _Reader:
    """Turns the events of a parser into utterances.

    Args of the constructor:
        usual: What the document changes.

    Attributes:
        utterances: Those that are complete.
    """

    def __init__(self, usual: Prosody) -> None:
        self._usual = usual
        self.utterances: list[Utterance] = []
        self._phrases: list[Phrase] = []
        self._before_s = 0.0
        self._open: list[Prosody] = []
        self._text = ""
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        # Without a document type there are no entities that could grow.
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def read(self, contents: bytes) -> None:
        """Reads a whole document."""
        try:
            self._parser.Parse(contents, True)
        except expat.ExpatError as error:
            reason = expat.errors.messages[error.code]
            raise _error(
                error.lineno, error.offset, f"it is no XML: {reason}"
            ) from error
        self._close(0.0)

    def _fail(self, reason: str) -> None:
        parser = self._parser
        raise _error(parser.CurrentLineNumber, parser.CurrentColumnNumber, reason)

    def _refuse_doctype(self, *_: object) -> None:
        self._fail("a document type (<!DOCTYPE>) is not allowed")

    def _characters(self, text: str) -> None:
        self._text += text

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open:
            if tag != "speak":
                self._fail(f"the root must be <speak>{_seen(tag)}")
            self._check(tag, attributes, _SPEAK_ATTRIBUTES)
            self._open.append(self._usual)
            return
        if len(self._open) == MAX_DEPTH:
            self._fail(f"more than {MAX_DEPTH} elements are inside one another")
        self._end_phrase()
        if tag == "prosody":
            changes = self._prosody(attributes)
        elif tag == "emphasis":
            self._check(tag, attributes, ("level",))
            level = attributes.get("level", "moderate")
            asked = _EMPHASIS[self._choice("level", level, _EMPHASIS)]
            changes = {k: v for k, v in asked.items() if k in self._usual}
        elif tag == "break":
            self._close(self._pause_s(attributes))
            changes = {}
        else:
            self._fail(f"an element must be prosody, emphasis or break{_seen(tag)}")
        self._open.append(self._changed(changes))

    def _end(self, tag: str) -> None:
        if tag == "break" and self._text.strip():
            self._fail("<break> must be empty")
        self._end_phrase()
        self._open.pop()

    def _end_phrase(self) -> None:
        """Keeps what was read since the last element began or ended."""
        text = " ".join(self._text.split())
        self._text = ""
        if text:
            self._phrases.append(Phrase(text, self._open[-1]))

    def _close(self, pause_s: float) -> None:
        """Ends an utterance; a pause after a pause makes that longer."""
        if any(phrase.text.strip(MARKS) for phrase in self._phrases):
            phrases = tuple(self._phrases)
            self.utterances.append(Utterance(phrases, self._before_s, 0.0))
            self._before_s = 0.0
        self._phrases = []
        if self.utterances:
            last = self.utterances[-1]
            pause_s += last.after_s
            self.utterances[-1] = last._replace(after_s=pause_s)
        else:
            self._before_s = pause_s = self._before_s + pause_s
        if pause_s > MAX_BREAK_S:
            self._fail(f"a break may last {MAX_BREAK_S:g} s. Received: {pause_s:g} s")

    def _prosody(self, attributes: dict[str, str]) -> dict[str, float]:
        """The changes that attributes of `prosody` ask for, by condition."""
        self._check("prosody", attributes, tuple(_PROSODY))
        changes = {}
        for name, value in attributes.items():
            condition, read, example = _PROSODY[name]
            if condition not in self._usual:
                self._fail(f"the model has no {condition}, which {name} would change")
            if value in _UNCHANGED:
                continue
            labels = _LABELS[name]
            found = labels.get(value) or read(value)
            if found is None:
                known = ", ".join((*labels, *_UNCHANGED))
                self._fail(f"{name} must be like {example}, or {known}{_seen(value)}")
            changes[condition] = found
        return changes

    def _changed(self, changes: Mapping[str, float]) -> Prosody:
        """The prosody inside an element that is opened."""
        values = dict(self._open[-1])
        for name, change in changes.items():
            values[name] = (
                values[name] * change if name in _FACTORS else values[name] + change
            )
        for condition in CONDITIONS:
            try:
                condition.check(values.get(condition.name, condition.default))
            except SpecError as error:
                self._fail(f"with the elements around it, {error}")
        return values

    def _pause_s(self, attributes: dict[str, str]) -> float:
        self._check("break", attributes, ("time", "strength"))
        strength = attributes.get("strength", "medium")
        pause_s = _STRENGTHS_S[self._choice("strength", strength, _STRENGTHS_S)]
        if "time" in attributes:
            found = _TIME.fullmatch(attributes["time"])
            if not found:
                self._fail(
                    f"time must be like 250ms or 1.5s{_seen(attributes['time'])}"
                )
            pause_s = float(found[1]) / (1000.0 if found[2] == "ms" else 1.0)
        return pause_s

    def _check(
        self, tag: str, attributes: dict[str, str], known: tuple[str, ...]
    ) -> None:
        for name in attributes:
            if name not in known:
                names = ", ".join(known)
                self._fail(f"an attribute of {tag} must be {names}{_seen(name)}")

    def _choice(self, name: str, value: str, known: Mapping[str, object]) -> str:
        if value not in known:
            self._fail(f"{name} must be one of {', '.join(known)}{_seen(value)}")
        return value


def _error(line: int, column: int, reason: str) -> TextError:
    return TextError(f"SSML, line {line}, column {column + 1}: {reason}")


def _seen(value: str) -> str:
    """Returns the form of a value in an error, however long it is."""
    return f". Received: {value[:40]!r}"
