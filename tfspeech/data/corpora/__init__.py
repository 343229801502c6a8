"""The layouts of corpora that are known, by the spec that names them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tfspeech.data.corpora import (
    folder,
    fsdd,
    ljspeech,
    manifest_file,
    reader,
    spoken_digits,
    strings,
)
from tfspeech.data.manifest import Corpus, hold_out
from tfspeech.errors import CorpusError, SpecError
from tfspeech.spec import build_spec, is_outside, unknown

# A layout is a function that returns a `Corpus`; where its spec has a colon, it is
# given the path that follows, or the corpus of the spec that follows.
LAYOUTS: dict[str, Callable[..., Corpus]] = {
    "spoken_digits": spoken_digits.load,
    "reader": reader.load,
    "fsdd:PATH": fsdd.load,
    "folder:PATH": folder.load,
    "ljspeech:PATH": ljspeech.load,
    "manifest:FILE": manifest_file.load,
    "strings:CORPUS": strings.load,
}

_STRINGS = "strings"  # The layout that is made of another corpus.
_MAX_NAMED = 20


def load_corpus(spec: str, test_speakers: Sequence[str] = ()) -> Corpus:
    """Reads the list of a corpus's utterances, but none of its audio.

    With `test_speakers`, the test split is exactly the utterances of those speakers.
    What the corpus itself sets apart for testing of other speakers then goes to
    validation: the figure for unheard speakers must not contain heard ones, and
    nobody may train on what the corpus calls its test. A corpus without a validation
    split gets one from a tenth of its training utterances.

    Args:
        spec: `NAME` or `NAME:PATH`, one of `LAYOUTS`; or `package.module:NAME`, with
            arguments or without, a function outside the package that returns a corpus.
        test_speakers: The speakers that only the test split may contain.

    Returns:
        The corpus, whose utterances are always in the same order.

    Raises:
        SpecError: The layout is unknown, or its path is missing or too much.
        CorpusError: The corpus cannot be read, or it lacks one of the speakers.
    """
    corpus = _load(spec)
    if test_speakers:
        corpus = _with_test_speakers(corpus, test_speakers)
    splits = {each.split for each in corpus.utterances}
    if "train" in splits and "validation" not in splits:
        utterances = hold_out(corpus.utterances, "validation", 0.1)
        corpus = dataclasses.replace(corpus, utterances=utterances)
    return corpus


def absolute_spec(spec: str) -> str:
    """Returns a spec that means the same corpus from whatever folder it is read.

    What is outside the package is left as it is.
    """
    name, colon, path = spec.partition(":")
    if name == _STRINGS and path:
        return name + colon + absolute_spec(path)
    if is_outside(spec) and name not in _names():
        return spec
    return name + colon + (os.path.abspath(_expanded(path)) if path else "")


def _load(spec: str) -> Corpus:
    name, _, argument = spec.partition(":")
    for usage, load in LAYOUTS.items():
        if usage.partition(":")[0] != name:
            continue
        if (":" in usage) != bool(argument):
            raise SpecError(f"the corpus {name} is named {usage}. Received: {spec!r}")
        if not argument:
            return load()
        if name == _STRINGS:
            return load(load_corpus(argument))
        path = _expanded(argument)
        if not path.exists():
            raise CorpusError(
                f"{path} does not exist; check the path. Received: {spec!r}"
            )
        return load(path)
    if is_outside(spec):
        return build_spec(spec, LAYOUTS, "corpus", Corpus)
    raise SpecError(f"{unknown('corpus', name, LAYOUTS)}. Received: {spec!r}")


def _names() -> list[str]:
    """The names of the layouts, without what follows them."""
    return [usage.partition(":")[0] for usage in LAYOUTS]


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise CorpusError(f"{path} has no home directory: {error}") from error


def _with_test_speakers(corpus: Corpus, test_speakers: Sequence[str]) -> Corpus:
    known = corpus.speakers()
    unknown = [speaker for speaker in test_speakers if speaker not in known]
    if unknown:
        named = ", ".join(known[:_MAX_NAMED]) or "none"
        more = f" and {len(known) - _MAX_NAMED} more" * (len(known) > _MAX_NAMED)
        raise CorpusError(
            f"{corpus.name} has no speaker {', '.join(unknown)}; "
            f"its speakers are: {named}{more}"
        )
    moved = {"test": "validation"}
    return dataclasses.replace(
        corpus,
        utterances=tuple(
            dataclasses.replace(
                each,
                split="test"
                if each.speaker in test_speakers
                else moved.get(each.split, each.split),
            )
            for each in corpus.utterances
        ),
    )
