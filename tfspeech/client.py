"""`python -m tfspeech.client`: has a TF Serving transcribe files or speak texts."""

from __future__ import annotations

import argparse
import functools
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfspeech.audio.decode import FORMATS
from tfspeech.audio.encode import PAUSE_S, write_pieces
from tfspeech.config import number
from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.errors import ServerError, SpecError
from tfspeech.flags import add_ssml, add_stream
from tfspeech.pcm import print_stream, read_pcm
from tfspeech.serving.client import RemoteModel, wav_contents
from tfspeech.serving.client.answers import Speech
from tfspeech.serving.client.connection import RETRIES, TIMEOUT_S, VERSION
from tfspeech.synthesize import output_paths, pieces_of_one
from tfspeech.tasks.conditions import CONDITIONS, add_conditions, given_conditions
from tfspeech.text.pieces import split_text


def transcribe(model: RemoteModel, files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Recognises what is said in each of some files, in a request each.

    Args:
        model: A recogniser.
        files: Of any format and rate that `read_audio` knows.

    Yields:
        Per file its `file`, `label`, `probability` and `scores` (label: probability);
        or `file`, `text` and `confidence`, if the model knows connected speech.

    Raises:
        AudioError: A file cannot be decoded.
        OSError: A file cannot be read.
        ServerError: The server does not answer, or refuses a file.
    """
    contents = [wav_contents(file) for file in files]  # Before anything is sent.
    for file, each in zip(files, contents, strict=True):
        try:
            (heard,) = model.transcribe([each])
        except ServerError as error:
            raise ServerError(f"{file}: {error}") from error
        if heard.error:  # The server has made a batch of this and other requests.
            raise ServerError(f"{file}: {heard.error}")
        yield {"file": str(file), **heard.to_json()}


class Spoken(NamedTuple):
    """A text that a server spoke, or a piece of a long one.

    Attributes:
        waveform: float32 [samples] in [-1, 1].
        sample_rate_hz: Its rate.
        stopped: Whether the model itself found the end; some always do.
        last: Whether it is the last piece of its text.
        seconds: From the request to the answer.
    """

    waveform: np.ndarray
    sample_rate_hz: int
    stopped: bool
    last: bool
    seconds: float


def synthesize(
    model: RemoteModel, texts: Sequence[str], ssml: bool = False, **conditions: float
) -> Iterator[Spoken]:
    """Speaks texts, in a request each; what is beyond the model's limits in several.

    Args:
        model: A synthesiser.
        texts: English.
        ssml: Whether texts are documents of SSML; see `RemoteModel.synthesize_ssml`.
        **conditions: See `RemoteModel.synthesize`.

    Raises:
        TextError: A text has a symbol that is unknown, nothing to say, or is no SSML.
        SpecError: The model does not have one of the conditions.
        ServerError: The server does not answer, or refuses a text.
    """
    speak = model.synthesize_ssml if ssml else functools.partial(_speak, model)
    started = time.perf_counter()
    for speech in speak(texts, **conditions):
        yield Spoken(*speech, seconds=time.perf_counter() - started)
        started = time.perf_counter()


def _speak(
    model: RemoteModel, texts: Sequence[str], **conditions: float
) -> Iterator[Speech]:
    """Speaks texts, in pieces that the limits of the model allow."""
    max_bytes = model.limits.get("max_text_bytes", math.inf)
    for text in texts:
        pieces = split_text(text, max_bytes)
        for place, piece in enumerate(pieces, 1):
            (speech,) = model.synthesize([piece], **conditions)
            yield speech._replace(last=place == len(pieces))


def main(arguments: Sequence[str]) -> None:
    """Prints a line per file, or writes wav files."""
    given = _parser().parse_args(arguments)
    conditions = given_conditions(given)
    settings = {
        name: getattr(given, name)
        for name in ("version", "timeout_s", "retries")
        if name in given
    }
    others = conditions or {"json", "output", "ssml"} & set(vars(given))
    if "stream" in given and (len(given.inputs) > 1 or others):
        raise SpecError(
            "--stream is of one FILE, without --json and without flags of speech"
        )
    with RemoteModel(given.url, given.model, **settings) as model:
        if "stream" in given:
            print_stream(
                Path(given.inputs[0]),
                lambda source: model.transcribe_stream(read_pcm(source)),
            )
            return
        answer = _print_words if model.recognizes else _write_speech
        report = answer(model, given, **conditions)
    if "json" in given:
        print_json({"files": report})


def _print_words(
    model: RemoteModel, given: argparse.Namespace, **conditions: float
) -> list[dict[str, Any]]:
    flags = [c.flag for c in CONDITIONS if c.name in conditions]
    flags += [name for name in ("output", "ssml") if name in given]
    for flag in flags:
        raise SpecError(f"{model.name} does not speak: leave out --{flag}")
    report = []
    for each in transcribe(model, [Path(name) for name in given.inputs]):
        report.append(each)
        if "json" not in given:
            file, said, probability, *_ = each.values()
            print(f"{file}\t{said}\t{probability:.3f}")
    return report


def _write_speech(
    model: RemoteModel, given: argparse.Namespace, **conditions: float
) -> list[dict[str, Any]]:
    output = getattr(given, "output", Path("speech.wav"))
    paths = output_paths(output, len(given.inputs))
    ssml = "ssml" in given
    answers = synthesize(model, given.inputs, ssml, **conditions)
    pause_s = 0.0 if ssml else PAUSE_S  # Documents say which breaks they have.
    report = []
    for path, text in zip(paths, given.inputs, strict=True):
        seen: list[Spoken] = []
        length_s = write_pieces(path, pieces_of_one(answers, seen), pause_s)
        seconds = sum(piece.seconds for piece in seen)
        stopped = all(piece.stopped for piece in seen)
        report.append(
            {
                "file": str(path),
                "text": text,
                "seconds": round(length_s, 3),
                "request_seconds": round(seconds, 4),
                "stopped": stopped,
            }
        )
        say(
            f"{path}: {length_s:.2f} s of speech after {seconds:.2f} s"
            + ("" if stopped else "; it did not find the end")
        )
    return report


def _parser() -> Parser:
    parser = Parser("client", "Has a TF Serving transcribe files or speak texts.")
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="FILE|TEXT",
        help=f"for a recogniser files, {FORMATS}, of any rate; for a synthesiser texts",
    )
    parser.add_argument(
        "--url",
        required=True,
        help="http://HOST:8501 for REST, grpc://HOST:8500 for gRPC",
    )
    parser.add_argument(
        "--model", required=True, metavar="NAME", help="its name on the server"
    )
    parser.add_argument(
        "--model-version",
        dest="version",
        type=number(int, VERSION),
        metavar="N",
        help="one of several versions that are served (default: the server's choice)",
    )
    parser.add_argument(
        "--timeout",
        dest="timeout_s",
        type=number(float, TIMEOUT_S),
        metavar="SECONDS",
        help="how long a request may take (default: 60)",
    )
    parser.add_argument(
        "--retries",
        type=number(int, RETRIES),
        metavar="N",
        help="how often a request is sent again while the server is unavailable, after "
        "waits that double from 0.1 s on (default: 4)",
    )
    add_stream(parser, "a causal recogniser")
    add_ssml(parser, "TEXT")
    add_conditions(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.wav",
        help="speech goes there; FILE_1.wav and so on for several texts "
        "(default: speech.wav)",
    )
    parser.add_json()
    return parser


if __name__ == "__main__":
    run_command(main)
