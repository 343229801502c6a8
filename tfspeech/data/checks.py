"""Checks of a corpus, which find all problems at once."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfspeech.data.manifest import SPLITS, WITHOUT_TEXT, Corpus, Utterance
from tfspeech.errors import CorpusError
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.normalize import normalize
from tfspeech.text.phonemes import WORD

# Every kind of problem in the order of the report, and its level. Fatal is what makes
# a result wrong or meaningless; what no large collection is free of is a warning.
_FATAL = (
    *("missing", "unreadable", "empty", "not finite", "no training split"),
    *("no label", "unknown label", "no words", "unknown symbol"),
    "text longer than audio",
    *("one audio in two splits", "one audio under two labels"),
)
_WARNINGS = (
    *("empty split", "duplicate", "silent", "clipped", "too short", "overlong"),
    *("text does not fit", "odd rate"),
)
LEVELS = dict.fromkeys(_FATAL, "fatal") | dict.fromkeys(_WARNINGS, "warning")

# What is measured of each audio before it is resampled, and where its samples are.
MEASUREMENTS = np.dtype(
    [
        ("offset", np.int64),  # Of the first sample in the cache.
        ("length", np.int64),  # In samples at the cache's rate.
        ("checksum", np.uint32),  # Of the samples in the cache.
        ("rate_hz", np.int32),
        ("seconds", np.float64),
        ("peak", np.float32),  # The largest absolute sample; NaN: not all are finite.
        ("clipped_share", np.float32),  # Of the samples, at full scale.
        ("digest", np.int64),  # Equal for equal samples.
    ]
)

_SILENT_PEAK = 10 ** (-60 / 20)
_MAX_CLIPPED_SHARE = 0.01
_MIN_SECONDS = 0.05
_SYMBOLS_PER_SECOND = (2.0, 30.0)
_EXCERPT = 40


_Heard = list[tuple[Utterance, np.void]]


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: One of `LEVELS`.
        path: The audio, or the name of the split.
        message: What was found.
    """

    kind: str
    path: str
    message: str

    @property
    def level(self) -> str:
        """`"fatal"` or `"warning"`."""
        return LEVELS[self.kind]


@dataclasses.dataclass(frozen=True)
class Report:
    """Contents of a corpus, and all its problems.

    Attributes:
        corpus: Its name.
        problems: In the order of `LEVELS`.
        splits: What `count_splits` returns.
    """

    corpus: str
    problems: tuple[Problem, ...]
    splits: dict[str, dict[str, Any]]

    @property
    def fatal(self) -> tuple[Problem, ...]:
        """The problems with which no run may start."""
        return tuple(each for each in self.problems if each.level == "fatal")

    def table(self) -> list[str]:
        """Returns a heading and a line for each split."""
        columns = self.splits["train"]
        rows = {"split": columns} | {s: r.values() for s, r in self.splits.items()}
        return [
            f"{name:12}" + "".join(f"{value:>12}" for value in row)
            for name, row in rows.items()
        ]

    def lines(self) -> list[str]:
        """Returns a heading for each kind of problem and a line for each problem."""
        groups: dict[str, list[Problem]] = collections.defaultdict(list)
        for each in self.problems:
            groups[each.kind].append(each)
        lines = []
        for kind, problems in groups.items():
            lines.append(f"{LEVELS[kind]}: {kind} ({len(problems)})")
            lines += [f"  {each.path}: {each.message}" for each in problems]
        return lines

    def to_json(self) -> dict[str, Any]:
        """Returns the report as a JSON object."""
        return {
            "corpus": self.corpus,
            "splits": self.splits,
            "problems": [
                {"level": each.level, **dataclasses.asdict(each)}
                for each in self.problems
            ],
        }

    def raise_if_fatal(self) -> None:
        """Raises a `CorpusError` that counts the fatal problems and names the first."""
        if not self.fatal:
            return
        counts = collections.Counter(each.kind for each in self.fatal)
        raise CorpusError(
            f"{self.corpus} has fatal problems ("
            + ", ".join(f"{kind}: {count}" for kind, count in counts.items())
            + f"); the first is {self.fatal[0].path}: {self.fatal[0].message}; "
            "`tfspeech data check` lists them all"
        )


