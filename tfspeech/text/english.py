"""English that is written short, and how it is read: the tables of `english.toml`."""

from __future__ import annotations

from tfspeech.files import read_toml

_TABLES = read_toml(__package__, "english.toml")

MONTHS: dict[str, str] = _TABLES["months"]
TITLES: dict[str, str] = _TABLES["titles"]
ABBREVIATIONS: dict[str, str] = _TABLES["abbreviations"] | {
    short: name for short, name in MONTHS.items() if short != name
}
# Those in lower case may start a sentence, or be shouted.
ABBREVIATIONS |= {
    written: meaning
    for short, meaning in ABBREVIATIONS.items()
    if short.islower()
    for written in (short.capitalize(), short.upper())
}
SIGNS: dict[str, str] = _TABLES["signs"]
CURRENCIES: dict[str, list[str]] = _TABLES["currencies"]
UNITS: dict[str, str] = _TABLES["units"]
NUMBERED: list[str] = _TABLES["numbered"]
SPELLED: list[str] = _TABLES["spelled"]
