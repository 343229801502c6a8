"""`python -m tfspeech.adapt`: fits a recogniser to a speaker's few recordings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.data.cache import reading_arrays
from tfspeech.data.corpora import load_corpus
from tfspeech.errors import RunError
from tfspeech.files import locked, write_text
from tfspeech.tasks.runs import has_run, load_task, save_config
from tfspeech.training.checkpoints import save_best
from tfspeech.training.paths import ADAPTATION_FILE, CHECKPOINTS


def run(run_dir: Path, enroll: Path, new_dir: Path) -> dict[str, Any]:
    """Fits the best model of a run to a speaker, and keeps it in a new directory.

    Args:
        run_dir: A run of a recogniser of words.
        enroll: A folder per word with recordings of the speaker; some words will do.
        new_dir: Must not hold a run yet. What it holds then is evaluated, exported and
            served as every run is.

    Returns:
        See `WordRecognition.adapt`.

    Raises:
        RunError: There is no trained model, it cannot be adapted, or `new_dir` holds
            a run.
        CorpusError: There are no recordings, one cannot be read, or it has a label that
            the model does not know.
    """
    config, task = load_task(run_dir)
    if not task.adapts:
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which cannot be adapted to a "
            "speaker; adapt takes recognisers of isolated words"
        )
    with locked(new_dir), reading_arrays():
        if has_run(new_dir):
            raise RunError(
                f"{new_dir} holds a run already: choose another --run-dir for the "
                "adapted one"
            )
        found = task.adapt(load_corpus(f"folder:{enroll}"))
        origin = {"run_dir": str(run_dir.resolve()), "enrolled": str(enroll.resolve())}
        save_best(new_dir / CHECKPOINTS, task.models)
        write_text(new_dir / ADAPTATION_FILE, json.dumps(origin | found, indent=2))
        # Last, for it is what makes the folder a run.
        save_config(new_dir, config)
    return found


def main(arguments: Sequence[str]) -> None:
    """Prints how many of the recordings are recognised before and after."""
    parser = Parser("adapt", "Fits a recogniser to a speaker's few recordings.")
    parser.add_argument("source_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--enroll",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="a folder per word with recordings of the speaker, two of each word or "
        "fewer, or of some words only",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        metavar="NEW",
        help="where the adapted model is kept (default: RUN_DIR-FOLDER)",
    )
    parser.add_json()
    given = parser.parse_args(arguments)
    old = given.source_dir
    default = old.with_name(f"{old.name}-{given.enroll.resolve().name}")
    new = getattr(given, "run_dir", default)
    found = run(old, given.enroll, new)
    if "json" in given:
        print_json({**found, "run_dir": str(new)})
        return
    say(
        "{clips} recordings of {words} words: {before:.0%} recognised before, "
        "{after:.0%} after".format(**found)
    )
    say(f"try the adapted model: tfspeech transcribe {new} FILE.wav")


if __name__ == "__main__":
    run_command(main)
