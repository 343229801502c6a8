"""Numbers as Americans say them, without "and": 105 is "one hundred five"."""

from __future__ import annotations

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
    *("seventeen", "eighteen", "nineteen"),
)
_TENS = (
    *("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"),
    "ninety",
)
_THOUSANDS = ("", " thousand", " million", " billion", " trillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_MAX_DIGITS = 3 * len(_THOUSANDS)


def cardinal(digits: str) -> str:
    """Returns `"one thousand two hundred"` for `"1200"`.

    What is no count is said digit by digit: a number that starts with 0, as in a
    telephone number, or that has more than 15 digits.
    """
    if len(digits) > _MAX_DIGITS or (digits[0] == "0" and digits != "0"):
        return digit_by_digit(digits)
    if digits == "0":
        return _UNITS[0]
    number, words = int(digits), []
    for name in _THOUSANDS:
        number, group = divmod(number, 1000)
        if group:
            words.insert(0, _below_thousand(group) + name)
    return " ".join(words)


def ordinal(digits: str) -> str:
    """Returns `"twenty-first"` for `"21"`."""
    words = cardinal(digits)
    start = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[start:]
    if last.endswith("y"):
        return words[:-1] + "ieth"
    return words[:start] + _ORDINALS.get(last, last + "th")


def year(digits: str) -> str:
    """Returns `"nineteen oh five"` for `"1905"`, and other numbers as cardinals."""
    number = int(digits)
    century, rest = divmod(number, 100)
    if not 1100 <= number <= 2099 or 2000 <= number <= 2009:
        return cardinal(digits)
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    return f"{cardinal(str(century))} {minutes(f'{rest:02}')}"


def minutes(digits: str) -> str:
    """Returns `"oh five"` for `"05"`: the last two digits of a time or a year."""
    oh = "oh " if digits[0] == "0" else ""
    return oh + cardinal(str(int(digits)))


def digit_by_digit(digits: str) -> str:
    """Returns `"zero four two"` for `"042"`."""
    return " ".join(_UNITS[int(digit)] for digit in digits)


def plural(words: str) -> str:
    """Returns `"nineteen eighties"` for `"nineteen eighty"`."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_UNITS[hundreds]} hundred"] if hundreds else []
    tens, units = divmod(rest, 10)
    if rest >= 20:
        words.append(_TENS[tens] + (f"-{_UNITS[units]}" if units else ""))
    elif rest:
        words.append(_UNITS[rest])
    return " ".join(words)
