"""`python -m tfspeech.data check CORPUS`: what is in a corpus, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from tfspeech.audio.resample import RATES_HZ
from tfspeech.config import number
from tfspeech.console import Parser, print_json, run_command
from tfspeech.data.checks import has_sentences
from tfspeech.data.corpora import LAYOUTS, load_corpus
from tfspeech.data.store import prepare


def main(arguments: Sequence[str]) -> None:
    """Prints a table of the splits and all problems.

    Raises:
        CorpusError: The corpus cannot be read, or some problems are fatal.
    """
    parser = Parser("data", "Checks the audio and the texts of a corpus.")
    parser.add_argument("command", choices=["check"])
    parser.add_argument("corpus", help="one of " + ", ".join(LAYOUTS))
    parser.add_argument(
        "--test-speakers",
        default="",
        metavar="A,B",
        help="the speakers that only the test split may contain",
    )
    parser.add_argument(
        "--sample-rate-hz",
        default=0,
        type=number(int, RATES_HZ),
        metavar="INT",
        help="the rate of the decoded audio (default: 8000 Hz for a corpus recorded at "
        "that, else 16000 Hz)",
    )
    parser.add_argument(
        "--texts",
        default="",
        choices=["labels", "sentences"],
        help="what the texts are (default: sentences, if most occur only once)",
    )
    parser.add_json()
    options = parser.parse_args(arguments)
    speakers = [name for name in options.test_speakers.split(",") if name]
    corpus = load_corpus(options.corpus, speakers)
    sentences = has_sentences(corpus)
    if options.texts:
        sentences = options.texts == "sentences"
    store, report = prepare(corpus, options.sample_rate_hz, sentences=sentences)
    store.check()  # What is damaged is decoded again, and so reported here.
    if "json" in options:
        print_json({**report.to_json(), "sample_rate_hz": store.sample_rate_hz})
    else:
        print(f"{corpus.name} at {store.sample_rate_hz} Hz")
        print("\n".join(report.table()))
        print("\n".join(report.lines()) or "no problems found")
    report.raise_if_fatal()


if __name__ == "__main__":
    run_command(main)
