import json
from pathlib import Path

import numpy as np
import pytest

from tfspeech.data.checks import (
    LEVELS,
    MEASUREMENTS,
    Problem,
    check,
    count_splits,
    has_sentences,
)
from tfspeech.data.espeak import SpokenText
from tfspeech.data.manifest import Corpus, Utterance
from tfspeech.errors import CorpusError


def make(rows, unread=None, **options):
    """Checks utterances: (text, split, measurements other than those of good ones)."""
    utterances, measurements = [], np.zeros(len(rows), MEASUREMENTS)
    for index, (text, split, differing) in enumerate(rows):
        audio = differing.get("audio", Path(f"{index}.wav"))
        utterances.append(Utterance(audio, text, "", split))
        good = {"rate_hz": 8000, "seconds": 1.0, "peak": 0.5, "digest": index + 100}
        for name, value in (good | differing).items():
            if name != "audio":
                measurements[index][name] = value
    corpus = Corpus("small", tuple(utterances))
    return check(corpus, measurements, unread or {}, 30.0, **options)


GOOD = [("a", "train", {}), ("a", "validation", {}), ("a", "test", {})]


def kinds(report):
    return {(each.kind, each.path) for each in report.problems}


def test_a_good_corpus_has_no_problems():
    report = make(GOOD)
    assert report.problems == report.fatal == ()
    assert report.lines() == []
    report.raise_if_fatal()


@pytest.mark.parametrize(
    ("kind", "measurements"),
    [
        ("not finite", {"peak": np.nan}),
        ("empty", {"seconds": 0.0, "peak": -np.inf}),
        ("silent", {"peak": 1e-4}),
        ("clipped", {"clipped_share": 0.02}),
        ("too short", {"seconds": 0.02}),
        ("overlong", {"seconds": 30.5}),
        ("odd rate", {"rate_hz": 16000}),
    ],
)
def test_audio(kind, measurements):
    assert kinds(make([*GOOD, ("a", "train", measurements)])) == {(kind, "3.wav")}


def test_spoken_text_has_no_odd_rate():
    spoken = {"audio": SpokenText("a"), "rate_hz": 22050}
    assert make([*GOOD, ("a", "train", spoken)]).problems == ()


@pytest.mark.parametrize(
    ("rows", "kind", "path"),
    [
        ([("b", "test", {})], "unknown label", "3.wav"),
        ([("b", "validation", {})], "unknown label", "3.wav"),
        ([(" ", "train", {})], "no label", "3.wav"),
        ([("a", "train", {"digest": 100})], "duplicate", "3.wav"),
        ([("a", "test", {"digest": 100})], "one audio in two splits", "3.wav"),
        ([("b", "train", {"digest": 100})], "one audio under two labels", "3.wav"),
    ],
)
def test_labels_and_copies(rows, kind, path):
    assert kinds(make(GOOD + rows)) == {(kind, path)}


def test_silent_audio_is_no_copy():
    silent = {"peak": 0.0, "digest": 1}
    report = make([*GOOD, ("a", "train", silent), ("a", "test", silent)])
    assert {each.kind for each in report.problems} == {"silent"}


def test_empty_splits():
    assert kinds(make(GOOD[:1])) == {
        ("empty split", "validation"),
        ("empty split", "test"),
    }
    assert ("no training split", "train") in kinds(make(GOOD[1:]))


def test_given_labels_replace_those_of_training():
    assert make(GOOD[2:], labels=["a", "b"]).problems == ()
    (problem,) = make(GOOD[2:], labels=["b", "c"]).fatal
    assert problem.kind == "unknown label"
    assert problem.message == "label 'a' in the test split: the known ones are b, c"


def test_all_problems_are_reported_at_once_fatal_ones_first():
    rows = [
        *GOOD,
        ("a", "train", {"peak": 1e-5}),
        ("b", "test", {"clipped_share": 0.5}),
        ("a", "train", {"peak": 1e-5}),
        ("a", "train", {}),
    ]
    report = make(rows, {6: Problem("missing", "6.wav", "no such file")})
    assert report.lines() == [
        "fatal: missing (1)",
        "  6.wav: no such file",
        "fatal: unknown label (1)",
        "  4.wav: label 'b' in the test split: no training utterance has it",
        "warning: silent (2)",
        "  3.wav: no sample exceeds 0.001",
        "  5.wav: no sample exceeds 0.001",
        "warning: clipped (1)",
        "  4.wav: 50.0% of its samples are at full scale",
    ]
    found = json.loads(json.dumps(report.to_json()))["problems"]
    assert [each["kind"] for each in found] == [p.kind for p in report.problems]
    assert {each["level"] for each in found} == {"fatal", "warning"}
    with pytest.raises(CorpusError) as error:
        report.raise_if_fatal()
    assert str(error.value).startswith(
        "small has fatal problems (missing: 1, unknown label: 1); the first is 6.wav: "
        "no such file;"
    )
    assert "\n" not in str(error.value)


