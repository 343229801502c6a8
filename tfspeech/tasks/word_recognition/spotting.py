"""Keyword spotting: words in speech that goes on, by windows of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfspeech.tasks.word_recognition.server import UNKNOWN

SILENCE = "silence"
"""The label of what is no speech."""

WINDOW_HOPS, HOP_S = 6, 0.1
_SMOOTHED = 3
_SILENCE_DB = -50.0
_UNKNOWN, _SILENT = -1, -2
_OTHERS = {_UNKNOWN: UNKNOWN, _SILENT: SILENCE}


class Heard(NamedTuple):
    """Word, or none, that is heard from a moment on.

    Attributes:
        label: A word, `UNKNOWN` or `SILENCE`.
        time_s: When that was known, from the start.
        probability: Of the best word, a mean over windows; 0 in silence.
    """

    label: str
    time_s: float
    probability: float


class Windows(NamedTuple):
    """Answers of a recogniser to windows, one every 0.1 s.

    Attributes:
        probabilities: Of the labels, means over three windows, float32 [windows,
            labels].
        is_silent: Whether no tenth of a second is louder than -50 dB of full scale,
            bool [windows].
    """

    probabilities: np.ndarray
    is_silent: np.ndarray


class Spotter:
    """Recogniser of single words on windows of 0.6 s.

    The probabilities of three windows are averaged; the best word is heard from when it
    reaches a threshold until it falls below it, or another one is better. Source: Chen
    et al. 2014, "Small-footprint keyword spotting using deep neural networks".

    Args of the constructor:
        recognize: (waveforms [batch, samples], lengths) -> probabilities of the labels.
        labels: The words.
        sample_rate_hz: Of the waveforms.
    """

    def __init__(
        self,
        recognize: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        labels: Sequence[str],
        sample_rate_hz: int,
    ) -> None:
        self._labels = tuple(labels)
        self._hop = round(HOP_S * sample_rate_hz)
        size = WINDOW_HOPS * self._hop

        def score(windows: tf.Tensor) -> tf.Tensor:
            return recognize(windows, tf.fill(tf.shape(windows)[:1], size))

        spec = [tf.TensorSpec([None, size], tf.float32)]
        self._score = tf.function(score, spec, autograph=False)

    def windows(self, chunks: Iterable[np.ndarray]) -> Iterator[Windows]:
        """Scores windows while their samples come.

        Args:
            chunks: float32 [samples] in [-1, 1], of any size; silence lies before and
                behind them.

        Yields:
            The windows that end in each chunk, at least one.
        """
        hop, more = self._hop, (WINDOW_HOPS - 1) * self._hop
        silence = waiting = np.zeros(more, np.float32)
        before = np.zeros((_SMOOTHED - 1, len(self._labels)), np.float32)
        for chunk in itertools.chain(chunks, [silence]):
            waiting = np.concatenate([waiting, chunk])
            count = (len(waiting) - more) // hop
            if count < 1:
                continue
            used = waiting[: more + count * hop]
            waiting = waiting[count * hop :]
            found = self._scored(used)
            scores = np.concatenate([before, found.probabilities])
            before = scores[count:]
            parts = [scores[n : n + count] for n in range(_SMOOTHED)]
            yield found._replace(probabilities=np.mean(parts, axis=0))

    def listen(self, chunks: Iterable[np.ndarray], threshold: float) -> Iterator[Heard]:
        """Says what is heard, whenever that changes.

        Args:
            chunks: See `windows`.
            threshold: The probability from which a word is heard.
        """
        count, last = 0, _SILENT
        for windows in self.windows(chunks):
            states = heard_states(windows, threshold)
            changed = states != np.append(last, states[:-1])
            for place in np.flatnonzero(changed):
                state = states[place]
                label = self._labels[state] if state >= 0 else _OTHERS[state]
                time_s = round((count + place + 1) * HOP_S, 1)
                probability = float(windows.probabilities[place].max())
                yield Heard(label, time_s, probability)
            count, last = count + len(states), states[-1]

    def _scored(self, samples: np.ndarray) -> Windows:
        """Scores the windows of float32 [samples], each by itself."""
        hops = samples.reshape(-1, self._hop)
        count = len(hops) - WINDOW_HOPS + 1
        windows = np.stack([hops[n : n + WINDOW_HOPS] for n in range(count)])
        energies = np.mean(windows**2, axis=2).max(axis=1)
        is_silent = energies < 10 ** (_SILENCE_DB / 10)
        scores = np.zeros((count, len(self._labels)), np.float32)
        if not is_silent.all():
            heard = windows[~is_silent].reshape(-1, WINDOW_HOPS * self._hop)
            scores[~is_silent] = self._score(heard).numpy()
        return Windows(scores, is_silent)


def heard_states(windows: Windows, threshold: float) -> np.ndarray:
    """Returns what is heard in windows, int [windows]: a label, or a number below 0."""
    best = windows.probabilities.max(axis=1)
    others = np.where(windows.is_silent, _SILENT, _UNKNOWN)
    return np.where(best >= threshold, windows.probabilities.argmax(axis=1), others)


def count_words(windows: Windows, threshold: float) -> int:
    """Returns how often a word is heard in windows that follow one another."""
    states = heard_states(windows, threshold)
    return int(np.sum((states >= 0) & (states != np.append(_SILENT, states[:-1]))))


def threshold_for(windows: Windows, alarms: float) -> float:
    """Returns the lowest threshold over which no more words are heard than asked for.

    Args:
        windows: Of speech without the words.
        alarms: The most words that may be heard.
    """
    best = np.unique(windows.probabilities.max(axis=1))[::-1]
    found = np.nextafter(best[0], np.float32(2))
    for threshold in best:
        if count_words(windows, threshold) > alarms:
            break
        found = threshold
    return float(found)
