"""A recogniser of words as the judge of speech that other models make."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfspeech.audio.resample import resample
from tfspeech.tasks.task import WordJudgement

_AT_ONCE = 64

Listening = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""Waveforms [batch, samples] and lengths to probabilities and embeddings."""


class WordListener:
    """A trained recogniser of words; see `Listener`.

    Args of the constructor:
        listening: What it makes of waveforms at its rate.
        labels: The words, in the order of the probabilities.
        sample_rate_hz: Its rate.

    Attributes:
        labels: As given.
    """

    def __init__(
        self, listening: Listening, labels: Sequence[str], sample_rate_hz: int
    ) -> None:
        self.labels = labels
        self._rate_hz = sample_rate_hz
        self._listening = tf.function(listening, reduce_retracing=True)

    def __call__(self, clips: Sequence[np.ndarray], rate_hz: int) -> WordJudgement:
        """Recognises clips, each float32 [samples], of a rate of any kind."""
        heard = []
        for start in range(0, len(clips), _AT_ONCE):
            waveforms = [
                resample(tf.constant(clip), rate_hz, self._rate_hz).numpy()
                for clip in clips[start : start + _AT_ONCE]
            ]
            lengths = np.array([len(each) for each in waveforms], np.int32)
            padded = np.zeros((len(waveforms), lengths.max()), np.float32)
            for row, each in zip(padded, waveforms, strict=True):
                row[: len(each)] = each
            heard.append([found.numpy() for found in self._listening(padded, lengths)])
        return WordJudgement(*map(np.concatenate, zip(*heard, strict=True)))
