"""Transcripts as sequences of symbols: words or characters."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Iterable, Sequence

import numpy as np

from models.config import Options, option
from tfspeech.text.normalize import normalize

PADDING = -1
"""Behind the symbols of a batch of transcripts."""

_SPACE, _APOSTROPHE = " ", "'"
_CHARACTERS = "characters"


@dataclasses.dataclass(frozen=True)
class TranscriptConfig(Options):
    """Transcripts."""

    symbols: str = option(
        "words",
        "what the model writes: the words of the training transcripts as they are; "
        "plain words, without marks and with numbers written out; or the characters of "
        "those, for sentences",
        choices=("words", "plain_words", "characters"),
    )


class Transcriber:
    """Texts as transcripts, and transcripts as numbers of symbols.

    Args of the constructor:
        config: What the symbols are.
        symbols: All of them, in the order of their numbers.

    Attributes:
        symbols: The same.
    """

    def __init__(self, config: TranscriptConfig, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        self._config = config
        self._numbers = {symbol: n for n, symbol in enumerate(self.symbols)}

    @property
    def separator(self) -> str:
        """Separator of two symbols in a text."""
        return "" if self._config.symbols == _CHARACTERS else _SPACE

    def write(self, text: str) -> str:
        """Returns a text as the model would write it; see `transcript`."""
        return transcript(self._config, text)

    def split(self, written: str) -> list[str]:
        """Returns the symbols of a transcript."""
        return split(self._config, written)

    def unknown(self, written: str) -> list[str]:
        """Returns the symbols of a transcript that are none of the model's, sorted."""
        return sorted(set(split(self._config, written)) - set(self._numbers))

    def encode(self, transcripts: Sequence[str]) -> np.ndarray:
        """Returns the numbers of the symbols of transcripts, which are all known.

        Returns:
            int32 [transcripts, symbols], `PADDING` behind the last symbol of each.
        """
        numbers = [
            [self._numbers[symbol] for symbol in split(self._config, written)]
            for written in transcripts
        ]
        longest = max(map(len, numbers), default=0)
        encoded = np.full((len(numbers), longest), PADDING, np.int32)
        for row, each in enumerate(numbers):
            encoded[row, : len(each)] = each
        return encoded

    def decode(self, numbers: Iterable[int]) -> str:
        """Returns the transcript of symbols; spaces at its ends are left out."""
        written = self.separator.join(self.symbols[number] for number in numbers)
        return _SPACE.join(written.split())


def transcript(config: TranscriptConfig, text: str) -> str:
    """Returns a text as a model of this configuration would write it.

    In words it is the text as it is. In plain words and in characters it is normalised,
    and of its marks only apostrophes inside words are left.

    Example:
        >>> transcript(TranscriptConfig("characters"), "Mr. Lee's 5 ducks - 'fine'!")
        "mister lee's five ducks fine"
    """
    if config.symbols == "words":
        return _SPACE.join(text.split())
    kept = (c if c.isalpha() or c == _APOSTROPHE else _SPACE for c in normalize(text))
    words = (word.strip(_APOSTROPHE) for word in "".join(kept).split())
    return _SPACE.join(filter(None, words))


def split(config: TranscriptConfig, written: str) -> list[str]:
    """Returns the symbols of a transcript."""
    return list(written) if config.symbols == _CHARACTERS else written.split()


def symbols_of(config: TranscriptConfig, transcripts: Iterable[str]) -> tuple[str, ...]:
    """Returns the symbols that transcripts need, sorted; English letters always."""
    found = {symbol for written in transcripts for symbol in split(config, written)}
    if config.symbols == _CHARACTERS:
        # Models of other corpora then have the same classes, to start from.
        found |= {_SPACE, _APOSTROPHE, *string.ascii_lowercase}
    return tuple(sorted(found))
