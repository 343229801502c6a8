"""`python -m tfspeech.synthesize`: speaks texts with a trained model."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from models.config import between
from tfspeech.audio.encode import PAUSE_S, write_pieces
from tfspeech.config import number
from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.errors import RunError, SpecError
from tfspeech.files import read_texts
from tfspeech.flags import add_ssml, add_vocoder
from tfspeech.tasks.conditions import (
    add_conditions,
    complete_conditions,
    given_conditions,
)
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.speech.speaking import Spoken, speak_ssml, speak_texts

Piece = TypeVar("Piece", bound=tuple)

_COUNTS = between(1, 10_000)  # Of clips, which are drawn before the first is written.

# One frame alone is between no samples.
_SHORTEST_S = 1e-4


def run(
    run_dir: Path,
    texts: Sequence[str],
    vocoder: str | None = None,
    ssml: bool = False,
    **conditions: float,
) -> Iterator[Spoken]:
    """Speaks texts, one after the other, long ones in pieces; see `speak_texts`.

    Args:
        run_dir: A run with a trained model.
        texts: English.
        vocoder: Another one than that of the run; see `load_task`.
        ssml: Whether texts are documents of SSML; see `speak_ssml`.
        **conditions: Some of the model's `conditions`, by name.

    Raises:
        RunError: There is no trained model, or it does not speak.
        SpecError: The model lacks a condition, or a value is out of range; or the
            vocoder is unknown, or not for its frames.
        TextError: A text has a symbol that is unknown, or none at all, or is beyond a
            limit of the model, or a document is no SSML.
    """
    config, task = load_task(run_dir, vocoder)
    if not task.speaks:
        cure = ": it draws clips, give --count" if task.generates else ""
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which does not speak{cure}"
        )
    speak = speak_ssml if ssml else speak_texts
    # The first call compiles, which is not to count.
    next(speak(task, texts, **conditions), None)
    return speak(task, texts, **conditions)


def draw(
    run_dir: Path, count: int, vocoder: str | None = None, **conditions: float
) -> Iterator[Spoken]:
    """Draws clips of a generator, which speaks no text.

    Args:
        run_dir: A run with a trained model.
        count: How many clips.
        vocoder: Another one than that of the run; see `load_task`.
        **conditions: Some of the model's `conditions`, by name; `seed` is that of the
            first clip.

    Raises:
        RunError: There is no trained model, or it is no generator.
        SpecError: The model lacks a condition, or a value is out of range; or the
            vocoder is not for its frames.
    """
    config, task = load_task(run_dir, vocoder)
    if not task.generates:
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which draws no clips: leave out "
            "--count"
        )
    conditions = complete_conditions(config.name, task.conditions, conditions)
    task.draw(1)  # The first call compiles, which is not to count.
    started = time.perf_counter()
    clips = task.draw_frames(count, **conditions)
    model_seconds = time.perf_counter() - started
    waveforms = task.waveforms(clips)
    seconds = time.perf_counter() - started
    rate_hz = task.features.sample_rate_hz
    for waveform in waveforms:
        times = seconds / count, model_seconds / count
        yield Spoken(True, waveform, rate_hz, True, *times)


def output_paths(output: Path, count: int) -> list[Path]:
    """Where several texts go: `x.wav`, or `x_1.wav` and so on."""
    if count == 1:
        return [output]
    return [
        output.with_stem(f"{output.stem}_{number}") for number in range(1, count + 1)
    ]


def pieces_of_one(speech: Iterator[Piece], seen: list[Piece]) -> Iterator[Piece]:
    """Passes on the pieces of one text, and keeps all of them but the waveforms.

    Args:
        speech: The pieces of all texts, each with its `waveform` and whether it is the
            `last` of a text.
        seen: The list that they are kept in.
    """
    for piece in speech:
        yield piece
        seen.append(piece._replace(waveform=None))
        if piece.last:
            return


def main(arguments: Sequence[str]) -> None:
    """Writes wav files, or one to standard output."""
    parser = Parser("synthesize", "Speaks texts with a trained model.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="what is to be said")
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="a text per line, instead of TEXT"
    )
    parser.add_argument(
        "--output",
        metavar="FILE.wav",
        help="wav file; FILE_1.wav and so on for several texts; - for standard output "
        "(default: speech.wav)",
    )
    add_ssml(parser, "TEXT, or FILE as a whole,")
    parser.add_argument(
        "--count",
        type=number(int, _COUNTS),
        metavar="N",
        help="instead of TEXT: draw so many clips of a generator of words, with the "
        "seeds --seed, --seed + 1 and so on",
    )
    add_vocoder(parser)
    add_conditions(parser)
    parser.add_json()
    # Flags may stand before TEXT, which would else be taken for none of it.
    given = parser.parse_intermixed_args(arguments)
    conditions = given_conditions(given)
    texts, ssml = _given_texts(given), "ssml" in given
    output = getattr(given, "output", "speech.wav")
    if output == "-" and (len(texts) > 1 or "json" in given):
        raise SpecError("--output - takes one text, and no --json")
    paths = output_paths(Path(output), len(texts))
    vocoder = getattr(given, "vocoder", None)
    if "count" in given:
        speech = draw(given.run_dir, given.count, vocoder, **conditions)
    else:
        speech = run(given.run_dir, texts, vocoder, ssml, **conditions)
    pause_s = 0.0 if ssml else PAUSE_S  # Documents say which breaks they have.
    report = [
        {"file": str(path), "text": text, **_write_one(path, speech, pause_s)}
        for path, text in zip(paths, texts, strict=True)
    ]
    if "json" in given:
        print_json({"files": report})


def _given_texts(given: argparse.Namespace) -> list[str]:
    """The texts of a command line, empty ones for clips.

    Raises:
        SpecError: There are none, or they come from several places.
        TextError: The file holds none.
    """
    sources = [n for n in ("texts", "file", "count") if getattr(given, n, None)]
    if len(sources) != 1:
        raise SpecError("give either TEXT or --file, or --count for clips")
    if "file" in given:
        return read_texts(given.file, whole="ssml" in given)
    return given.texts if "texts" in sources else [""] * given.count


def _write_one(path: Path, speech: Iterator[Spoken], pause_s: float) -> dict[str, Any]:
    """Writes the next text to a file, `-` for standard output, and says how long it is.

    Returns:
        `seconds` of speech, the real-time factors, and whether the model itself
        `stopped`.
    """
    seen: list[Spoken] = []
    if str(path) == "-":
        with tempfile.TemporaryFile() as file:
            length_s = write_pieces(file, pieces_of_one(speech, seen), pause_s)
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer)
    else:
        length_s = write_pieces(path, pieces_of_one(speech, seen), pause_s)
    seconds = sum(piece.seconds for piece in seen)
    factor, model_factor = (
        spent_s / max(length_s, _SHORTEST_S)
        for spent_s in (seconds, sum(piece.model_seconds for piece in seen))
    )
    stopped = all(piece.stopped for piece in seen)
    say(
        f"{path}: {length_s:.2f} s of speech in {seconds:.2f} s, real-time "
        f"factor {factor:.3f} ({model_factor:.3f} without the vocoder)"
        + ("" if stopped else "; it did not find the end")
    )
    return {
        "seconds": round(length_s, 3),
        "real_time_factor": round(factor, 4),
        "model_real_time_factor": round(model_factor, 4),
        "stopped": stopped,
    }


if __name__ == "__main__":
    run_command(main)
