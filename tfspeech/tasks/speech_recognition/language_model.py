"""Language models of recognisers: their folder, and their weight in the search."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from models.beam_search import BeamSearch
from models.config import FINITE, NOT_NEGATIVE, SHARE, Options, between, option
from models.ctc import Symbols
from tfspeech.config import from_json
from tfspeech.errors import SpecError, TextError
from tfspeech.files import parse_json, write_text
from tfspeech.tasks.speech_recognition.automaton import ngram_acceptor, with_lexicon
from tfspeech.tasks.speech_recognition.data import SpeechData
from tfspeech.tasks.speech_recognition.scores import error_rates
from tfspeech.tasks.speech_recognition.transcripts import Transcriber
from tfspeech.text.ngram import (
    END,
    START,
    UNKNOWN,
    NGram,
    read_arpa,
    train_ngram,
    write_arpa,
)

Grid = Mapping[str, Sequence[float]]
"""Variables of a search, by name -> the values that are tried."""

ARPA_FILE, LEXICON_FILE, SETTINGS_FILE = "ngram.arpa", "lexicon.txt", "settings.json"
WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3)
BONUSES = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
GRID: Grid = {"weight": WEIGHTS, "bonus": BONUSES}

Logits = Sequence[tuple[tf.Tensor, tf.Tensor, np.ndarray]]
"""Batches of logits [batch, frames, classes], lengths and rows [batch]."""

Reader = Callable[[tf.Tensor, tf.Tensor], Symbols]
"""Logits [batch, frames, classes] and their lengths to what they read as."""


class Recognition(Protocol):
    """A task that scores frames.

    Attributes:
        transcriber: Of its symbols.
        grid: What a language model is tried with.
    """

    transcriber: Transcriber
    grid: Grid

    def plain_reader(self) -> Reader:
        """Returns what reads texts without a language model."""

    def search(self, language_model: LanguageModel) -> tf.Module:
        """Returns what reads texts with a language model, with `grid` as variables."""

    def logits(self, batches: tf.data.Dataset) -> Logits:
        """Scores batches of `SpeechData.evaluation_set`."""


@dataclasses.dataclass(frozen=True)
class NGramConfig(Options):
    """N-gram model."""

    error = SpecError

    order: int = option(
        5,
        "symbols of the longest n-grams, with hidden Markov models not more than 2, "
        "which is their default",
        between(1, 9),
    )


@dataclasses.dataclass(frozen=True)
class SearchConfig(Options):
    """Search."""

    error = SpecError

    beam_width: int = option(
        16, "texts that the search keeps at every frame", between(1, 1024)
    )
    weight: float = option(0.5, "of the language model", NOT_NEGATIVE)
    bonus: float = option(0.0, "for every symbol, in nats", FINITE)
    prior_scale: float = option(1.0, "how much the priors of states count", SHARE)


class LanguageModel(NamedTuple):
    """N-gram model of a recogniser, with a lexicon and the settings of the search.

    Attributes:
        ngram: Over the symbols that the recogniser writes.
        lexicon: The words that it may write, in characters; empty for any.
        config: Of the search.
    """

    ngram: NGram
    lexicon: tuple[str, ...]
    config: SearchConfig

    def search(self, transcriber: Transcriber) -> BeamSearch:
        """Returns the search for the best text.

        Raises:
            TextError: The model or its lexicon is not for these symbols, or too large.
        """
        acceptor = ngram_acceptor(self.ngram, transcriber.symbols)
        if self.lexicon:
            acceptor = with_lexicon(acceptor, transcriber.symbols, self.lexicon)
        search = BeamSearch(acceptor, self.config.beam_width)
        search.weight.assign(self.config.weight)
        search.bonus.assign(self.config.bonus)
        return search

    def write(self, folder: Path) -> None:
        """Writes the model into a folder, for `read_language_model`.

        Raises:
            OSError: The folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        write_arpa(self.ngram, folder / ARPA_FILE)
        write_text(folder / LEXICON_FILE, "".join(f"{w}\n" for w in self.lexicon))
        settings = json.dumps(dataclasses.asdict(self.config), indent=2)
        write_text(folder / SETTINGS_FILE, settings + "\n")


def read_language_model(folder: Path) -> LanguageModel:
    """Reads what `LanguageModel.write` has written.

    Raises:
        TextError: The folder holds something else.
        OSError: A file is missing, or cannot be read.
    """
    settings = folder / SETTINGS_FILE
    try:
        values = parse_json(settings.read_bytes())
        config = from_json(SearchConfig(), values)
    except ValueError as error:
        raise TextError(f"{settings} is damaged: {error}") from error
    lexicon = _read_text(folder / LEXICON_FILE).split()
    return LanguageModel(read_arpa(folder / ARPA_FILE), tuple(lexicon), config)


def read_lexicon(path: Path, transcriber: Transcriber) -> tuple[tuple[str, ...], int]:
    """Reads the words that a recogniser of characters may write, one or more a line.

    Returns:
        The words, sorted; and how many were left out, because they have characters that
        the recogniser does not write.

    Raises:
        SpecError: The recogniser writes whole words.
        TextError: The file has no word that it could write.
        OSError: The file cannot be read.
    """
    if transcriber.separator:
        raise SpecError(
            "the recogniser writes whole words, no others: leave out --lexicon"
        )
    words = set(transcriber.write(_read_text(path)).split())
    known = sorted(word for word in words if not transcriber.unknown(word))
    if not known:
        raise TextError(f"{path} has no word that the recogniser could write")
    return tuple(known), len(words) - len(known)


