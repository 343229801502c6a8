"""`python -m tfspeech.synthesize`: speaks texts with a trained model."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfspeech.audio.encode import encode_wav
from tfspeech.console import Parser, print_json, run_command, say
from tfspeech.errors import RunError, SpecError, TextError
from tfspeech.tasks.attention_tts.run import SynthesisRun
from tfspeech.tasks.parallel_tts.run import ParametricRun
from tfspeech.tasks.runs import load_task


class Spoken(NamedTuple):
    """A text that was spoken.

    Attributes:
        text: The text.
        waveform: float32 [samples].
        sample_rate_hz: Its rate.
        stopped: Whether the model itself found the end.
        seconds: What it took, from text to waveform.
        model_seconds: What that took without the vocoder.
    """

    text: str
    waveform: np.ndarray
    sample_rate_hz: int
    stopped: bool
    seconds: float
    model_seconds: float

    @property
    def length_s(self) -> float:
        """How long the waveform is, in seconds."""
        return len(self.waveform) / self.sample_rate_hz

    @property
    def real_time_factor(self) -> float:
        """What it took, as a share of that."""
        return self._share(self.seconds)

    @property
    def model_real_time_factor(self) -> float:
        """What it took without the vocoder, as a share of that."""
        return self._share(self.model_seconds)

    def _share(self, seconds: float) -> float:
        # One frame alone is between no samples.
        return seconds / max(self.length_s, 1 / self.sample_rate_hz)


def run(
    run_dir: Path, texts: Sequence[str], rate: float = 1.0, semitones: float = 0.0
) -> Iterator[Spoken]:
    """Speaks texts, one after the other.

    Args:
        run_dir: A run with a trained model.
        texts: English.
        rate: 2 is twice as fast as the speaker, for models that predict durations.
        semitones: Above the speaker's own pitch, for models that predict it.

    Raises:
        RunError: There is no trained model, or it does not speak.
        SpecError: The model cannot speak faster or higher.
        TextError: A text has a symbol that is unknown, or none at all.
    """
    config, task = load_task(run_dir)
    if not isinstance(config, SynthesisRun | ParametricRun):
        raise RunError(f"{run_dir} holds a run of {config.model}, which does not speak")
    prosody = {}
    if (rate, semitones) != (1.0, 0.0):
        if not isinstance(config, ParametricRun):
            raise SpecError(
                f"{config.model} predicts neither durations nor pitch; leave out "
                "--rate and --pitch"
            )
        prosody = {"rate": rate, "semitones": semitones}
    for text in texts:
        task.front_end.encode(text)  # Before anything is spoken.
    for text in texts[:1]:  # The first call compiles, which is not to count.
        task.waveform(task.speak([text], **prosody)[0].frames)
    for text in texts:
        started = time.perf_counter()
        (speech,) = task.speak([text], **prosody)
        model_seconds = time.perf_counter() - started
        waveform = task.waveform(speech.frames)
        seconds = time.perf_counter() - started
        yield Spoken(
            text,
            waveform,
            config.features.sample_rate_hz,
            speech.stopped,
            seconds,
            model_seconds,
        )


def read_texts(path: Path) -> list[str]:
    """Reads a text per line; empty lines are left out.

    Raises:
        TextError: There is none.
        OSError: The file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise TextError(f"{path} is no UTF-8 text: {error}") from error
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise TextError(f"{path} holds no text")
    return texts


def output_paths(output: Path, count: int) -> list[Path]:
    """Where several texts go: `x.wav`, or `x_1.wav` and so on."""
    if count == 1:
        return [output]
    return [
        output.with_stem(f"{output.stem}_{number}") for number in range(1, count + 1)
    ]


def main(arguments: Sequence[str]) -> None:
    """Writes wav files, or one to standard output."""
    parser = Parser("tfspeech.synthesize", "Speaks texts with a trained model.")
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
    parser.add_argument(
        "--rate",
        type=float,
        metavar="FACTOR",
        help="2 for twice as fast as the speaker; models with durations (default: 1)",
    )
    parser.add_argument(
        "--pitch",
        type=float,
        metavar="SEMITONES",
        help="above the speaker's own pitch; models of linear prediction (default: 0)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    texts = list(getattr(given, "texts", ()))
    if ("file" in given) == bool(texts):
        raise SpecError("give either TEXT or --file")
    if "file" in given:
        texts = read_texts(given.file)
    output = getattr(given, "output", "speech.wav")
    if output == "-" and (len(texts) > 1 or "json" in given):
        raise SpecError("--output - takes one text, and no --json")
    paths = output_paths(Path(output), len(texts))
    prosody = getattr(given, "rate", 1.0), getattr(given, "pitch", 0.0)
    report = []
    for path, spoken in zip(paths, run(given.run_dir, texts, *prosody), strict=True):
        contents = encode_wav(spoken.waveform, spoken.sample_rate_hz)
        if output == "-":
            sys.stdout.buffer.write(contents)
        else:
            path.write_bytes(contents)
        report.append(
            {
                "file": str(path),
                "text": spoken.text,
                "seconds": round(spoken.length_s, 3),
                "real_time_factor": round(spoken.real_time_factor, 4),
                "model_real_time_factor": round(spoken.model_real_time_factor, 4),
                "stopped": spoken.stopped,
            }
        )
        say(
            f"{path}: {spoken.length_s:.2f} s of speech in {spoken.seconds:.2f} s, "
            f"real-time factor {spoken.real_time_factor:.3f} "
            f"({spoken.model_real_time_factor:.3f} without the vocoder)"
            + ("" if spoken.stopped else "; it did not find the end")
        )
    if "json" in given:
        print_json({"files": report})


if __name__ == "__main__":
    run_command(main)
