"""English text as it is read aloud: words in lower case and punctuation.

Rules replace what a pattern matches, one after the other. What no rule knows stays as
it is, for `TextFrontEnd` to name.
"""

# ruff: noqa: RUF001 -- Typographic signs look like others.

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

from tfspeech.text import number_words as say
from tfspeech.text.english import (
    ABBREVIATIONS,
    CURRENCIES,
    MONTHS,
    NUMBERED,
    SIGNS,
    SPELLED,
    TITLES,
    UNITS,
)

_MARKS_BY_STRENGTH = "?!.;:,"
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("“”„«»\"", ""),
        **dict.fromkeys("’‘`´", "'"),
        **dict.fromkeys("()[]{}—", ", "),
        "−": "-",
        "⁄": "/",
        "ß": "ss",
        "æ": "ae",
        "Æ": "Ae",
        "œ": "oe",
        "Œ": "Oe",
        "ø": "o",
        "Ø": "O",
    }
)  # fmt: skip


def _any(words: Iterable[str]) -> str:
    """A pattern for one of `words`, the longest that fits."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


# What repeats has a bound, or starts in one place only: time grows with the text alone.
_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,20}|\d+)"
_DAY = r"(0?[1-9]|[12]\d|3[01])"
_YEAR = r"(\d{4})"
_HOUR = r"([01]?\d|2[0-3])"
_MONTH = f"({_any(MONTHS.values())})"
# A dot of an abbreviation that ends the text ends the sentence, too.
_LAST_DOT = r"\.(\s*$)?"


def normalize(text: str) -> str:
    """Spells out numbers, dates, money, signs and abbreviations.

    Args:
        text: English text.

    Returns:
        Words as Americans read them, in lower case, `. , ? ! ; : ' -` and single
        spaces; symbols that are unknown are left.

    Example:
        >>> normalize("Dr. Lee paid $5 on May 2, 1984!")
        'doctor lee paid five dollars on may second, nineteen eighty-four!'
    """
    text = _plain(text)
    # Of marks in a row one is left, which may make an abbreviation of the word before.
    for _ in range(2):
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        text = text.lower()
    return text


def _plain(text: str) -> str:
    """Replaces letters with accents, and typographic signs, by plain ones."""
    text = re.sub("[¼-¾⅐-⅞]", lambda sign: f" {sign[0]} ", text)
    text = re.sub(r"[^\x00-\x7f°]", _decomposed, text)
    return text.translate(_PLAIN)


def _decomposed(symbol: re.Match) -> str:
    parts = unicodedata.normalize("NFKD", symbol[0]).replace("⁄", "/")
    base = "".join(part for part in parts if not unicodedata.combining(part))
    return base if base.isascii() else symbol[0]


def _title(match: re.Match) -> str:
    return TITLES[match[1].capitalize()] + " "


def _abbreviation(match: re.Match) -> str:
    return ABBREVIATIONS[match[1]] + ("" if match[2] is None else ".")


def _initials(match: re.Match) -> str:
    """Spells initials with dots."""
    end = "" if match[3] is None else "."
    return " ".join((match[1] + match[2]).replace(".", "")) + end


def _capitals(match: re.Match) -> str:
    """Spells words in capitals that cannot be pronounced, and some others."""
    letters = match[1]
    sayable = re.search("[AEIOUY]", letters)
    spelled = not sayable or (letters in SPELLED and not _is_shouted(match.string))
    return " ".join(letters) + ("'s" if match[2] else "") if spelled else match[0]


@functools.lru_cache(maxsize=1)
def _is_shouted(text: str) -> bool:
    """Whether a text is in capitals, which is asked at each of its words."""
    return text.isupper()


def _date(month: str, day: str, year: str | None) -> str:
    end = f", {say.year(year)}" if year else ""
    return f"{month} {say.ordinal(str(int(day)))}{end}"


def _numeric_date(match: re.Match) -> str:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return _date(list(MONTHS.values())[month - 1], match["day"], match["year"])


def _day_of_month(match: re.Match) -> str:
    end = f", {say.year(match[3])}" if match[3] else ""
    return f"{say.ordinal(str(int(match[1])))} {match[2]}{end}"


def _time(match: re.Match) -> str:
    hour, minute, half = str(int(match[1])), match[2], match[3]
    half = f" {half.lower()} m" if half else ""
    if minute and minute != "00":
        return f"{say.cardinal(hour)} {say.minutes(minute)}{half}"
    if half or not minute:
        return say.cardinal(hour) + half
    return say.cardinal(hour) + (" o'clock" if 1 <= int(hour) <= 12 else " hundred")


def _money(match: re.Match) -> str:
    one, several, cent, cents = CURRENCIES[match[1]]
    whole, decimals, scale = match[2].replace(",", ""), match[3], match[4]
    if scale or (decimals and len(decimals) != 2):
        return _decimal(whole, decimals) + (scale or "") + f" {several}"
    parts = [f"{say.cardinal(whole)} {one if whole == '1' else several}"]
    if decimals and int(decimals):
        part = str(int(decimals))
        parts.append(f"{say.cardinal(part)} {cent if part == '1' else cents}")
    return " and ".join(parts[whole == "0" and len(parts) == 2 :])


def _decimal(whole: str, decimals: str | None) -> str:
    point = f" point {say.digit_by_digit(decimals)}" if decimals else ""
    return say.cardinal(whole) + point


def _fraction(match: re.Match) -> str:
    whole, above, below = match[1], int(match[2]), int(match[3])
    if above >= below or (below > 10 and below not in (12, 16, 32, 64, 100)):
        return f"{match[1] or ''} {match[2]} {match[3]}"
    name = {2: "half", 4: "quarter"}.get(below) or say.ordinal(match[3])
    if above > 1:
        name = say.plural(name)
    start = f"{say.cardinal(whole)} and " if whole else ""
    return f"{start}{say.cardinal(match[2])} {name}"


def _unit(match: re.Match) -> str:
    one, _, several = UNITS[match[2]].partition("/")
    return f"{match[1]} {one if match[1] == '1' else several or one} "


def _roman(match: re.Match) -> str:
    values = [{"I": 1, "V": 5, "X": 10}[figure] for figure in match[2]]
    following = [*values[1:], 0]
    signed = (a if a >= b else -a for a, b in zip(values, following, strict=True))
    number = str(sum(signed))
    if match[1] in NUMBERED:
        return f"{match[1]} {say.cardinal(number)}"
    return f"{match[1]} the {say.ordinal(number)}"


def _telephone(match: re.Match) -> str:
    return ", ".join(say.digit_by_digit(group) for group in match[0].split("-"))


def _strongest(match: re.Match) -> str:
    return min(match[0].replace(" ", ""), key=_MARKS_BY_STRENGTH.index) + " "


_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # Dashes, addresses.
        (r"(?<!\s)\s*--+\s*|\s[-–]\s|(?<!\w)–|–(?!\w)", ", "),
        (r"–", "-"),
        (r"https?://", ""),
        (r"\bwww\.", "w w w dot "),
        # Words written short. Times come before initials, which "a.m." would be.
        (rf"\b({_any(TITLES)})\.? (?=[A-Z])", _title),
        (r"\b([Mm]rs?|[Mm]s|[Dd]r)\. ", _title),
        (r"\bN(?:o|r)s?\. ?(?=\d)", "number "),
        (rf"\b({_any(ABBREVIATIONS)}){_LAST_DOT}", _abbreviation),
        (rf"\b({_any(MONTHS)})(?= \d)", lambda match: MONTHS[match[1]]),
        (r"\bOK\b", "okay"),
        (r"(?<![A-Za-z])[Vv][Ss](?![A-Za-z])(?:\.(?!\s*$))?", "versus"),
        (rf"\b{_HOUR}(?::([0-5]\d))?\s?([AaPp])\.?[Mm]\b(?:\.(?!\s*$))?", _time),
        (rf"\b{_HOUR}:([0-5]\d)()\b", _time),
        (rf"\b((?:[A-Za-z]\.)+)([A-Za-z]){_LAST_DOT}", _initials),
        (r"\b([A-Z])\.(?= [A-Z])", r"\1"),
        (rf"\b({_any(NUMBERED)}) ([IVX]{{2,}}|[IVX](?=[.,;:]|$))(?!\w)", _roman),
        (r"\b([A-Z][a-z]+) ([IVX]{2,})\b", _roman),
        (r"\b([A-Z]{2,5})(s?)\b", _capitals),
        (r"(?<=[A-Za-z])\.(?=[A-Za-z])", " dot "),
        # Dates.
        (r"\b(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b", _numeric_date),
        (r"\b(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{4})\b", _numeric_date),
        (
            rf"\b{_MONTH} {_DAY}(?:st|nd|rd|th)?\b(?:,? {_YEAR}\b)?(?![.,:]?\d)",
            lambda match: _date(*match.groups()),
        ),
        (rf"\b{_DAY}(?:st|nd|rd|th)? {_MONTH}\b(?:,? {_YEAR}\b)?", _day_of_month),
        # Numbers with something else.
        (
            rf"([{''.join(CURRENCIES)}])\s?({_NUMBER})(?:\.(\d+))?"
            r"( (?:hundred|thousand|million|billion|trillion)\b)?",
            _money,
        ),
        (r"\b(?:(\d+) )?(\d{1,2})/(\d{1,3})\b(?!/)", _fraction),
        (rf"(?<!\d)({_NUMBER}(?:\.\d+)?)\s?({_any(UNITS)})(?![\w/])", _unit),
        (r"\b(\d{3}0)'?s\b", lambda match: say.plural(say.year(match[1]))),
        (r"'?\b(\d0)'?s\b", lambda match: say.plural(say.cardinal(match[1]))),
        (
            rf"\b({_NUMBER})(?:st|nd|rd|th)\b",
            lambda match: say.ordinal(match[1].replace(",", "")),
        ),
        (r"\b(?:\d{3}-)?\d{3}-\d{4}\b", _telephone),
        (r"(?<=\d)\s?-\s?(?=\d)", " to "),
        (r"(?<![\w.])-(?=\d)", "minus "),
        # Numbers.
        (
            r"(?<=\d)\.(\d+)",
            lambda match: f" point {say.digit_by_digit(match[1])} ",
        ),
        (r"\.(\d+)", lambda match: f" point {say.digit_by_digit(match[1])} "),
        (r"(?<![\d,])\d{4}(?!\d)", lambda match: f" {say.year(match[0])} "),
        (_NUMBER, lambda match: f" {say.cardinal(match[0].replace(',', ''))} "),
        # Signs, single quotation marks, and what is left of punctuation.
        (_any(SIGNS), lambda match: f" {SIGNS[match[0]]} "),
        (r"(?<!\w)'+(?!tis\b|twas\b|em\b|til\b|cause\b)", ""),
        (r"(?<![sn])'+(?!\w)", ""),
        (r"(?<![^\W_])-+|-+(?![^\W_])", " "),
        (r"\s+", " "),
        (r" ?[.,;:?!][ .,;:?!]*", _strongest),
        (r"^[ .,;:?!]+| $", ""),
    )
]
