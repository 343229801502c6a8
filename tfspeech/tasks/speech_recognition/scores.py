"""Figures for how well speech is transcribed."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from tfspeech.tasks.intervals import rate_interval, wilson_interval

_NOTHING = "*"
"""Stands in an alignment for a word that only the other text has."""
_MOST_CONFUSIONS = 20
_SHOWN_ERRORS = 10
_KINDS = {"replace": "substitutions", "delete": "deletions", "insert": "insertions"}


def error_rates(
    references: Sequence[str], transcripts: Sequence[str]
) -> tuple[float, float]:
    """Returns the rates of word errors and of character errors of transcripts."""
    said = [text.split() for text in references]
    heard = [text.split() for text in transcripts]
    words = np.array([len(each) for each in said])
    characters = np.array([len(text) for text in references])
    return (
        _rate(_distances(said, heard), words),
        _rate(_distances(references, transcripts), characters),
    )


def transcript_scores(
    references: Sequence[str],
    transcripts: Sequence[str],
    speakers: Sequence[str],
    names: Sequence[str],
) -> dict[str, Any]:
    """Scores transcripts of utterances.

    Args:
        references: What was said; words are separated by spaces.
        transcripts: What was recognised.
        speakers: The speaker of each utterance, empty where unknown.
        names: Of the utterances, for the list of errors.

    Returns:
        The error rates `wer` (errors per word said: substitutions, deletions and
        insertions), `cer` (per character, spaces included) and `utterance_error` (share
        of utterances with any error), each with its 95 % interval, `wer_interval` and
        so on; `utterances`, `words`, `substitutions`, `deletions` and `insertions`;
        `per_speaker`, the rates of each; `confusions`, the most frequent errors as
        [said, recognised, count], empty where a word is missing or too much;
        and `errors`, each transcript with errors as `utterance`, `said`, `recognised`.
    """
    said = [text.split() for text in references]
    heard = [text.split() for text in transcripts]
    words = np.array([len(each) for each in said])
    characters = np.array([len(text) for text in references])
    word_errors = _distances(said, heard)
    character_errors = _distances(references, transcripts)
    wrong = word_errors > 0
    pairs, kinds = _count_errors(said, heard)
    rates = {
        "wer": (word_errors, words),
        "cer": (character_errors, characters),
    }
    found: dict[str, Any] = {}
    for name, (errors, totals) in rates.items():
        found[name] = _rate(errors, totals)
        found[f"{name}_interval"] = rate_interval(errors, totals)
    return {
        **found,
        "utterance_error": float(wrong.mean()),
        "utterance_error_interval": wilson_interval(int(wrong.sum()), len(wrong)),
        "utterances": len(said),
        "words": int(words.sum()),
        **kinds,
        "per_speaker": _by_speaker(rates, wrong, np.asarray(speakers)),
        "confusions": [
            [*pair, count] for pair, count in pairs.most_common(_MOST_CONFUSIONS)
        ],
        "errors": [
            {
                "utterance": names[i],
                "said": references[i],
                "recognised": transcripts[i],
            }
            for i in np.flatnonzero(wrong)
        ],
    }


def _by_speaker(
    rates: Mapping[str, tuple[np.ndarray, np.ndarray]],
    wrong: np.ndarray,
    speakers: np.ndarray,
) -> dict[str, dict[str, Any]]:
    """Figures of every speaker who has a name.

    Args:
        rates: Name -> errors and what they are counted of, [utterances] each.
        wrong: Whether an utterance has an error, [utterances].
        speakers: Names, [utterances].
    """
    found = {}
    for name in np.unique(speakers[speakers != ""]):
        own = speakers == name
        found[str(name)] = {
            **{
                n: _rate(errors[own], totals[own])
                for n, (errors, totals) in rates.items()
            },
            "utterance_error": float(wrong[own].mean()),
            "utterances": int(own.sum()),
        }
    return found


def _distances(said: Sequence[Any], heard: Sequence[Any]) -> np.ndarray:
    """The edit distance of each pair, [utterances]."""
    pairs = zip(said, heard, strict=True)
    return np.array([Levenshtein.distance(*pair) for pair in pairs])


def _rate(errors: np.ndarray, totals: np.ndarray) -> float:
    return float(errors.sum() / max(totals.sum(), 1))


def _count_errors(
    said: Sequence[list[str]], heard: Sequence[list[str]]
) -> tuple[collections.Counter[tuple[str, str]], dict[str, int]]:
    """Counts errors by what was said and recognised, and by their kinds."""
    pairs = collections.Counter[tuple[str, str]]()
    kinds = dict.fromkeys(_KINDS.values(), 0)
    for one, other in zip(said, heard, strict=True):
        for edit in Levenshtein.editops(one, other):
            spoken = "" if edit.tag == "insert" else one[edit.src_pos]
            written = "" if edit.tag == "delete" else other[edit.dest_pos]
            pairs[spoken, written] += 1
            kinds[_KINDS[edit.tag]] += 1
    return pairs, kinds


def align(said: str, recognised: str) -> tuple[str, str]:
    """Puts words below one another.

    Returns:
        Both texts with as many columns; a word that one lacks is `*` there.

    Example:
        >>> align("one two three", "one three")
        ('one two three', 'one *   three')
    """
    one, other = said.split(), recognised.split()
    columns: list[tuple[str, str]] = []
    for step in Levenshtein.opcodes(one, other):
        before = one[step.src_start : step.src_end]
        after = other[step.dest_start : step.dest_end]
        count = max(len(before), len(after))
        columns += zip(
            before + [_NOTHING] * (count - len(before)),
            after + [_NOTHING] * (count - len(after)),
            strict=True,
        )
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True) if columns else ((), ())
    first, second = (
        " ".join(word.ljust(width) for word, width in zip(line, widths, strict=True))
        for line in lines
    )
    return first.rstrip(), second.rstrip()


def describe_scores(scores: dict[str, Any], target: str = "symbol") -> str:
    """The scores as text: rates, speakers, frequent errors, transcripts with errors.

    Args:
        scores: Of `SpeechRecognition.evaluate`.
        target: What the loss is a mean over.
    """
    lines = [f"loss                {scores['loss']:.4f} nats per {target}"]
    for name, text, of in (
        ("wer", "word error rate", f"{scores['words']} words"),
        ("cer", "character errors", "the characters"),
        ("utterance_error", "utterances wrong", f"{scores['utterances']} utterances"),
    ):
        low, high = scores[f"{name}_interval"]
        lines.append(
            f"{text:<18}  {scores[name]:.2%} of {of} (95 % interval {low:.2%} to "
            f"{high:.2%})"
        )
    lines.append(
        "{substitutions} substitutions, {deletions} deletions, {insertions} "
        "insertions".format(**scores)
    )
    lines.append(
        f"confidence          {scores['calibration_error']:.2%} from the share of "
        "transcripts that are right"
    )
    if scores["unaligned"]:
        lines.append(
            f"{scores['unaligned']} utterances have fewer frames than their text "
            "needs, and no loss"
        )
    if scores["per_speaker"]:
        lines += ["", f"{'speaker':<24}   words  characters  utterances"]
        lines += [
            f"{name:<24}  {entry['wer']:>6.2%}  {entry['cer']:>10.2%}  "
            f"{entry['utterance_error']:>6.2%} of {entry['utterances']}"
            for name, entry in scores["per_speaker"].items()
        ]
    if scores["confusions"]:
        lines += ["", "said -> recognised"]
        lines += [
            f"{count:>6}  {said or _NOTHING} -> {recognised or _NOTHING}"
            for said, recognised, count in scores["confusions"]
        ]
    errors = scores.get("errors", ())
    for each in errors[:_SHOWN_ERRORS]:
        said, recognised = align(each["said"], each["recognised"])
        lines += ["", each["utterance"], f"  {said}", f"  {recognised}"]
    if len(errors) > _SHOWN_ERRORS:
        lines += ["", f"and {len(errors) - _SHOWN_ERRORS} more; --json lists all"]
    return "\n".join(lines)
