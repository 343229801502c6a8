"""`python -m tfspeech.calibrate`: fits probabilities, and when a word is unknown."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.config import BELOW_1, NOT_NEGATIVE
from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.data.cache import reading_arrays
from tfspeech.data.corpora import load_corpus
from tfspeech.data.manifest import SPLITS
from tfspeech.errors import RunError, SpecError
from tfspeech.files import locked
from tfspeech.tasks.runs import load_task, save_config
from tfspeech.tasks.task import RunConfig, Task


def run(
    run_dir: Path,
    data: str | None = None,
    split: str = "validation",
    false_alarms: float = 0.05,
) -> dict[str, Any]:
    """Fits temperature and threshold of a recogniser, and keeps them in its run.

    Args:
        run_dir: A run of a recogniser of words.
        data: A corpus of speakers that the model was not trained on; by default that of
            the run.
        split: Of the corpus; not the one that figures are reported on.
        false_alarms: The share of the words of the split that may be called unknown.

    Returns:
        `temperature`, `unknown_below`, `error_before` and `error_after`, the expected
        calibration errors, and `utterances`.

    Raises:
        RunError: There is no trained model, or one of another kind.
        CorpusError: The corpus cannot be read, or is not for this model.
        SpecError: The share is out of its range.
    """
    if not BELOW_1.hold(false_alarms):
        raise SpecError(
            f"--false-alarms must be {BELOW_1.wanted}. Received: {false_alarms}"
        )
    config, task = _load_task(run_dir)
    wanted = config.data if data is None else config.data.of_corpus(data)
    with locked(run_dir), reading_arrays():
        corpus = config.read_data(wanted, split)
        corpus.report.raise_if_fatal()
        settings, found = task.calibrate(corpus, split, false_alarms)
        save_config(run_dir, dataclasses.replace(config, task=settings))
    return found


def run_spotting(
    run_dir: Path, data: str, split: str = "validation", alarms_per_hour: float = 10.0
) -> dict[str, Any]:
    """Fits the threshold from which words in a stream are heard, and keeps it.

    Args:
        run_dir: A run of a recogniser of words.
        data: A corpus of sentences; those that have one of the words are left out.
        split: Of the corpus; not the one that figures are reported on.
        alarms_per_hour: The most words that may be heard in an hour of it.

    Returns:
        `heard_from`, the threshold; `alarms` in the `hours` of the `utterances`; and
        how many of these were `left_out`.

    Raises:
        RunError: There is no trained model, or one of another kind.
        CorpusError: The corpus cannot be read, or every sentence has one of the words.
        SpecError: The number of alarms is out of its range.
    """
    if not NOT_NEGATIVE.hold(alarms_per_hour):
        raise SpecError(
            f"--alarms-per-hour must be {NOT_NEGATIVE.wanted}. Received: "
            f"{alarms_per_hour}"
        )
    config, task = _load_task(run_dir)
    with locked(run_dir), reading_arrays():
        corpus = load_corpus(data)
        settings, found = task.calibrate_spotting(corpus, split, alarms_per_hour)
        save_config(run_dir, dataclasses.replace(config, task=settings))
    return found


def _load_task(run_dir: Path) -> tuple[RunConfig, Task]:
    config, task = load_task(run_dir)
    if not task.adapts:
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which cannot be calibrated; "
            "calibrate takes recognisers of isolated words"
        )
    return config, task


def main(arguments: Sequence[str]) -> None:
    """Prints what was fitted as text or as JSON."""
    parser = Parser("calibrate", "Fits probabilities, and when a word is unknown.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--data",
        metavar="CORPUS[:PATH]",
        help="corpus of speakers not heard in training (default: that of the run)",
    )
    parser.add_argument("--split", choices=SPLITS, help="split (default: validation)")
    parser.add_argument(
        "--false-alarms",
        type=float,
        metavar="SHARE",
        help="share of its words that may be called unknown (default: 0.05)",
    )
    parser.add_argument(
        "--alarms-per-hour",
        type=float,
        metavar="N",
        help="fit the threshold of words in a stream instead: the most that may be "
        "heard in an hour of --data, sentences; those with one of the words are left "
        "out",
    )
    parser.add_json()
    given = vars(parser.parse_args(arguments))
    as_json = given.pop("json", False)
    if spots := "alarms_per_hour" in given:
        if "data" not in given or "false_alarms" in given:
            raise SpecError(
                "--alarms-per-hour needs --data, and goes without --false-alarms"
            )
        found = run_spotting(**given)
    else:
        found = run(**given)
    if as_json:
        print_json(found)
        return
    if spots:
        say(
            "words in a stream are heard from a probability of {heard_from:.4f} on: "
            "{alarms} times in {hours:.2f} h of speech without them".format(**found)
        )
        return
    say(
        "temperature {temperature:.3f}, expected calibration error {error_before:.2%} "
        "-> {error_after:.2%} of {utterances} utterances; unknown below "
        "{unknown_below:.3f}".format(**found)
    )


if __name__ == "__main__":
    run_command(main)
