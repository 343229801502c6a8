"""The graph of a recogniser that TF Serving runs: audio in, words out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfspeech.tasks.audio_server import AudioServer
from tfspeech.tasks.limits import RecognitionLimits

UNKNOWN = "unknown"
"""The label of what is none of the words."""


class RecognitionServer(AudioServer):
    """Features, model and labels as one module of TensorFlow's own operations.

    Args of the constructor:
        model: Whose weights go with it.
        recognize: (waveforms, lengths) -> probabilities, of `WordRecognition`.
        labels: The words, in the order of the probabilities.
        sample_rate_hz: Of the waveforms.
        limits: Of requests.
        unknown_below: The probability of the best word under which it is `UNKNOWN`.
    """

    def __init__(
        self,
        model: keras.Model,
        recognize: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        labels: Sequence[str],
        sample_rate_hz: int,
        limits: RecognitionLimits,
        unknown_below: float = 0.0,
    ) -> None:
        super().__init__(model, sample_rate_hz, limits, "recognition_server")
        self._recognize = recognize
        self._words = tuple(labels)
        self._labels = tf.constant(labels)
        self._unknown_below = unknown_below

    @property
    def metadata(self) -> dict[str, Any]:
        """Properties of the model that its signatures do not tell a client."""
        return super().metadata | {"labels": list(self._words)}

    def answer(
        self, waveform: tf.Tensor, lengths: tf.Tensor, valid: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Recognises one word per row.

        Args:
            waveform: float32 [batch, samples].
            lengths: int32 [batch], in samples.
            valid: bool [batch]; the other rows have the label "" and scores of 0.

        Returns:
            `scores` float32 [batch, labels], probabilities; `labels` string [batch,
            labels], the same in every row, because servers split outputs by rows; and
            `label` string [batch], the most probable, or `UNKNOWN`.
        """
        scores = self._recognize(waveform, lengths)
        label = tf.gather(self._labels, tf.argmax(scores, axis=1))
        is_known = tf.reduce_max(scores, axis=1) >= self._unknown_below
        label = tf.where(is_known, label, UNKNOWN)
        return {
            "scores": tf.where(valid[:, tf.newaxis], scores, 0.0),
            "labels": tf.tile(self._labels[tf.newaxis], [tf.shape(scores)[0], 1]),
            "label": tf.where(valid, label, ""),
        }
