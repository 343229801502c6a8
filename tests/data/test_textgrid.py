# ruff: noqa: RUF001 -- IPA has letters that look like others.

import codecs

import pytest

from tfspeech.data.textgrid import Interval, read_textgrid, write_textgrid
from tfspeech.errors import CorpusError

TIERS = {
    "words": (Interval(0.1, 0.5, "tree"), Interval(0.5, 0.75, 'say "a"!')),
    "phones": (
        Interval(0.0, 0.1, "sil"),
        Interval(0.1, 0.25, "tʃ"),
        Interval(0.25, 0.75, "ˈiː"),
    ),
}
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
2
"TextTier"
"clicks"
0
1.5
1
0.7
"a click"
"IntervalTier"
"words"
0
1.5
2
0
.5e0
""
0.5
1.5
"HELLO 2"
""".replace(".5e0", "5e-1")
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 ! a comment with 1 number and a " mark
xmax = 1.5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.5
            text = "HELLO 2"
"""
HELLO = {"words": (Interval(0.0, 0.5, ""), Interval(0.5, 1.5, "HELLO 2"))}


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, TIERS, 1.0)
    read = read_textgrid(path)
    assert list(read) == ["words", "phones"]
    assert read["words"] == (
        Interval(0.0, 0.1, ""),
        *TIERS["words"],
        Interval(0.75, 1.0, ""),
    )
    assert read["phones"] == (*TIERS["phones"], Interval(0.75, 1.0, ""))


def test_an_empty_tier_is_one_interval_without_a_label(tmp_path):
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, {"words": ()}, 2.0)
    assert read_textgrid(path) == {"words": (Interval(0.0, 2.0, ""),)}


@pytest.mark.parametrize("text", [LONG, SHORT, LONG.replace("\n", "\r\n")])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_both_formats_are_read_in_every_encoding(tmp_path, text, mark, encoding):
    path = tmp_path / "a.TextGrid"
    path.write_bytes(mark + text.encode(encoding))
    assert read_textgrid(path) == HELLO


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"ooTextFile"', '"ooBinaryFile"', "line 2: this is no TextGrid"),
        ("size = 1", 'size = "x"', 'line 7: a number was expected. Received: "x"'),
        ("size = 1", "size = 1.5", "line 7: a whole number"),
        (
            'class = "IntervalTier"',
            'class = "PitchTier"',
            "line 10: a tier is .*'PitchTier'",
        ),
        ('            text = "HELLO 2"\n', "", "line 22: the file ends where a string"),
        (
            "            xmin = 0.5",
            "            xmin = 0.4",
            "line 21: .*0.4 s, before",
        ),
        ("            xmax = 0.5", "            xmax = -1", "line 17: .*0 to -1"),
        ("size = 1\n", "size = 2\n", "line 23: the file ends"),
    ],
)
def test_errors_name_file_and_line(tmp_path, old, new, message):
    path = tmp_path / "broken.TextGrid"
    path.write_text(LONG.replace(old, new, 1))
    with pytest.raises(CorpusError, match=rf"broken\.TextGrid, {message}"):
        read_textgrid(path)


def test_a_tier_of_a_name_taken_is_refused(tmp_path):
    path = tmp_path / "a.TextGrid"
    body = LONG[LONG.index("    item [1]") :]
    path.write_text(LONG.replace("size = 1\n", "size = 2\n", 1) + body)
    with pytest.raises(CorpusError, match="another tier 'words'"):
        read_textgrid(path)


@pytest.mark.parametrize("data", [b"\xff\xfea", b"caf\xe9"])
def test_other_encodings_are_refused(tmp_path, data):
    path = tmp_path / "latin.TextGrid"
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=r"latin\.TextGrid is neither UTF-8 nor"):
        read_textgrid(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        CorpusError, match=r"none\.TextGrid cannot be read: No such file"
    ):
        read_textgrid(tmp_path / "none.TextGrid")


@pytest.mark.parametrize(
    "intervals",
    [
        (Interval(0.5, 0.6, "a"), Interval(0.2, 0.5, "b")),
        (Interval(0.5, 0.5, "a"),),
        (Interval(0.5, 1.1, "a"),),
    ],
)
def test_intervals_that_do_not_follow_each_other_are_not_written(tmp_path, intervals):
    path = tmp_path / "a.TextGrid"
    with pytest.raises(CorpusError, match="must follow each other and end by 1 s"):
        write_textgrid(path, {"words": intervals}, 1.0)
    assert not path.exists()
