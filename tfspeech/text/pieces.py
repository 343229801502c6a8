"""Long texts in pieces that can be spoken one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tfspeech.text.normalize import normalize
from tfspeech.text.phonemes import WORD

# Where a text is divided, the best places first: sentences, clauses, words.
_BOUNDARIES = (r"(?<=[.?!]) ", r"(?<=[,;:]) ", " ")


def split_text(text: str, max_bytes: int) -> list[str]:
    """Divides a text that is too long into pieces that are as long as may be.

    They end with sentences, only those that are too long themselves with clauses, and
    only those with words.

    Args:
        text: English.
        max_bytes: Of the normalised text, in UTF-8.

    Returns:
        The text as it is, if it is short; else pieces of what `normalize` makes of it.
        A word that is too long is a piece by itself.

    Example:
        >>> split_text("The old man sat. The door, which was red, opened.", 40)
        ['the old man sat.', 'the door, which was red, opened.']
    """
    normal = normalize(text)
    if len(normal.encode()) <= max_bytes:
        return [text]
    pieces = [normal]
    for boundary in _BOUNDARIES:
        pieces = [
            joined
            for piece in pieces
            for joined in _joined(re.split(boundary, piece), max_bytes)
        ]
    return [piece for piece in pieces if WORD.search(piece)] or [text]


def _joined(parts: Sequence[str], max_bytes: int) -> Iterator[str]:
    """Yields parts joined by spaces, as many as fit."""
    piece = parts[0]
    for part in parts[1:]:
        if len(f"{piece} {part}".encode()) > max_bytes:
            yield piece
            piece = part
        else:
            piece = f"{piece} {part}"
    yield piece
