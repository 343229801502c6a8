"""From text to the numbers of its symbols."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from models.config import Options, option
from tfspeech.errors import SpecError, TextError
from tfspeech.text.normalize import normalize
from tfspeech.text.phonemes import PHONEMES, WORD, text_to_phonemes

PADDING, END = "<padding>", "<end>"
PUNCTUATION = (" ", "!", "'", ",", "-", ".", ":", ";", "?")

_KINDS = {
    "characters": tuple("abcdefghijklmnopqrstuvwxyz"),
    "phonemes": PHONEMES,
}
AFTER_NO_SPACE = (*" !,.:;?", END)
_NO_WORD = -1
_ASCII_CODES = 128


@dataclasses.dataclass(frozen=True)
class TextConfig(Options):
    """Text."""

    symbols: str = option(
        "characters", "what the model reads of a text", choices=tuple(_KINDS)
    )


def pad_symbols(encoded: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Makes a batch of encoded texts.

    Args:
        encoded: Symbols as `TextFrontEnd.encode` returns them; at least one text.

    Returns:
        Symbols, int32 [batch, longest], padded with 0, and the number of symbols of
        each text, int32 [batch].
    """
    lengths = np.array([len(symbols) for symbols in encoded], np.int32)
    return keras.utils.pad_sequences(encoded, padding="post"), lengths


class TextFrontEnd:
    """Encodes texts as symbols: characters or phonemes, and punctuation.

    A text is normalised first (see `normalize`).

    Args of the constructor:
        config: What the symbols are.

    Attributes:
        config: The same.
        symbols: All symbols; the padding is 0, and `END` ends every encoded text.
    """

    def __init__(self, config: TextConfig | None = None) -> None:
        self.config = config or TextConfig()
        letters = _KINDS[self.config.symbols]
        self.symbols: tuple[str, ...] = (PADDING, END, *PUNCTUATION, *letters)
        self._index = {symbol: index for index, symbol in enumerate(self.symbols)}

    def encode(
        self, text: str, pronunciation: Sequence[Sequence[str]] | None = None
    ) -> np.ndarray:
        """Returns the symbols of a text, int32 [symbols].

        Args:
            text: In English.
            pronunciation: The phonemes of each word (see `text_to_phonemes`), where
                they are known to be others than eSpeak's; only of a front end that
                reads phonemes.

        Raises:
            TextError: The text has no words, or a symbol that is unknown.
        """
        symbols = self._read(text, pronunciation)
        return np.array([self._index[symbol] for symbol, _ in symbols], "i4")

    def words(self, text: str) -> np.ndarray:
        """Returns the word that each symbol of a text belongs to, int32 [symbols].

        Words count from 0 without gaps; a compound with hyphens is one word.
        Punctuation, spaces and the end are -1. eSpeak says some pairs of words as one
        ("in the"): in phonemes, they count as one word.

        Raises:
            TextError: See `encode`.
        """
        owners = [word for _, word in self._read(text)]
        # The end belongs to no word, so that the lowest of the values is -1.
        _, ranks = np.unique(owners, return_inverse=True)
        return (ranks - 1).astype("i4")

    def encode_in_graph(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes normalised texts in TensorFlow's own operations.

        It gives what `encode` gives for texts that `normalize` has returned. Upper case
        is read as lower case, and what is no known character is left out: numbers,
        for one, are not spoken.

        Args:
            texts: UTF-8, string [batch].

        Returns:
            Symbols, int32 [batch, longest], padded with 0, and the number of symbols
            of each text with its end, int32 [batch].

        Raises:
            SpecError: The symbols are phonemes, which need eSpeak NG.
        """
        if self.config.symbols != "characters":
            raise SpecError(
                "a graph reads characters only; train with --symbols characters. "
                f"Received: symbols={self.config.symbols!r}"
            )
        by_code = [self._index.get(chr(code), 0) for code in range(_ASCII_CODES)]
        texts = tf.strings.lower(tf.strings.strip(texts), encoding="utf-8")
        codes = tf.strings.unicode_decode(
            tf.strings.regex_replace(texts, r"\s+", " "), "UTF-8"
        )
        known = tf.ragged.boolean_mask(codes, codes < _ASCII_CODES)
        symbols = known.with_values(tf.gather(by_code, known.values))
        symbols = tf.ragged.boolean_mask(symbols, symbols > 0)
        ends = tf.fill([tf.size(texts), 1], self._index[END])
        symbols = tf.concat([symbols, tf.RaggedTensor.from_tensor(ends)], axis=1)
        return symbols.to_tensor(), tf.cast(symbols.row_lengths(), tf.int32)

    def _read(
        self, text: str, pronunciation: Sequence[Sequence[str]] | None = None
    ) -> list[tuple[str, int]]:
        """Returns the symbols of a text, each with the index of its word."""
        normal = normalize(text)
        if not WORD.search(normal):
            raise TextError(f"there is nothing to say in the text. Received: {text!r}")
        self._check(text, normal)
        words = list(WORD.finditer(normal))
        if self.config.symbols == "phonemes":
            letters = pronunciation or text_to_phonemes(normal)
        else:
            letters = [word[0] for word in words]
        symbols: list[tuple[str, int]] = []
        start = 0
        for number, word in enumerate(words):
            symbols += [(mark, _NO_WORD) for mark in normal[start : word.start()]]
            symbols += [(letter, number) for letter in letters[number]]
            start = word.end()
        symbols += [(mark, _NO_WORD) for mark in normal[start:]]
        return self._tidy([*symbols, (END, _NO_WORD)])

    def _tidy(self, symbols: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Drops the space that a word without a sound of its own leaves."""
        kept: list[tuple[str, int]] = []
        for symbol, word in symbols:
            if symbol not in self._index:
                raise TextError(
                    f"eSpeak NG says word {word + 1} with the phoneme {symbol!r}, "
                    "which is not American English; spell the word in another way"
                )
            if symbol in AFTER_NO_SPACE and kept and kept[-1][0] == " ":
                kept.pop()
            kept.append((symbol, word))
        return kept

    def _check(self, text: str, normal: str) -> None:
        """Raises a TextError for a character that no symbol stands for."""
        known = {*_KINDS["characters"], *PUNCTUATION}
        for place, character in enumerate(normal):
            if character not in known:
                place = max(text.lower().find(character), 0)
                start = max(place - 20, 0)
                raise TextError(
                    f"unknown symbol {character!r} at character {place + 1} of the "
                    f"text; write it as English words. "
                    f"Received: {text[start : place + 20]!r}"
                )
