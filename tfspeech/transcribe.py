"""`python -m tfspeech.transcribe`: says what is said in audio files."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tfspeech.audio.blocks import read_blocks
from tfspeech.audio.decode import FORMATS, read_audio
from tfspeech.console import Parser, print_json, run_command
from tfspeech.errors import AudioError, RunError, SpecError
from tfspeech.files import open_file
from tfspeech.flags import add_language_model, add_stream
from tfspeech.pcm import print_stream, read_pcm
from tfspeech.subtitles import SUBTITLES, format_subtitles
from tfspeech.tasks.limits import RecognitionLimits
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.task import Task

_MOST_COMPRESSED_BYTES = 1_000_000
_RIFF = b"RIFF"


def run(
    run_dir: Path, files: Sequence[Path], language_model: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Recognises what is said in each of some files.

    Args:
        run_dir: A run with a trained model.
        files: Of any format and rate that `read_audio` knows.
        language_model: Of a recogniser of connected speech; see `load_task`.

    Yields:
        Per file its `file` and what the task makes of it: of a word recogniser `label`,
        `probability` and `scores` (label: probability); of one of connected speech
        `text`, `confidence` and `segments`, each with its `words`.

    Raises:
        RunError: There is no trained model, or it takes no language model.
        TextError: The language model is damaged, or not for the model.
        AudioError: A file cannot be decoded, or is beyond a limit of the model.
        OSError: A file cannot be read.
    """
    for file, found in _recognize(run_dir, files, language_model):
        yield {"file": str(file), **_plain(found)}


def stream(run_dir: Path, source: BinaryIO) -> Iterator[str]:
    """Recognises what is said while it is said.

    Args:
        run_dir: A run with a trained recogniser, of connected speech a causal one.
        source: Raw samples, 16-bit little-endian integers, at the rate of the model.

    Yields:
        What is added to the transcript, as soon as it is known.

    Raises:
        RunError: There is no trained model, or it needs to hear the whole.
    """
    config, task = load_task(run_dir)
    if not task.takes_stream:
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which transcribes no speech "
            "while it is spoken"
        )
    yield from task.transcribe_stream(read_pcm(source))


def _recognize(
    run_dir: Path, files: Sequence[Path], language_model: Path | None = None
) -> Iterator[tuple[Path, Any]]:
    """Yields each file with what the task makes of it."""
    # Before the model takes its seconds to load; what is long is read later.
    audio = [None if _is_long(file) else read_audio(file) for file in files]
    config, task = load_task(run_dir, language_model=language_model)
    if not task.recognizes:
        raise RunError(
            f"{run_dir} holds a run of {config.model}, which recognises no speech"
        )
    for file, whole in zip(files, audio, strict=True):
        try:
            found = task.transcribe(*whole) if whole else _in_blocks(task, file)
        except AudioError as error:
            named = str(error).startswith(str(file))
            raise AudioError(str(error) if named else f"{file}: {error}") from error
        yield file, found


def _is_long(file: Path) -> bool:
    """Whether a file may hold hours, so that it is better not read whole."""
    if not file.is_file():
        return False
    with open_file(file) as opened:
        compressed = opened.read(len(_RIFF)) != _RIFF
    whole = RecognitionLimits().max_audio_bytes
    most = _MOST_COMPRESSED_BYTES if compressed else whole
    return file.stat().st_size > most


def _in_blocks(task: Task, file: Path) -> Any:
    """Recognises what is said in a long file."""
    if task.takes_blocks:
        rate_hz, blocks = read_blocks(file)
        return task.transcribe_blocks(blocks, rate_hz)
    task.limits.check("max_audio_bytes", file.stat().st_size, AudioError)
    return task.transcribe(*read_audio(file))


def _plain(found: Any) -> Any:
    """A named tuple, and those inside, as JSON objects."""
    if hasattr(found, "_asdict"):
        return {name: _plain(value) for name, value in found._asdict().items()}
    if isinstance(found, tuple):
        return [_plain(each) for each in found]
    return found


def main(arguments: Sequence[str]) -> None:
    """Prints a line per file, all as JSON, or the subtitles of a file."""
    parser = Parser("transcribe", "Says what is said in audio files.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help=f"{FORMATS}, of any rate"
    )
    add_stream(parser, "a causal recogniser or one of single words")
    parser.add_json()
    parser.add_argument(
        "--subtitles",
        choices=SUBTITLES,
        help="print the subtitles of FILE, by a recogniser of connected speech",
    )
    add_language_model(parser)
    given = parser.parse_args(arguments)
    asked = (given.run_dir, given.files, getattr(given, "language_model", None))
    if "stream" in given:
        others = {"json", "subtitles", "language_model"} & set(vars(given))
        if others or len(given.files) > 1:
            raise SpecError(
                "--stream is of one FILE, without --json, --subtitles and "
                "--language-model"
            )
        print_stream(given.files[0], functools.partial(stream, given.run_dir))
        return
    if "subtitles" in given:
        if len(given.files) > 1 or "json" in given:
            raise SpecError("--subtitles are of one FILE, and without --json")
        ((_, found),) = _recognize(*asked)
        if not hasattr(found, "segments"):
            raise RunError(
                f"{given.run_dir} holds a recogniser of single words, which have no "
                "times: leave out --subtitles"
            )
        print(format_subtitles(found.segments, given.subtitles), end="")
        return
    if "json" in given:
        print_json({"files": list(run(*asked))})
        return
    for file, (text, probability, *_) in _recognize(*asked):
        print(f"{file}\t{text}\t{probability:.3f}")


if __name__ == "__main__":
    run_command(main)
