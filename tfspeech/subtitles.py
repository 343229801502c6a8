"""Subtitles of a transcribed recording: SubRip and WebVTT."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

SUBTITLES = ("srt", "vtt")
"""SubRip, and WebVTT (https://www.w3.org/TR/webvtt1/)."""


class Cue(Protocol):
    """A text with its time, such as a segment of a transcript.

    Attributes:
        start_s: When it appears, in seconds.
        end_s: When it disappears.
        text: What is shown.
    """

    start_s: float
    end_s: float
    text: str


def format_subtitles(cues: Iterable[Cue], kind: str) -> str:
    """Returns the contents of a file of subtitles.

    Args:
        cues: In the order of their times.
        kind: One of `SUBTITLES`.

    Example:
        >>> from types import SimpleNamespace
        >>> cue = SimpleNamespace(start_s=1.5, end_s=3661.25, text="one two")
        >>> print(format_subtitles([cue], "srt"), end="")
        1
        00:00:01,500 --> 01:01:01,250
        one two
    """
    mark, numbered = (",", True) if kind == "srt" else (".", False)
    blocks = [] if numbered else ["WEBVTT\n"]
    for number, cue in enumerate(cues, 1):
        times = f"{_time(cue.start_s, mark)} --> {_time(cue.end_s, mark)}\n"
        blocks.append(f"{number}\n" * numbered + times + f"{cue.text}\n")
    return "\n".join(blocks)


def _time(seconds: float, mark: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    left, milliseconds = divmod(round(1000 * seconds), 1000)
    left, second = divmod(left, 60)
    hour, minute = divmod(left, 60)
    return f"{hour:02}:{minute:02}:{second:02}{mark}{milliseconds:03}"
