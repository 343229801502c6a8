"""SSML: what it asks for, and what it may not be."""

import numpy as np
import pytest

from tfspeech.errors import TextError
from tfspeech.tasks.speech.phrases import Phrase, Utterance, encode_phrases
from tfspeech.tasks.speech.ssml import MAX_BYTES, MAX_DEPTH, parse_ssml
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.text.linguistic import encode_segments

NEUTRAL = {"rate": 1.0, "semitones": 0.0, "pitch_range": 1.0, "energy": 0.0}


def prosody(markup):
    """The prosody that a document of one word asks for."""
    ((phrase,), before_s, after_s) = parse_ssml(f"<speak>{markup}</speak>")[0]
    assert (phrase.text, before_s, after_s) == ("word", 0.0, 0.0)
    return phrase.prosody


ASKED = {
    "rate": ('<prosody rate="150%">word</prosody>', {"rate": 1.5}),
    "label": ('<prosody rate="x-slow">word</prosody>', {"rate": 0.5}),
    "semitones": ('<prosody pitch="-2.5st">word</prosody>', {"semitones": -2.5}),
    "percent": ('<prosody pitch="+100%">word</prosody>', {"semitones": 12.0}),
    "range": ('<prosody range="-40%">word</prosody>', {"pitch_range": 0.6}),
    "volume": ('<prosody volume="+6dB">word</prosody>', {"energy": 6.0}),
    "unchanged": ('<prosody rate="medium" pitch="default">word</prosody>', {}),
    "emphasis": (
        "<emphasis>word</emphasis>",
        {"rate": 0.9, "semitones": 1.5, "energy": 2.0},
    ),
    "inside one another": (
        '<prosody rate="150%" volume="-2dB"><prosody rate="200%" volume="-1dB">word'
        "</prosody></prosody>",
        {"rate": 3.0, "energy": -3.0},
    ),
}


@pytest.mark.parametrize("case", ASKED)
def test_markup_changes_prosody(case):
    markup, changes = ASKED[case]
    assert prosody(markup) == pytest.approx(NEUTRAL | changes)


def test_a_document_is_cut_into_phrases_and_at_breaks():
    found = parse_ssml(
        '<speak version="1.1" xml:lang="en-US"><break time="1s"/>This\n is '
        '<emphasis level="strong">big</emphasis>.<break time="250ms"/>'
        '<break strength="weak"/> And <prosody rate="fast">that</prosody></speak>'
    )
    texts = [[phrase.text for phrase in utterance.phrases] for utterance in found]
    assert texts == [["This is", "big", "."], ["And", "that"]]
    silences = [(utterance.before_s, utterance.after_s) for utterance in found]
    np.testing.assert_allclose(silences, [(1.0, 0.45), (0.0, 0.0)])
    rates = [phrase.prosody["rate"] for phrase in found[1].phrases]
    assert rates == [1.0, 1.33]


def test_silences_are_around_what_is_spoken():
    utterance = Utterance((), before_s=0.5, after_s=0.25)
    found = utterance.with_silences(np.ones(2), rate_hz=8)
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 0, 0]


def test_marks_alone_are_not_spoken():
    ((phrase,), _, after_s), *more = parse_ssml("<speak>a<break/>.<break/></speak>")
    assert (phrase.text, after_s, more) == ("a", 0.8, [])


def test_what_is_usual_is_changed_by_the_document():
    ((phrase,), *_) = parse_ssml(
        '<speak><prosody rate="200%">word</prosody></speak>', {"rate": 1.5}
    )[0]
    assert phrase.prosody == {"rate": 3.0}


def test_a_model_is_asked_for_nothing_that_it_lacks():
    markup = "<speak><emphasis>word</emphasis></speak>"
    ((phrase,), *_) = parse_ssml(markup, {"rate": 1.0})[0]
    assert phrase.prosody == {"rate": 0.9}
    with pytest.raises(TextError, match="has no semitones, which pitch would change"):
        parse_ssml("<speak><prosody pitch='high'>a</prosody></speak>", {"rate": 1.0})


TWO_BREAKS = "<break time='6s'/>" * 2
DEEP = "<emphasis level='none'>" * MAX_DEPTH

BOMB = """<!DOCTYPE speak [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<speak>&b;</speak>"""

WRONG = {
    "no XML": ("<speak>a", "line 1, column 9: it is no XML: no element found"),
    "entity": ("<speak>&what;</speak>", "column 8: it is no XML: undefined entity"),
    "bomb": (BOMB, "line 1, column 17: a document type (<!DOCTYPE>) is not allowed"),
    "root": ("<p>a</p>", "the root must be <speak>. Received: 'p'"),
    "element": (
        "<speak>a\n <audio/></speak>",
        "line 2, column 2: an element must be prosody, emphasis or break. Received: "
        "'audio'",
    ),
    "attribute": (
        '<speak><prosody speed="2">a</prosody></speak>',
        "an attribute of prosody must be rate, pitch, range, volume. Received: 'speed'",
    ),
    "value": (
        '<speak><prosody rate="2">a</prosody></speak>',
        "column 8: rate must be like 120%, or x-slow, slow, fast, x-fast, medium, "
        "default. Received: '2'",
    ),
    "range": (
        '<speak><prosody rate="200%"><prosody rate="300%">a</prosody></prosody>',
        "column 29: with the elements around it, rate must be between 0.25 and 4",
    ),
    "no pitch": (
        '<speak><prosody pitch="-100%">a</prosody></speak>',
        "semitones must be between -24 and 24. Received: -inf",
    ),
    "level": (
        '<speak><emphasis level="huge">a</emphasis></speak>',
        "level must be one of strong, moderate, none, reduced. Received: 'huge'",
    ),
    "time": ('<speak>a<break time="1m"/></speak>', "like 250ms or 1.5s. Received"),
    "long break": ('<speak>a<break time="11s"/></speak>', "may last 10 s"),
    "long breaks": (f"<speak>a{TWO_BREAKS}</speak>", "Received: 12 s"),
    "full break": ("<speak>a<break>b</break></speak>", "<break> must be empty"),
    "nothing": ("<speak><break/></speak>", "there is nothing to say in the SSML"),
    "depth": (f"<speak>{DEEP}a", f"more than {MAX_DEPTH} elements"),
    "size": ("a" * (MAX_BYTES + 1), f"may have {MAX_BYTES} bytes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_error_names_the_place(case):
    document, reason = WRONG[case]
    with pytest.raises(TextError) as error:
        parse_ssml(document)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_phrases_are_the_segments_of_their_text():
    front_end = TextFrontEnd(TextConfig(symbols="phonemes"))
    parts = ["the old man", "closed", ", and left", "."]
    segments, places = encode_phrases(front_end, [Phrase(p, NEUTRAL) for p in parts])
    whole = encode_segments(front_end, "the old man closed, and left.")
    assert segments.tolist() == whole.tolist()
    assert sorted(set(places.tolist())) == [0, 1, 2, 3]
    assert (np.diff(places) >= 0).all()