def check(
    corpus: Corpus,
    measurements: np.ndarray,
    unread: Mapping[int, Problem],
    max_seconds: float,
    labels: Collection[str] | None = None,
    split: str | None = None,
    sentences: bool = False,
) -> Report:
    """Checks splits, texts and audio.

    Args:
        corpus: The corpus.
        measurements: `MEASUREMENTS` [utterances].
        unread: The audio that could not be read, by the index of its utterance.
        max_seconds: Longer audio has been cut.
        labels: The only texts allowed; by default, those of the training split, which
            must then exist.
        split: Leave out the utterances of other splits.
        sentences: Texts are not labels but what a synthesiser is to say: nothing but
            known symbols, at a rate at which one can speak.

    Returns:
        All problems, whatever their level.
    """
    checked = [
        index
        for index, each in enumerate(corpus.utterances)
        if split is None or each.split == split
    ]
    problems = [unread[index] for index in checked if index in unread]
    if labels is None and not (sentences and split):
        problems += check_splits(corpus)
    utterances = [corpus.utterances[index] for index in checked]
    if sentences:
        problems += _check_texts(utterances)
    else:
        problems += _check_labels(corpus, utterances, labels)
    heard = [
        (corpus.utterances[index], measurements[index])
        for index in checked
        if index not in unread
    ]
    for each, fact in heard:
        for kind, message in _check_audio(fact, max_seconds):
            problems.append(Problem(kind, str(each.audio), message))
    if sentences:
        problems += _check_speaking_rates(heard, max_seconds)
    problems += _check_rates(heard)
    problems += _check_copies(heard)
    problems.sort(key=lambda each: list(LEVELS).index(each.kind))
    splits = count_splits(corpus, measurements, sentences)
    return Report(corpus.name, tuple(problems), splits)


def has_sentences(corpus: Corpus) -> bool:
    """Tells sentences from labels: most labels are the text of several utterances."""
    counts = collections.Counter(each.text for each in corpus.utterances)
    return 2 * len(counts) > len(corpus.utterances)


def count_splits(
    corpus: Corpus, measurements: np.ndarray, sentences: bool = False
) -> dict[str, dict[str, Any]]:
    """Returns utterances, known speakers, different texts and hours of each split.

    Where there are both, it also counts the utterances that are not recorded, but
    spoken by synthetic voices, as `synthetic`. Recordings without texts are in a row of
    their own, where there are any.

    Args:
        corpus: The corpus.
        measurements: `MEASUREMENTS` [utterances].
        sentences: Texts are counted as sentences, not as labels.
    """
    texts = "sentences" if sentences else "labels"
    spoken = [not isinstance(each.audio, Path) for each in corpus.utterances]
    mixed = any(spoken) and not all(spoken)
    counts = {}
    for split in (*SPLITS, WITHOUT_TEXT):
        utterances = corpus.split(split)
        if split == WITHOUT_TEXT and not utterances:
            continue
        chosen = [each.split == split for each in corpus.utterances]
        counts[split] = {
            "utterances": len(utterances),
            **({"synthetic": sum(map(min, spoken, chosen))} if mixed else {}),
            "speakers": len({each.speaker for each in utterances if each.speaker}),
            texts: len({each.text for each in utterances if each.text}),
            "hours": round(float(measurements["seconds"][chosen].sum()) / 3600, 3),
        }
    return counts


def check_splits(corpus: Corpus) -> Iterator[Problem]:
    """Yields a problem for each split that is empty."""
    for split in SPLITS:
        if not corpus.split(split):
            kind = "no training split" if split == "train" else "empty split"
            yield Problem(kind, split, "has no utterances")


