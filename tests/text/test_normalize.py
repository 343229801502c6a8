# ruff: noqa: RUF001 -- Typographic signs look like others.

import re
import time

import hypothesis
import pytest
from hypothesis import strategies as st

from tfspeech.data.reader import reader_sentences
from tfspeech.text.normalize import normalize

CASES = {
    "money": [
        ("$1, $5 and £1,234", "one dollar, five dollars and one thousand two hundred "
         "thirty-four pounds"),
        ("$5.50", "five dollars and fifty cents"),
        ("€2.01", "two euros and one cent"),
        ("$0.99", "ninety-nine cents"),
        ("$0", "zero dollars"),
        ("$3.5 million", "three point five million dollars"),
        ("25¢", "twenty-five cents"),
    ],
    "dates": [
        ("May 2, 1984!", "may second, nineteen eighty-four!"),
        ("May 1984", "may nineteen eighty-four"),
        ("on the 14th June, 1800, he", "on the fourteenth june, eighteen hundred, he"),
        ("3 Sept. 2021", "third september, twenty twenty-one"),
        ("2024-05-17", "may seventeenth, twenty twenty-four"),
        ("12/25/1999", "december twenty-fifth, nineteen ninety-nine"),
        ("Jan. 5", "january fifth"),
        ("the 1960s and '80s", "the nineteen sixties and eighties"),
        ("2024-15-99", "twenty twenty-four to fifteen to ninety-nine"),
    ],
    "times": [
        ("7:30", "seven thirty"),
        ("at 7:05 p.m. sharp", "at seven oh five p m sharp"),
        ("at 7 AM.", "at seven a m."),
        ("12:00", "twelve o'clock"),
        ("19:45", "nineteen forty-five"),
        ("15:00", "fifteen hundred"),
    ],
    "numbers": [
        ("6439 men, 1,100 women", "six thousand four hundred thirty-nine men, "
         "one thousand one hundred women"),
        ("in 1905", "in nineteen oh five"),
        ("3.14 or .5", "three point one four or point five"),
        ("-5 degrees", "minus five degrees"),
        ("the 1st, 22nd and 1,000th", "the first, twenty-second and one thousandth"),
        ("1/2, 3/4, 2/3, 1 1/2, 2½", "one half, three quarters, two thirds, "
         "one and one half, two and one half"),
        ("24/7 and 9/11", "twenty-four seven and nine eleven"),
        ("pages 10-20", "pages ten to twenty"),
        ("1939–45", "nineteen thirty-nine to forty-five"),
        ("555-1234", "five five five, one two three four"),
        ("A4 and mp3", "a four and mp three"),
        ("1 km, 5 ft, 60 mph, 20°C", "one kilometer, five feet, sixty miles per hour, "
         "twenty degrees celsius"),
    ],
    "roman": [
        ("Henry VIII, Louis XIV", "henry the eighth, louis the fourteenth"),
        ("World War II. Chapter IX", "world war two. chapter nine"),
        ("Volume I.", "volume one."),
        ("The book I read", "the book i read"),
    ],
    "abbreviations": [
        ("Dr. and Mrs. Lee", "doctor and missis lee"),
        ("Mr Lee", "mister lee"),
        ("St. Paul lives on Main St.", "saint paul lives on main street."),
        ("Smith & Co. sold etc.", "smith and company sold et cetera."),
        ("No. 5", "number five"),
        ("Rome vs. Paris, Lee vs", "rome versus paris, lee versus"),
        ("Vs:.", "versus."),
        ("Approx. five, ETC.", "approximately five, et cetera."),
        ("e.g. this, i.e. that", "for example this, that is that"),
        ("the U.S.A. is", "the u s a is"),
        ("in the U.S.A.", "in the u s a."),
        ("J. R. Smith", "j r smith"),
    ],
    "capitals": [
        ("The FBI, NASA and DVDs", "the f b i, nasa and d v d's"),
        ("TELL US NOW", "tell us now"),
        ("It's OK", "it's okay"),
    ],
    "signs": [
        ("2+2=4, 50% & #5", "two plus two equals four, fifty percent and number five"),
        ("me@mail.com", "me at mail dot com"),
        ("https://www.example.org", "w w w dot example dot org"),
    ],
    "punctuation": [
        ("“Naïve” ‘façade’… what?!!", "naive facade. what?"),
        ("one (two) [three], four", "one, two, three, four"),
        ("one -- two — three - four–five", "one, two, three, four-five"),
        ("well-known pre- and post-war", "well-known pre and post-war"),
        ("a, b ,c;d:e  . f", "a, b, c; d: e. f"),
        ("don't 'tis the dogs' o'clock", "don't 'tis the dogs' o'clock"),
        (" \t\n", ""),
        ("... !!", ""),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "spoken"), [case for cases in CASES.values() for case in cases]
)
def test_normalize(text, spoken):
    assert normalize(text) == spoken
    assert normalize(spoken) == spoken


def test_the_unknown_is_left():
    assert normalize("Hello 龍 ~ *") == "hello 龍 ~ *"


def test_sentences_of_the_grammar_only_lose_their_capitals():
    for sentence in reader_sentences(500):
        assert normalize(sentence) == sentence.lower()


@hypothesis.given(
    st.text(st.sampled_from("aA0159 .,;:?!'-$%/&°IVXsthm()"), max_size=25)
)
@hypothesis.settings(deadline=None, max_examples=500)
@hypothesis.example("ms:.A")
def test_any_text_becomes_words_and_stays_so(text):
    spoken = normalize(text)
    assert re.fullmatch(r"[a-z.,?!;:' -]*", spoken.replace("$", "").replace("°", ""))
    assert "  " not in spoken
    assert normalize(spoken) == spoken


@pytest.mark.parametrize(
    "part",
    ["1", "123,", "1 ", "1.0", "\t", "M%M ", "-", "'", " -", "A.", "II ", "$1", "1/2 "],
)
def test_time_grows_with_the_text_alone(part):
    """Where it grew with the square, this took minutes, or 10 s at least."""
    text = part * (60_000 // len(part))
    started = time.process_time()
    normalize(text)
    assert time.process_time() - started < 5


def test_it_agrees_with_what_the_reader_of_lj_speech_said(speech_data):
    lines = (speech_data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8")
    pairs = [line.split("|")[1:] for line in lines.splitlines()]
    wrong = 0
    for written, spoken in pairs:
        # The transcribers set a comma after thousands.
        said = normalize(spoken).replace("thousand, ", "thousand ")
        wrong += normalize(written) != said
    assert len(pairs) > 300
    assert wrong == 0
