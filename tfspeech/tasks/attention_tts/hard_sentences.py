"""Sentences made to break attention: very long or short, repeated, odd."""

from __future__ import annotations

from tfspeech.files import read_toml

HARD_SENTENCES: tuple[str, ...] = tuple(
    read_toml(__package__, "hard_sentences.toml")["sentences"]
)
"""Sixty texts on which synthesisers skip, repeat, babble or do not stop."""
