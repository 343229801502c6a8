"""`python -m tfspeech.evaluate`: measures a trained model on a corpus."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfspeech.console import Parser, print_json, run_command
from tfspeech.data.corpora import absolute_spec
from tfspeech.data.manifest import SPLITS
from tfspeech.runs import load_recognition
from tfspeech.tasks.recognition import RecognitionData


def run(
    run_dir: Path,
    data: str | None = None,
    split: str = "test",
    test_speakers: str | None = None,
) -> dict[str, Any]:
    """Scores the best model of a run.

    Args:
        run_dir: The run.
        data: A corpus, by default that of the run.
        split: Of the corpus.
        test_speakers: Names joined by commas; by default those of the run where the
            corpus is that of the run, else none.

    Returns:
        What `tfspeech.tasks.scores.recognition_scores` returns.

    Raises:
        RunError: There is no trained model.
        CorpusError: The corpus cannot be read, or has labels the model does not know.
    """
    config, recognition = load_recognition(run_dir)
    wanted = config.data
    if data is not None and absolute_spec(data) != wanted.data:
        wanted = dataclasses.replace(
            wanted, data=data, test_speakers="", synthetic_per_label=0
        )
    if test_speakers is not None:
        wanted = dataclasses.replace(wanted, test_speakers=test_speakers)
    corpus = RecognitionData(wanted, config.features, config.labels, split)
    corpus.report.raise_if_fatal()
    return recognition.evaluate_split(corpus, split)


def describe(scores: dict[str, Any]) -> str:
    """The scores as text: accuracy, speakers, confusion matrix."""
    low, high = scores["accuracy_interval"]
    lines = [
        f"loss      {scores['loss']:.4f} nats",
        f"accuracy  {scores['accuracy']:.2%} of {scores['utterances']} utterances "
        f"(95 % interval {low:.2%} to {high:.2%})",
    ]
    if scores["per_speaker"]:
        lines += ["", f"{'speaker':<24}  accuracy  utterances"]
        lines += [
            f"{name:<24}  {entry['accuracy']:>8.2%}  {entry['utterances']:>10}"
            for name, entry in scores["per_speaker"].items()
        ]
    width = max(map(len, scores["labels"])) + 1
    cell = max(width, len(str(scores["utterances"])) + 1)
    head = "".join(label.rjust(cell) for label in scores["labels"])
    lines += ["", "said \\ recognised".ljust(width), " " * width + head]
    for label, row in zip(scores["labels"], scores["confusion"], strict=True):
        counts = (str(n) if n else "." for n in row)
        lines.append(label.ljust(width) + "".join(c.rjust(cell) for c in counts))
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Prints the scores as text or as JSON."""
    parser = Parser("tfspeech.evaluate", "Measures a trained model on a corpus.")
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
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = vars(parser.parse_args(arguments))
    as_json = given.pop("json", False)
    given.pop("verbose", None)
    scores = run(**given)
    if as_json:
        print_json(scores)
    else:
        print(describe(scores))


if __name__ == "__main__":
    run_command(main)
