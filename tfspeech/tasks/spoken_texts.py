"""Sentences without recordings, which a teacher speaks as more training examples."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfspeech.console import progress, say
from tfspeech.data.cache import ArrayWriter, CheckedStore, open_or_make
from tfspeech.errors import SpecError, TextError
from tfspeech.files import cache_folder, load_arrays, read_texts
from tfspeech.tasks.conditions import PITCH
from tfspeech.tasks.parallel_tts.data import SpokenSentences
from tfspeech.tasks.parallel_tts.task import ParallelSynthesis
from tfspeech.tasks.pinned import pinned_path, run_digest
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.task import Data, RunConfig
from tfspeech.text.linguistic import encode_segments

_FORMAT_VERSION = 1  # Of the cache; a change of what is kept must raise it.
_FRAMES, _INDEX = "frames.f32", "index.npz"


def with_spoken_texts(config: RunConfig, data: Data) -> Data:
    """The data of a training run, with the sentences of its text as its teacher speaks.

    Source: Kim and Rush 2016, "Sequence-Level Knowledge Distillation" (arXiv
    1606.07947), for translation.

    Args:
        config: Of the run, with a text, whose teacher `check_teacher` has checked.
        data: Of the run, which stays as it is.

    Raises:
        RunError: The teacher cannot be read.
        SpecError: It predicts no pitch, which the model of the run learns from.
        TextError: There is no text, or a sentence that it cannot speak.
        CorpusError: The cache cannot be written.
    """
    path = pinned_path(config.data.unlabelled)
    run_dir = pinned_path(config.training.teacher)
    _, teacher = load_task(run_dir)
    if "prosody" in teacher.model.signature and PITCH not in teacher.conditions:
        raise SpecError(
            f"{run_dir} predicts no pitch of frames, which --unlabelled needs for "
            f"{config.model}: train both with --target lpc"
        )
    changed = copy.copy(data)
    changed.spoken = _spoken(teacher, path, run_digest(run_dir))
    return changed


def _spoken(
    teacher: ParallelSynthesis, path: Path, fingerprint: str
) -> SpokenSentences:
    """Speaks the sentences of a file, or finds them in the cache."""
    texts = read_texts(path)

    def speak(row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        try:
            segments = encode_segments(teacher.front_end, texts[row])
            # One by one: another batch would change the last bits.
            (speech,) = teacher.speak([texts[row]])
        except TextError as error:
            raise TextError(f"{path}, sentence {row + 1}: {error}") from error
        return segments, speech.alignment.sum(axis=0).astype("i4"), speech.frames

    def open_entry(folder: Path) -> SpokenSentences:
        arrays = load_arrays(folder / _INDEX)
        columns = [arrays[name] for name in ("starts", "lengths", "checksums")]
        frames = CheckedStore(
            *(folder / _FRAMES, *columns, lambda row: speak(row)[2]),
            (teacher.features.frame_dim,),
        )
        ends = np.cumsum(arrays["counts"])[:-1]
        timings = (np.split(arrays[name], ends) for name in ("segments", "durations"))
        return SpokenSentences(list(zip(*timings, strict=True)), frames)

    def fill(folder: Path) -> bool:
        say(f"speaking {len(texts)} sentences of {path}, once, to the cache")
        timings: list[Sequence[np.ndarray]] = []
        with (
            (folder / _FRAMES).open("wb") as file,
            progress(len(texts), "Speaking", "sentence") as bar,
        ):
            writer = ArrayWriter(file, len(texts))
            for row in range(len(texts)):
                *timing, frames = speak(row)
                timings.append(timing)
                writer.write(row, frames)
                bar.update()
        segments, durations = map(np.concatenate, zip(*timings, strict=True))
        counts = np.array([len(each) for each, _ in timings])
        np.savez(
            folder / _INDEX,
            **writer.columns,
            segments=segments,
            durations=durations,
            counts=counts,
        )
        return True

    key = repr((_FORMAT_VERSION, fingerprint, texts)).encode()
    name = f"spoken-{hashlib.sha256(key).hexdigest()[:32]}"
    return open_or_make(cache_folder() / name, open_entry, fill)
