"""`python -m tfspeech.evaluate`: measures a trained model on a corpus."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfspeech.console import Parser, print_json, run_command
from tfspeech.data.cache import reading_arrays
from tfspeech.data.corpora import absolute_spec
from tfspeech.data.manifest import SPLITS
from tfspeech.errors import RunError, SpecError
from tfspeech.flags import add_language_model, add_vocoder
from tfspeech.tasks.runs import load_config, load_task
from tfspeech.tasks.speech.judge import SpeechJudge
from tfspeech.tasks.task import Task


def run(
    run_dir: Path,
    data: str | None = None,
    split: str = "test",
    test_speakers: str | None = None,
    vocoder: str | None = None,
    judge: bool = False,
    language_model: Path | None = None,
    recognizer: Path | None = None,
) -> dict[str, Any]:
    """Scores the best model of a run.

    Args:
        run_dir: The run.
        data: A corpus, by default that of the run.
        split: Of the corpus.
        test_speakers: Names joined by commas; by default those of the run where the
            corpus is that of the run, else none.
        vocoder: Of a synthesiser, another one than that of the run; see `load_task`.
        judge: Have speech judged by `SpeechJudge`, too.
        language_model: Of a recogniser of connected speech; see `load_task`.
        recognizer: The run of a recogniser of words, which says what is heard in the
            clips of a generator.

    Returns:
        The scores of the model's task, `loss` among them; see `recognition_scores` and
        `synthesis_scores`.

    Raises:
        RunError: There is no trained model, or it takes no language model, or the
            recogniser is none of words.
        TextError: The language model is damaged, or not for the model.
        SpecError: The vocoder is unknown, or not for the frames of the model.
        CorpusError: The corpus cannot be read, or is not for this model.
        SpecError: The model makes no speech, or the judge is not installed; or it is no
            generator.
    """
    config, task = load_task(run_dir, vocoder, language_model)
    if judge and not (task.speaks or task.vocodes):
        raise SpecError(f"{config.name} does not speak: leave out --judge")
    if judge:
        task.judge = SpeechJudge()
    if recognizer is not None:
        _take_recognizer(config.name, task, recognizer)
    wanted = config.data
    if data is not None and absolute_spec(data) != wanted.data:
        wanted = wanted.of_corpus(data)
    if test_speakers is not None:
        wanted = dataclasses.replace(wanted, test_speakers=test_speakers)
    with reading_arrays():
        corpus = config.read_data(wanted, split)
        corpus.report.raise_if_fatal()
        return task.evaluate_split(corpus, split)


def _take_recognizer(name: str, task: Task, run_dir: Path) -> None:
    """Has the recogniser of another run listen to the clips of a generator.

    Raises:
        RunError: There is none, or it is no recogniser of words.
        SpecError: The task is no generator.
    """
    if not task.generates:
        raise SpecError(f"{name} does not draw clips: leave out --recognizer")
    config, of_recognizer = load_task(run_dir)
    task.recognizer = of_recognizer.listener()
    if task.recognizer is None:
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which is no recogniser of "
            "words: train one with tfspeech train rnn_recognizer"
        )


def main(arguments: Sequence[str]) -> None:
    """Prints the scores as text or as JSON."""
    parser = Parser("evaluate", "Measures a trained model on a corpus.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--data", metavar="CORPUS[:PATH]", help="corpus (default: that of the run)"
    )
    parser.add_argument(
        "--split", choices=SPLITS, default="test", help="split (default: test)"
    )
    parser.add_argument(
        "--test-speakers",
        metavar="A,B",
        help="speakers who make up the test split (default: those of the run)",
    )
    add_vocoder(parser)
    add_language_model(parser)
    parser.add_argument(
        "--recognizer",
        type=Path,
        metavar="RUN_DIR",
        help="of a generator of words: the run of an rnn_recognizer that says which "
        "words its clips are, how sure it is, and how diverse they are",
    )
    parser.add_argument(
        "--judge",
        action="store_true",
        help="predict mean opinion scores of speech, P.808 and PLCMOS; needs "
        "tfspeech[judge]",
    )
    parser.add_json()
    given = vars(parser.parse_args(arguments))
    as_json = given.pop("json", False)
    scores = run(**given)
    if as_json:
        print_json(scores)
    else:
        print(load_config(given["run_dir"]).describe(scores))


if __name__ == "__main__":
    run_command(main)
