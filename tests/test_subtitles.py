import doctest
from types import SimpleNamespace

import pytest

from tfspeech import subtitles

CUES = [
    SimpleNamespace(start_s=0.0, end_s=1.9996, text="one"),
    SimpleNamespace(start_s=3599.5, end_s=3661.25, text="two three"),
]


def test_the_example_holds():
    assert doctest.testmod(subtitles).failed == 0


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (
            "srt",
            "1\n00:00:00,000 --> 00:00:02,000\none\n\n"
            "2\n00:59:59,500 --> 01:01:01,250\ntwo three\n",
        ),
        (
            "vtt",
            "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\none\n\n"
            "00:59:59.500 --> 01:01:01.250\ntwo three\n",
        ),
    ],
)
def test_subtitles_have_the_form_of_their_kind(kind, wanted):
    assert subtitles.format_subtitles(CUES, kind) == wanted