def fit_language_model(
    task: Recognition,
    data: SpeechData,
    texts: Sequence[Path],
    arpa: Path | None,
    lexicon: Path | None,
    ngram: NGramConfig,
    search: SearchConfig,
) -> tuple[LanguageModel, dict[str, Any]]:
    """Makes a language model, and chooses its weight on the validation split.

    Args:
        task: With the trained recogniser.
        data: Whose training transcripts are the texts, where there are no others.
        texts: Files of sentences, one a line.
        arpa: A finished model, which is read.
        lexicon: A file of the words that may be written; None for any.
        ngram: Of the model that is trained.
        search: Whose weight and bonus are chosen.

    Returns:
        The model; and `sentences`, `ngrams` and `order` of it, its `perplexity` per
        symbol that the recogniser knows on the validation split, the error rates there
        without it, `greedy`, and those of every setting, `measured`, and the `best` of
        them; `lexicon`, words of it, and `lexicon_left_out`, words that the recogniser
        could not write.

    Raises:
        SpecError: The recogniser writes words, but there is a lexicon.
        TextError: The texts are empty, or a file is damaged or not for the recogniser.
        OSError: A file cannot be read.
    """
    transcriber = task.transcriber
    sentences = [] if arpa else _sentences(data, texts)
    if arpa:
        model = read_arpa(arpa)
    else:
        model = train_ngram(sentences, ngram.order, transcriber.symbols)
    words, left_out = read_lexicon(lexicon, transcriber) if lexicon else ((), 0)
    made = LanguageModel(model, words, search)
    searching = task.search(made)
    validation = data.corpus.indices("validation")
    references = data.references(validation)[0]
    batches = task.logits(data.evaluation_set(validation))
    greedy = rates_of(_traced(task.plain_reader()), batches, references, transcriber)
    measured = tune(searching, task.grid, batches, references, transcriber)
    best = measured[0]
    search = dataclasses.replace(search, **{name: best[name] for name in task.grid})
    said = [transcriber.split(each) for each in references]
    return made._replace(config=search), {
        "sentences": len(sentences),
        "ngrams": len(model.log_probs),
        "order": model.order,
        "perplexity": perplexity(model, said),
        "greedy": greedy,
        "best": best,
        "measured": measured,
        "lexicon": len(words),
        "lexicon_left_out": left_out,
    }


def _sentences(data: SpeechData, files: Sequence[Path]) -> list[list[str]]:
    """The symbols of the lines of files, without files of the training transcripts.

    Those with symbols that the recogniser does not write are left out.
    """
    texts = data.references(data.corpus.indices("train"))[0]
    if files:
        lines = [line for file in files for line in _read_text(file).splitlines()]
        texts = [data.transcriber.write(line) for line in lines]
    known = set(data.transcriber.symbols)
    sentences = list(filter(None, map(data.transcriber.split, texts)))
    found = [each for each in sentences if set(each) <= known]
    if sentences and not found:
        other = next(each for each in sentences[0] if each not in known)
        raise TextError(
            "every sentence has symbols that the recogniser does not write, such as "
            f"{other!r}"
        )
    return found


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TextError(f"{path} is no text in UTF-8") from error


def perplexity(ngram: NGram, sentences: Sequence[Sequence[str]]) -> float:
    """Returns the perplexity per symbol of sentences, their ends included.

    Symbols that the model has no probability of are left out.
    """
    total = count = 0
    for sentence in sentences:
        has_all = (UNKNOWN,) in ngram.log_probs
        known = [s for s in sentence if has_all or (s,) in ngram.log_probs]
        marked = (START, *known, END)
        for place in range(1, len(marked)):
            total += ngram.log_prob(marked[:place], marked[place])
            count += 1
    return float(np.exp(-total / count))


def tune(
    search: tf.Module,
    grid: Grid,
    batches: Logits,
    references: Sequence[str],
    transcriber: Transcriber,
) -> list[dict[str, float]]:
    """Measures every setting of a search.

    Args:
        search: Whose variables are set to the best.
        grid: The values that are tried, each with all others.
        batches: Of the validation split.
        references: What is said in it, in the order of the rows.
        transcriber: Of the symbols.

    Returns:
        The values, `wer` and `cer` of each, the one of the fewest wrong words first.
    """

    def assign(values: Sequence[float]) -> None:
        for name, value in zip(grid, values, strict=True):
            getattr(search, name).assign(value)

    read = _traced(search)
    measured = []
    for values in itertools.product(*grid.values()):
        assign(values)
        rates = rates_of(read, batches, references, transcriber)
        measured.append({**dict(zip(grid, values, strict=True)), **rates})
    measured.sort(key=lambda each: (each["wer"], each["cer"], each["weight"]))
    assign([measured[0][name] for name in grid])
    return measured


def _traced(read: Reader) -> Reader:
    return tf.function(read, autograph=False, reduce_retracing=True)


def rates_of(
    read: Reader,
    batches: Logits,
    references: Sequence[str],
    transcriber: Transcriber,
) -> dict[str, Any]:
    """Returns the error rates, `wer` and `cer`, of a way to read logits."""
    transcripts = [""] * len(references)
    for logits, lengths, rows in batches:
        numbers = read(logits, lengths).numbers.to_list()
        for row, each in zip(rows, numbers, strict=True):
            transcripts[row] = transcriber.decode(each)
    wer, cer = error_rates(references, transcripts)
    return {"wer": wer, "cer": cer}
