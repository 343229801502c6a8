"""`python -m tfspeech.transcribe`: says which words audio files hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfspeech.audio.decode import FORMATS, read_audio
from tfspeech.console import Parser, print_json, run_command
from tfspeech.errors import AudioError, RunError
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.word_recognition.task import WordRecognition


def run(run_dir: Path, files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Recognises the word in each of some files.

    Args:
        run_dir: A run with a trained model.
        files: Of any format and rate that `read_audio` knows.

    Yields:
        Per file its `file`, `label`, `probability` and `scores` (label: probability).

    Raises:
        RunError: There is no trained model.
        AudioError: A file cannot be decoded, or is beyond a limit of the model.
        OSError: A file cannot be read.
    """
    # Before the model takes its seconds to load.
    audio = [_read(file) for file in files]
    config, task = load_task(run_dir)
    if not task.recognizes:
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which recognises no speech"
        )
    for file, (samples, rate_hz) in zip(files, audio, strict=True):
        try:
            scores = task.transcribe(samples, rate_hz)
        except AudioError as error:
            raise AudioError(f"{file}: {error}") from error
        label = max(scores, key=scores.get)
        yield {
            "file": str(file),
            "label": label,
            "probability": scores[label],
            "scores": scores,
        }


def _read(file: Path) -> tuple[np.ndarray, int]:
    """Reads a file that is not too long to be read."""
    if file.is_file():
        try:
            WordRecognition.limits.check(
                "max_audio_bytes", file.stat().st_size, AudioError
            )
        except AudioError as error:
            raise AudioError(f"{file}: {error}") from error
    return read_audio(file)


def main(arguments: Sequence[str]) -> None:
    """Prints a line per file, or all as JSON."""
    parser = Parser("transcribe", "Says which words audio files hold.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help=f"{FORMATS}, of any rate"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    found = run(given.run_dir, given.files)
    if "json" in given:
        print_json({"files": list(found)})
        return
    for each in found:
        print(f"{each['file']}\t{each['label']}\t{each['probability']:.3f}")


if __name__ == "__main__":
    run_command(main)
