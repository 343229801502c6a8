"""When each phoneme of an utterance is spoken, and how many frames that makes.

eSpeak NG knows the times of what it has spoken itself. For recordings they are in
Praat TextGrids with a tier of words and one of phones, such as `tfspeech.align` and the
Montreal Forced Aligner write, the latter with its dictionary `english_us_arpa`.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfspeech.data.espeak import PhonemeTime, SpokenText
from tfspeech.data.manifest import Utterance
from tfspeech.data.textgrid import Interval, read_textgrid
from tfspeech.errors import CorpusError
from tfspeech.files import read_toml
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.linguistic import encode_segments
from tfspeech.text.normalize import normalize
from tfspeech.text.phonemes import PAUSE, PHONEMES, STRESSES, WORD

GRID_SUFFIX = ".TextGrid"
WORDS, PHONES = "words", "phones"

_SPACE = " "
_PAUSES = ("", "sil", "sp", "spn", PAUSE)
_UNKNOWN_WORD = "<unk>"
_STRESSES = dict(zip("012", ("", *STRESSES.values()), strict=True))
_ARPABET = read_toml(__package__, "arpabet.toml")
_PHONES = (
    {each: each for each in PHONEMES}
    | dict.fromkeys(_PAUSES, PAUSE)
    | _ARPABET["consonants"]
    | {
        vowel + digit: stress + name
        for vowel, name in _ARPABET["vowels"].items()
        for digit, stress in _STRESSES.items()
    }
    | _ARPABET["unstressed"]
)
_IS_PHONEME = frozenset(PHONEMES)
_LATE_S = 0.05  # More than a frame: the times are those of other audio.
_ROUNDING = 1e-6


def read_segments(
    utterance: Utterance, front_end: TextFrontEnd, alignments: Path | None = None
) -> tuple[np.ndarray, tuple[PhonemeTime, ...]]:
    """Returns what an utterance consists of, and when.

    Args:
        utterance: What eSpeak NG speaks, or a recording. The TextGrid of a recording
            has its name, and the suffix `.TextGrid`; the words in it are those of the
            text, but they may be pronounced in another way.
        front_end: Reads phonemes.
        alignments: The folder of the TextGrids, in which they lie directly or below
            the name of the folder of the recording. By default they lie beside the
            recordings.

    Returns:
        The symbols with a space before them, which stands for the silence there,
        int32 [segments]; and the times of the phonemes and of pauses.

    Raises:
        CorpusError: There is no TextGrid, it cannot be read or has other words.
        TextError: See `TextFrontEnd.encode`.
    """
    if isinstance(utterance.audio, SpokenText):
        pronunciation = None
        times = utterance.audio.render_with_phonemes()[2]
    elif not isinstance(utterance.audio, Path):
        raise CorpusError(
            f"{utterance.audio} has no phoneme times: only recordings that are aligned "
            "and what eSpeak NG speaks have some"
        )
    else:
        path = _find_grid(utterance.audio, alignments)
        times, pronunciation = _read_grid(path, normalize(utterance.text))
    return encode_segments(front_end, utterance.text, pronunciation), times


def have_times(utterances: Iterable[Utterance]) -> bool:
    """Whether some utterances have phoneme times, of eSpeak NG or beside them."""
    return any(
        isinstance(each.audio, SpokenText)
        or (isinstance(each.audio, Path) and _beside(each.audio).is_file())
        for each in utterances
    )


def symbol_durations(
    segments: Sequence[str],
    times: Sequence[PhonemeTime],
    hop_length: int,
    sample_rate_hz: int,
    frames: int,
    where: str = "an utterance",
) -> np.ndarray:
    """Returns how many frames each symbol lasts.

    Frame t, which is centred on sample t x `hop_length`, is of the symbol that is
    spoken at that time. A pause is of the end, or of the first mark between two words
    that is no space, or of the space; where there is no mark, it is of the phoneme
    before it. A phoneme that is shorter than a frame borrows from its neighbours.

    Args:
        segments: The symbols.
        times: The times of the phonemes among them, and of pauses.
        hop_length: From one frame to the next, in samples.
        sample_rate_hz: The rate of the samples.
        frames: The frames of the utterance.
        where: What an error names.

    Returns:
        int32 [segments], with the sum `frames`; a phoneme has at least 1.

    Raises:
        CorpusError: The phonemes are not those of the times, or they do not fit into
            the frames.
    """
    is_phoneme = np.array([name in _IS_PHONEME for name in segments])
    spoken = [each for each in times if each.phoneme != PAUSE]
    _check_same([n for n in segments if n in _IS_PHONEME], spoken, where)
    if is_phoneme.sum() > frames:
        raise CorpusError(
            f"{where} has {is_phoneme.sum()} phonemes in {frames} frames; make frames "
            "shorter or leave it out"
        )
    frames_per_s = sample_rate_hz / hop_length
    if times and times[-1].end_s > frames / frames_per_s + _LATE_S:
        raise CorpusError(
            f"{where} ends after {frames / frames_per_s:.2f} s, but its phonemes after "
            f"{times[-1].end_s:.2f} s; align it again"
        )
    starts = np.ceil(_start_times(segments, spoken) * frames_per_s - _ROUNDING)
    bounds = np.append(starts, frames).astype(np.int64)
    # What all symbols before a bound, and all after it, need at least.
    needed = np.append(0, np.cumsum(is_phoneme))
    bounds = needed + np.maximum.accumulate(bounds - needed)
    bounds = np.minimum(bounds, frames - needed[-1] + needed)
    return np.diff(bounds).astype(np.int32)


def _start_times(segments: Sequence[str], spoken: Sequence[PhonemeTime]) -> np.ndarray:
    """Returns when each symbol starts, in seconds; a pause is of one mark alone."""
    starts = np.zeros(len(segments))
    places = [place for place, name in enumerate(segments) if name in _IS_PHONEME]
    last, last_s = 0, 0.0
    for place, phoneme in zip(places, spoken, strict=True):
        marks = segments[last:place]
        strong = (n for n, mark in enumerate(marks) if last and mark != _SPACE)
        after_pause = last + next(strong, 0) + 1 if marks else place
        starts[last:after_pause] = last_s
        starts[after_pause : place + 1] = phoneme.start_s
        last, last_s = place + 1, phoneme.end_s
    starts[last:] = last_s
    starts[0] = 0.0
    return starts


def _check_same(
    phonemes: Sequence[str], spoken: Sequence[PhonemeTime], where: str
) -> None:
    """Raises a CorpusError where the phonemes of text and times part."""
    heard = [each.phoneme for each in spoken]
    for number, pair in enumerate(itertools.zip_longest(phonemes, heard), 1):
        if pair[0] != pair[1]:
            written, said = (repr(name) if name else "none" for name in pair)
            raise CorpusError(
                f"{where}: phoneme {number} of the text is {written}, of the times "
                f"{said}; align it again"
            )


def _beside(audio: Path) -> Path:
    return audio.with_name(audio.stem + GRID_SUFFIX)


def _find_grid(audio: Path, alignments: Path | None) -> Path:
    name = audio.stem + GRID_SUFFIX
    if alignments is None:
        places = [_beside(audio)]
    else:
        places = [alignments / audio.parent.name / name, alignments / name]
    for path in places:
        if path.is_file():
            return path
    raise CorpusError(
        f"{audio} has no phoneme times: there is no {places[-1]}; make it with python "
        "-m tfspeech.align CORPUS --output DIR, and say --alignments DIR; what that "
        "leaves out is too long, or too short for its text"
    )


def _read_grid(
    path: Path, text: str
) -> tuple[tuple[PhonemeTime, ...], list[list[str]]]:
    """Returns the times of all phones, and the phonemes of each word of a text."""
    tiers = read_textgrid(path)
    words = [w for w in _tier(tiers, WORDS, path) if _plain(w.label) not in _PAUSES]
    owners = _owners([_plain(word.label) for word in words], text, path)
    starts = [word.start_s for word in words]
    pronunciation: list[list[str]] = [[] for _ in WORD.finditer(text)]
    times = []
    for start_s, end_s, label in _tier(tiers, PHONES, path):
        name = _PHONES.get(label.strip())
        if name is None:
            raise CorpusError(
                f"{path}: unknown phone {label!r} at {start_s:g} s; the phones of "
                "english_us_arpa and the phonemes of tfspeech are known"
            )
        times.append(PhonemeTime(name, start_s, end_s))
        if name == PAUSE:
            continue
        middle_s = (start_s + end_s) / 2
        word = bisect.bisect_right(starts, middle_s) - 1
        if word < 0 or middle_s > words[word].end_s:
            raise CorpusError(
                f"{path}: phone {label!r} at {start_s:g} s is in no word; align it "
                "again"
            )
        pronunciation[owners[word]].append(name)
    return tuple(times), pronunciation


def _tier(
    tiers: Mapping[str, Sequence[Interval]], name: str, path: Path
) -> Sequence[Interval]:
    """Returns a tier by its name, before which the aligner may put a speaker's."""
    found = [key for key in tiers if key.rpartition(" - ")[2].lower() == name]
    if len(found) != 1:
        raise CorpusError(
            f"{path} must have one tier of {name}; its tiers are: "
            f"{', '.join(tiers) or 'none'}"
        )
    return tiers[found[0]]


def _plain(label: str) -> str:
    return label.strip().lower()


def _owners(labels: Sequence[str], text: str, path: Path) -> list[int]:
    """Returns which word of a text each label is, or is the first of.

    Aligners divide compounds and contractions as they like; the letters must agree.
    """
    words = [word[0] for word in WORD.finditer(text)]
    owners, number, rest = [], -1, ""
    for label in labels:
        if not rest and number + 1 < len(words):
            number += 1
            rest = _letters(words[number])
        owners.append(number)
        said = rest if label == _UNKNOWN_WORD else _letters(label)
        while len(rest) < len(said) and number + 1 < len(words):
            number += 1
            rest += _letters(words[number])
        if not said or not rest.startswith(said):
            wanted = words[owners[-1]] if words else ""
            raise CorpusError(
                f"{path}: its word {len(owners)} is {label!r}, where the text goes on "
                f"with {wanted!r}; align the text of the corpus"
            )
        rest = rest[len(said) :]
    if rest or number + 1 < len(words):
        raise CorpusError(
            f"{path}: its words end before {words[-1]!r}, the last of the text; align "
            "the text of the corpus"
        )
    return owners


def _letters(word: str) -> str:
    return re.sub("[^a-z]", "", word)