def test_fatal_kinds_come_first():
    levels = list(LEVELS.values())
    assert levels == sorted(levels)


def test_count_splits():
    utterances = (
        Utterance(Path("a"), "x", "ann", "train"),
        Utterance(Path("b"), "y", "", "train"),
        Utterance(Path("c"), "x", "bob", "test"),
    )
    measurements = np.zeros(3, MEASUREMENTS)
    measurements["seconds"] = 1800.0
    counts = count_splits(Corpus("c", utterances), measurements)
    assert counts["train"] == {
        "utterances": 2,
        "speakers": 1,
        "labels": 2,
        "hours": 1.0,
    }
    assert counts["validation"]["utterances"] == 0
    assert counts["test"]["hours"] == 0.5


def test_spoken_utterances_are_counted_where_there_are_recordings_too():
    spoken = [Utterance(SpokenText(x), x, "v", "train") for x in ("one", "two")]
    recorded = Utterance(Path("a"), "one", "ann", "test")
    measurements = np.zeros(3, MEASUREMENTS)
    counts = count_splits(Corpus("c", (*spoken, recorded)), measurements)
    assert [row["synthetic"] for row in counts.values()] == [2, 0, 0]
    counts = count_splits(Corpus("c", tuple(spoken)), measurements[:2])
    assert "synthetic" not in counts["train"]


def spoken(text, seconds=1.0, split="train", **measurements):
    return text, split, {"seconds": seconds, **measurements}


SENTENCES = [
    spoken("number one", split="train"),
    spoken("number two", split="validation"),
    spoken("number three", split="test"),
]


def test_sentences_are_no_labels():
    report = make([*SENTENCES, spoken("number one")], sentences=True)
    assert report.problems == ()
    assert {each.kind for each in make(SENTENCES).problems} == {"unknown label"}


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        (spoken("  "), "no words", "its text is '  '"),
        (spoken("...!"), "no words", "its text is '...!'"),
        (spoken("龍"), "no words", "its text is '龍'"),
        (spoken("one ~ two 龍"), "unknown symbol", "~ 龍 in 'one ~ two 龍'"),
        (spoken("yes", 0.09), "text does not fit", "3 symbols in 0.1 s: 'yes'"),
        (spoken("yes", 1.6), "text does not fit", "3 symbols in 1.6 s: 'yes'"),
    ],
)
def test_texts_that_cannot_be_spoken(row, kind, message):
    report = make([*SENTENCES, row], sentences=True)
    assert [(p.kind, p.path, p.message) for p in report.problems] == [
        (kind, "3.wav", message)
    ]


def test_texts_are_measured_as_they_are_read():
    assert make([*SENTENCES, spoken("1984", 1.5)], sentences=True).problems == ()


def test_text_is_compared_with_what_is_left_of_overlong_audio():
    report = make([*SENTENCES, spoken("seven " * 20, 300.0)], sentences=True)
    assert [each.kind for each in report.problems] == ["overlong"]


def test_sentences_of_one_split_alone():
    rows = [*SENTENCES, spoken("~ one")]
    assert make(rows[1:], sentences=True, split="test").problems == ()
    assert make(rows, sentences=True, split="train").fatal[0].kind == "unknown symbol"
    assert "no training split" in {
        p.kind for p in make(rows[1:3], sentences=True).fatal
    }


def test_sentences_are_told_from_labels():
    def corpus(*texts):
        return Corpus("c", tuple(Utterance(Path("a"), t, "", "train") for t in texts))

    assert has_sentences(corpus("turn it on", "what is that", "turn it on"))
    assert not has_sentences(corpus("yes", "no", "yes", "no"))
    measurements = np.zeros(2, MEASUREMENTS)
    counted = count_splits(corpus("one two", "three"), measurements, sentences=True)
    assert counted["train"]["sentences"] == 2
    assert "labels" not in counted["train"]
