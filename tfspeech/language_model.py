"""`python -m tfspeech.language_model`: trains a language model for a recogniser."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfspeech.config import add_flags, take_flags
from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.data.cache import reading_arrays
from tfspeech.errors import SpecError
from tfspeech.files import locked
from tfspeech.tasks.runs import check_takes_language_model, load_task
from tfspeech.tasks.speech_recognition.language_model import (
    NGramConfig,
    SearchConfig,
    fit_language_model,
)

FOLDER = "language_model"


def run(
    run_dir: Path,
    output: Path | None = None,
    text: Sequence[Path] = (),
    arpa: Path | None = None,
    lexicon: Path | None = None,
    ngram: NGramConfig | None = None,
    search: SearchConfig | None = None,
) -> dict[str, Any]:
    """Trains a language model, and chooses its weight on the validation split.

    Args:
        run_dir: A run with a trained recogniser of connected speech.
        output: The folder that is written, by default `language_model` in `run_dir`.
        text: Files of sentences, one a line; by default the texts are the transcripts
            of the training split.
        arpa: A language model in the ARPA format, which is taken as it is.
        lexicon: A file of the words that may be written, by default any.
        ngram: Of the language model, by default as long as the recogniser's search
            is made for.
        search: Of the search; its weight and bonus are chosen.

    Returns:
        What `fit_language_model` returns, and `folder`.

    Raises:
        RunError: There is no trained model, it takes no language model, or another
            process writes into the folder.
        SpecError: The recogniser writes words, but there is a lexicon.
        TextError: The texts are empty, or a file is damaged or not for the recogniser.
        CorpusError: The validation split cannot be read.
    """
    config, task = load_task(run_dir)
    check_takes_language_model(run_dir, config, task)
    own = dataclasses.replace(config.data, synthetic_share=0.0)
    folder = output or run_dir / FOLDER
    with locked(folder), reading_arrays():
        data = config.read_data(own, "validation")
        data.report.raise_if_fatal()
        model, report = fit_language_model(
            *(task, data, text, arpa, lexicon),
            *(ngram or NGramConfig(task.ngram_order), search or SearchConfig()),
        )
        model.write(folder)
    return {"folder": str(folder), **report}


def main(arguments: Sequence[str]) -> None:
    """Trains a language model, and prints what it brings on the validation split."""
    parser = Parser(
        "language_model",
        "Trains an n-gram model of the texts of a recogniser, and chooses its weight "
        "in the search on the validation split.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--text",
        type=Path,
        action="append",
        metavar="FILE",
        help="sentences, one a line; repeat it for several files (default: the "
        "training transcripts of the run)",
    )
    parser.add_argument(
        "--arpa",
        type=Path,
        metavar="FILE",
        help="take this n-gram model in the ARPA format over the symbols of the "
        "recogniser, | for a space",
    )
    parser.add_argument(
        "--lexicon",
        type=Path,
        metavar="FILE",
        help="the only words that a recogniser of characters may write (default: any)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where the language model is written (default: RUN_DIR/language_model)",
    )
    parser.add_json()
    add_flags(parser, NGramConfig())
    add_flags(parser, SearchConfig(), skip=["weight", "bonus", "prior_scale"])
    given = parser.parse_args(arguments)
    names = ("run_dir", "output", "text", "arpa", "lexicon")
    if "arpa" in given and ("text" in given or "order" in given):
        raise SpecError("--arpa is a finished model: leave out --text and --order")
    report = run(
        **{name: getattr(given, name) for name in names if name in given},
        ngram=take_flags(NGramConfig(), given) if "order" in given else None,
        search=take_flags(SearchConfig(), given),
    )
    say(describe(report))
    if "json" in given:
        print_json(report)


def describe(report: dict[str, Any]) -> str:
    """The report of `run` as text."""
    greedy, best = report["greedy"], report["best"]
    settings = [
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in best.items()
        if name not in greedy
    ]
    lines = [
        f"{report['sentences']} sentences, {report['ngrams']} n-grams up to order "
        f"{report['order']}; perplexity {report['perplexity']:.2f} per symbol on the "
        "validation split",
        f"validation: word error rate {greedy['wer']:.2%} without it, "
        f"{best['wer']:.2%} with {', '.join(settings)}; character error rate "
        f"{greedy['cer']:.2%} and {best['cer']:.2%}",
        f"use it: --language-model {report['folder']}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main)
