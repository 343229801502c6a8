"""`python -m benchmarks.digits SPEAKER LISTENER`: are synthetic digits understood?

SPEAKER is the run of a synthesiser trained on `reader`, LISTENER that of a recogniser
trained on `spoken_digits`, which has not heard the reader's voice.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import librosa
import numpy as np
import tensorflow as tf

from benchmarks.timing import print_table
from tfspeech.audio.resample import resample
from tfspeech.data.corpora.reader import RATE_WPM, VOICE
from tfspeech.data.espeak import SpokenText
from tfspeech.data.spoken_words import DIGITS
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.speech.task import Speech, SpeechTask
from tfspeech.text.phonemes import PAUSE

LISTS, DIGITS_PER_LIST = 40, 4
ENDINGS = (".", "", "!", "?", ",")
_SILENCE_DB = 40

Reading = Callable[[str], list[np.ndarray]]
"""Reads a text aloud; returns the waveform of each of its words."""


def digits_understood(speaker: Path, listener: Path) -> dict[str, float]:
    """Shares of digits that a recogniser names.

    Args:
        speaker: The run of a synthesiser.
        listener: The run of a recogniser of `0` to `9`.

    Returns:
        By who speaks (`synthesis`, or the true `reader`) and how: digits `in lists` of
        four, as in the corpus, each cut out and heard alone; and digits that are spoken
        `alone`, which the corpus never does.
    """
    config, recognition = load_task(listener)
    rate_hz = config.features.sample_rate_hz

    def understood(read: Reading, texts: list[tuple[str, list[str]]]) -> float:
        found = [
            _heard(recognition, word, rate_hz) == label
            for text, labels in texts
            for word, label in zip(read(text), labels, strict=True)
        ]
        return float(np.mean(found))

    readers = {
        "synthesis": _synthetic_reader(speaker, rate_hz),
        "reader": lambda text: _true_words(text, rate_hz),
    }
    return {
        f"{name}, {how}": understood(read, texts)
        for how, texts in (("in lists", list(_lists())), ("alone", list(_alone())))
        for name, read in readers.items()
    }


def _lists() -> Iterator[tuple[str, list[str]]]:
    rng = random.Random(0)  # noqa: S311
    for _ in range(LISTS):
        labels = rng.sample(list(DIGITS), DIGITS_PER_LIST)
        yield ", ".join(DIGITS[label] for label in labels) + ".", labels


def _alone() -> Iterator[tuple[str, list[str]]]:
    for label, word in DIGITS.items():
        for ending in ENDINGS:
            yield word + ending, [label]


def _synthetic_reader(speaker: Path, rate_hz: int) -> Reading:
    config, task = load_task(speaker)
    features = config.features

    def read(text: str) -> list[np.ndarray]:
        (speech,) = task.speak([text])
        waveform = task.waveform(speech.frames)
        spoken = _spoken_words(task, text, speech)
        furthest = np.maximum.accumulate(spoken)
        bounds = [0]
        for word in range(1, spoken.max() + 1):
            # In the middle of the pause; a word that is skipped is empty.
            start = int(np.count_nonzero(furthest < word))
            before = np.flatnonzero(spoken[:start] >= 0)
            bounds.append((start + before[-1] + 1) // 2 if before.size else start)
        bounds = [*(bound * features.hop_length for bound in bounds), len(waveform)]
        return _pieces(waveform, bounds, features.sample_rate_hz, rate_hz)

    return read


def _spoken_words(task: SpeechTask, text: str, speech: Speech) -> np.ndarray:
    """The word that each frame says, counted from 0, -1 for none, int [frames]."""
    steps, symbols = speech.alignment.shape
    words = task.front_end.words(text)
    # There may be a silence before the first symbol.
    words = np.append(np.full(symbols - len(words), -1), words)
    spoken = words[speech.alignment.argmax(axis=1)]
    return np.repeat(spoken, len(speech.frames) // steps)


def _true_words(text: str, rate_hz: int) -> list[np.ndarray]:
    spoken = SpokenText(text, VOICE, RATE_WPM)
    waveform, native_hz, phonemes = spoken.render_with_phonemes()
    bounds = [
        int((each.start_s + each.end_s) / 2 * native_hz)
        for each in phonemes[1:-1]
        if each.phoneme == PAUSE
    ]
    return _pieces(waveform, [0, *bounds, len(waveform)], native_hz, rate_hz)


def _pieces(
    waveform: np.ndarray, bounds: list[int], from_hz: int, to_hz: int
) -> list[np.ndarray]:
    """Returns the part between the bounds, without silence around, at another rate."""
    pieces = []
    for start, end in itertools.pairwise(bounds):
        piece = waveform[start:end]
        if piece.any():
            piece, _ = librosa.effects.trim(piece, top_db=_SILENCE_DB)
            piece = resample(tf.constant(piece), from_hz, to_hz).numpy()
        pieces.append(piece)
    return pieces


def _heard(recognition: object, waveform: np.ndarray, rate_hz: int) -> str:
    margin = np.zeros(rate_hz // 50, np.float32)  # As in `spoken_digits`.
    waveform = np.concatenate([margin, waveform, margin])[np.newaxis]
    scores = recognition.recognize(waveform, np.array([waveform.shape[1]], np.int32))
    return recognition.labels[int(tf.argmax(scores[0]))]


if __name__ == "__main__":
    shares = digits_understood(Path(sys.argv[1]), Path(sys.argv[2]))
    print_table(
        "digits understood", {name: f"{share:.1%}" for name, share in shares.items()}
    )
