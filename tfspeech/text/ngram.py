"""N-gram models with back-off: training by Kneser and Ney, and the ARPA format.

Sources: Chen and Goodman 1998, "An empirical study of smoothing techniques for language
modeling" (interpolated Kneser-Ney, with one discount for every order); the format is
that of SRILM, ngram-format(5).
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tfspeech.errors import TextError
from tfspeech.files import write_text

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
SPACE_NAME = "|"
"""Stands for a space in ARPA files, whose n-grams are separated by spaces."""

_NEVER = -99.0  # What SRILM writes for the logarithm of 0.
_USUAL_DISCOUNT = 0.75
_LN_10 = math.log(10.0)

Gram = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class NGram:
    """Probabilities of symbols after the symbols before them, natural logarithms.

    Attributes:
        order: Symbols of the longest n-grams.
        log_probs: Of the last symbol of n-grams, by n-gram.
        backoffs: Of n-grams as contexts, added where a longer one was never seen; 0
            where there is none.
    """

    order: int
    log_probs: Mapping[Gram, float]
    backoffs: Mapping[Gram, float]

    def log_prob(self, context: Gram, symbol: str) -> float:
        """Returns the logarithm of the probability of a symbol after a context.

        Raises:
            KeyError: The model has neither the symbol nor `UNKNOWN`.
        """
        context = context[max(len(context) - self.order + 1, 0) :]
        gram = (*context, symbol)
        if gram in self.log_probs:
            return self.log_probs[gram]
        if not context:
            return self.log_probs[(UNKNOWN,)]
        return self.backoffs.get(context, 0.0) + self.log_prob(context[1:], symbol)


def train_ngram(
    sentences: Sequence[Sequence[str]], order: int, symbols: Iterable[str]
) -> NGram:
    """Trains an n-gram model with interpolated Kneser-Ney smoothing.

    Args:
        sentences: The symbols of each.
        order: Symbols of the longest n-grams.
        symbols: All that there are, also those that no sentence has.

    Raises:
        TextError: There is no sentence.
    """
    if not sentences:
        raise TextError("a language model needs at least one sentence")
    vocabulary = {*symbols, END}
    log_probs: dict[Gram, float] = {(START,): _NEVER * _LN_10}
    backoffs: dict[Gram, float] = {}
    shorter = {(): 1.0 / len(vocabulary)}
    for length, counts in enumerate(_counts(sentences, order), start=1):
        probs = _smoothed(counts, shorter, backoffs)
        if length == 1:  # What was never seen has its share of the uniform model.
            rest = math.exp(backoffs.pop(())) * shorter[()]
            probs = {(symbol,): rest for symbol in vocabulary} | probs
        log_probs |= {gram: math.log(value) for gram, value in probs.items()}
        shorter = probs
    return NGram(order, log_probs, backoffs)


def _counts(
    sentences: Sequence[Sequence[str]], order: int
) -> list[collections.Counter[Gram]]:
    """The counts of n-grams of every length up to the order.

    For shorter ones than the longest these are numbers of different symbols before
    them; what begins a sentence has none, and is counted as it is.
    """
    longest: collections.Counter[Gram] = collections.Counter()
    starts: list[collections.Counter[Gram]] = [
        collections.Counter() for _ in range(order)
    ]
    for sentence in sentences:
        marked = (START, *sentence, END)
        for end in range(2, len(marked) + 1):
            begin = max(end - order, 0)
            gram = marked[begin:end]
            if len(gram) == order:
                longest[gram] += 1
            else:
                starts[len(gram) - 1][gram] += 1
    counts = [longest]
    for length in range(order - 1, 0, -1):
        continued = collections.Counter(gram[1:] for gram in counts[0])
        counts.insert(0, continued + starts[length - 1])
    return counts


def _smoothed(
    counts: Mapping[Gram, int],
    shorter: Mapping[Gram, float],
    backoffs: dict[Gram, float],
) -> dict[Gram, float]:
    """The probabilities of the n-grams of one length.

    Args:
        counts: Of the n-grams.
        shorter: The probabilities of those that are shorter by their first symbol.
        backoffs: Get the weights of the contexts.
    """
    once, twice = (sum(n == wanted for n in counts.values()) for wanted in (1, 2))
    discount = once / (once + 2 * twice) if once and twice else _USUAL_DISCOUNT
    totals: collections.Counter[Gram] = collections.Counter()
    kinds: collections.Counter[Gram] = collections.Counter()
    for gram, count in counts.items():
        totals[gram[:-1]] += count
        kinds[gram[:-1]] += 1
    shares = {c: discount * kinds[c] / total for c, total in totals.items()}
    backoffs |= {context: math.log(share) for context, share in shares.items()}
    return {
        gram: (count - discount) / totals[gram[:-1]]
        + shares[gram[:-1]] * shorter[gram[1:]]
        for gram, count in counts.items()
    }


def write_arpa(model: NGram, path: Path) -> None:
    """Writes a model in the ARPA format, with `SPACE_NAME` for a space."""
    lines = ["\\data\\"]
    lengths = range(1, model.order + 1)
    by_length = {n: [g for g in model.log_probs if len(g) == n] for n in lengths}
    lines += [f"ngram {n}={len(grams)}" for n, grams in by_length.items()]
    for n, grams in by_length.items():
        lines += ["", f"\\{n}-grams:"]
        for gram in sorted(grams):
            name = " ".join(SPACE_NAME if each == " " else each for each in gram)
            line = f"{model.log_probs[gram] / _LN_10:.6f}\t{name}"
            if gram in model.backoffs:
                line += f"\t{model.backoffs[gram] / _LN_10:.6f}"
            lines.append(line)
    write_text(path, "\n".join([*lines, "", "\\end\\", ""]))


def read_arpa(path: Path) -> NGram:
    """Reads a model in the ARPA format, with `SPACE_NAME` for a space.

    Raises:
        TextError: The file has another format.
        OSError: It cannot be read.
    """
    log_probs: dict[Gram, float] = {}
    backoffs: dict[Gram, float] = {}
    order = number = 0
    try:
        for number, length, fields in _arpa_lines(path):
            values = [float(fields[0]), *map(float, fields[length + 1 :])]
            gram = tuple(" " if f == SPACE_NAME else f for f in fields[1 : length + 1])
            if (
                len(gram) < length
                or len(values) > 2
                or not all(map(math.isfinite, values))
            ):
                raise TextError(
                    f"{path}, line {number}: a {length}-gram must be a logarithm, "
                    f"{length} symbols and possibly a back-off weight"
                )
            order = max(order, length)
            log_probs[gram] = values[0] * _LN_10
            if len(values) == 2:
                backoffs[gram] = values[1] * _LN_10
    except UnicodeDecodeError as error:
        raise TextError(f"{path} is no text in UTF-8") from error
    except ValueError as error:
        if isinstance(error, TextError):
            raise
        raise TextError(f"{path}, line {number}: {error}") from error
    if not log_probs:
        raise TextError(f"{path} has no n-grams in the ARPA format")
    return NGram(order, log_probs, backoffs)


def _arpa_lines(path: Path) -> Iterator[tuple[int, int, list[str]]]:
    """Yields the number, the length of the n-gram and the fields of lines of n-grams.

    Raises:
        TextError: The end of the format is missing.
    """
    length = 0
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            line = line.strip()
            if line == "\\end\\":
                return
            if line.startswith("\\") and line.endswith("-grams:"):
                length = int(line[1 : -len("-grams:")])
            elif line and length:
                yield number, length, line.split()
    raise TextError(
        f"{path} does not end in \\end\\: it is no whole file in the ARPA format"
    )
