"""What is written short in English, and how it is read."""

MONTHS = {
    "Jan": "January",
    "Feb": "February",
    "Mar": "March",
    "Apr": "April",
    "May": "May",
    "Jun": "June",
    "Jul": "July",
    "Aug": "August",
    "Sep": "September",
    "Oct": "October",
    "Nov": "November",
    "Dec": "December",
}
# Before a name, with or without a dot.
TITLES = {
    "Mr": "mister",
    "Mrs": "missis",
    "Ms": "miz",
    "Messrs": "messers",
    "Dr": "doctor",
    "Prof": "professor",
    "St": "saint",
}
# With a dot.
ABBREVIATIONS = {
    "Drs": "doctors",
    "Rev": "reverend",
    "Hon": "honorable",
    "Gen": "general",
    "Maj": "major",
    "Col": "colonel",
    "Capt": "captain",
    "Lt": "lieutenant",
    "Sgt": "sergeant",
    "Gov": "governor",
    "Sen": "senator",
    "Mt": "mount",
    "Ft": "fort",
    "Jr": "junior",
    "Sr": "senior",
    "Esq": "esquire",
    "Co": "company",
    "Corp": "corporation",
    "Inc": "incorporated",
    "Ltd": "limited",
    "Dept": "department",
    "Ave": "avenue",
    "Blvd": "boulevard",
    "Rd": "road",
    "St": "street",
    "Dr": "drive",
    "vol": "volume",
    "etc": "et cetera",
    "approx": "approximately",
    "i.e": "that is",
    "e.g": "for example",
    "Sept": "September",
    **{short: name for short, name in MONTHS.items() if short != name},
}
# Those in lower case may start a sentence, or be shouted.
ABBREVIATIONS |= {
    written: meaning
    for short, meaning in ABBREVIATIONS.items()
    if short.islower()
    for written in (short.capitalize(), short.upper())
}
SIGNS = {
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "%": "percent",
    "#": "number",
    "/": "slash",
}
# One and several of the whole, one and several of its hundredth.
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
}
# After 1, and after other numbers.
UNITS = {
    "m": "meter/meters",
    "km": "kilometer/kilometers",
    "cm": "centimeter/centimeters",
    "mm": "millimeter/millimeters",
    "g": "gram/grams",
    "kg": "kilogram/kilograms",
    "mg": "milligram/milligrams",
    "ft": "foot/feet",
    "lb": "pound/pounds",
    "lbs": "pound/pounds",
    "oz": "ounce/ounces",
    "ms": "millisecond/milliseconds",
    "min": "minute/minutes",
    "Hz": "hertz",
    "kHz": "kilohertz",
    "MHz": "megahertz",
    "GHz": "gigahertz",
    "MB": "megabyte/megabytes",
    "GB": "gigabyte/gigabytes",
    "mph": "mile per hour/miles per hour",
    "km/h": "kilometer per hour/kilometers per hour",
    "°": "degree/degrees",
    "°C": "degree celsius/degrees celsius",
    "°F": "degree fahrenheit/degrees fahrenheit",
    "¢": "cent/cents",
}
# What a number in Roman figures counts; after other names it is an ordinal.
NUMBERED = (
    *("Chapter", "Volume", "Vol", "Part", "Section", "Book", "Act", "Scene", "War"),
    *("Article", "Phase", "Page", "Type", "Appendix", "Figure", "Table"),
)
# These have a vowel and are spelled all the same.
SPELLED = {"USA", "US", "UK", "EU", "UN", "FBI", "CIA", "IBM", "AI", "ID", "ATM", "UFO"}