def _check_labels(
    corpus: Corpus, utterances: Sequence[Utterance], labels: Collection[str] | None
) -> Iterator[Problem]:
    if labels is None:
        known = {each.text for each in corpus.split("train")}
        reason = "no training utterance has it"
    else:
        known, reason = set(labels), f"the known ones are {', '.join(labels)}"
    for each in utterances:
        if each.split == WITHOUT_TEXT:
            continue
        if not each.text.strip():
            yield Problem("no label", str(each.audio), "its text is empty")
        elif each.text not in known:
            message = f"label {each.text!r} in the {each.split} split: {reason}"
            yield Problem("unknown label", str(each.audio), message)


def _check_texts(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    known = set(TextFrontEnd().symbols)
    for each in utterances:
        spoken = normalize(each.text)
        unknown = sorted(set(spoken) - known)
        excerpt = repr(each.text[:_EXCERPT])
        if not WORD.search(spoken):
            yield Problem("no words", str(each.audio), f"its text is {excerpt}")
        elif unknown:
            message = f"{' '.join(unknown)} in {excerpt}"
            yield Problem("unknown symbol", str(each.audio), message)


def _check_speaking_rates(heard: _Heard, max_seconds: float) -> Iterator[Problem]:
    """Compares texts and audio by their lengths."""
    slowest, fastest = _SYMBOLS_PER_SECOND
    for each, fact in heard:
        spoken = normalize(each.text)
        seconds = min(fact["seconds"], max_seconds)
        fits = slowest * seconds <= len(spoken) <= fastest * seconds
        if WORD.search(spoken) and not fits:
            message = f"{len(spoken)} symbols in {seconds:.1f} s: "
            message += repr(each.text[:_EXCERPT])
            yield Problem("text does not fit", str(each.audio), message)


def _check_audio(fact: np.void, max_seconds: float) -> Iterator[tuple[str, str]]:
    """Yields kind and message of what is wrong with one audio."""
    if not fact["seconds"]:
        yield "empty", "it has no samples"
        return
    if np.isnan(fact["peak"]):
        yield "not finite", "it has samples that are NaN or infinite"
    if fact["peak"] < _SILENT_PEAK:
        yield "silent", f"no sample exceeds {_SILENT_PEAK:g}"
    if fact["clipped_share"] > _MAX_CLIPPED_SHARE:
        share = f"{fact['clipped_share']:.1%}"
        yield "clipped", f"{share} of its samples are at full scale"
    if fact["seconds"] < _MIN_SECONDS:
        yield "too short", f"it lasts {fact['seconds'] * 1000:.0f} ms"
    if fact["seconds"] > max_seconds:
        seconds = f"{fact['seconds']:.1f} s"
        yield "overlong", f"{seconds}, of which the first {max_seconds:g} are used"


def _check_rates(heard: _Heard) -> Iterator[Problem]:
    files = [(each, fact) for each, fact in heard if isinstance(each.audio, Path)]
    counts = collections.Counter(int(fact["rate_hz"]) for _, fact in files)
    for each, fact in files:
        usual_hz = counts.most_common(1)[0][0]
        if fact["rate_hz"] != usual_hz:
            message = f"{fact['rate_hz']} Hz, but most have {usual_hz} Hz"
            yield Problem("odd rate", str(each.audio), message)


def _check_copies(heard: _Heard) -> Iterator[Problem]:
    """Compares each audio with the first that has the same samples."""
    first: dict[int, Utterance] = {}
    for each, fact in heard:
        if fact["peak"] < _SILENT_PEAK:  # Digital silence equals digital silence.
            continue
        other = first.setdefault(int(fact["digest"]), each)
        if other is each:
            continue
        if other.split != each.split:
            kind, detail = "one audio in two splits", f"{other.split}, {each.split}"
        elif other.text != each.text:
            kind, detail = "one audio under two labels", f"{other.text}, {each.text}"
        else:
            kind, detail = "duplicate", "same label and split"
        yield Problem(kind, str(each.audio), f"same audio as {other.audio} ({detail})")
