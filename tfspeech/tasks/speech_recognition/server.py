"""The graph of a recogniser that TF Serving runs: audio in, text out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.ctc import Symbols, log_probabilities
from tfspeech.tasks.audio_server import AudioServer
from tfspeech.tasks.limits import RecognitionLimits
from tfspeech.tasks.speech_recognition.transcripts import Transcriber


class TranscriptionServer(AudioServer):
    """Features, model and symbols as one module of TensorFlow's own operations.

    Args of the constructor:
        model: Whose weights go with it.
        score: (waveforms, lengths) -> logits and their lengths, of
            `SpeechRecognition`.
        read: (logits, lengths) -> symbols.
        transcriber: Of the model's symbols.
        sample_rate_hz: Of the waveforms.
        limits: Of requests.
    """

    def __init__(
        self,
        model: keras.Model,
        score: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        read: Callable[[tf.Tensor, tf.Tensor], Symbols],
        transcriber: Transcriber,
        sample_rate_hz: int,
        limits: RecognitionLimits,
    ) -> None:
        super().__init__(model, sample_rate_hz, limits, "transcription_server")
        self._score = score
        self._read = read  # Its variables, if any, are tracked with it.
        self._names = transcriber.symbols
        self._separator = transcriber.separator
        self._symbols = tf.constant(transcriber.symbols)

    @property
    def metadata(self) -> dict[str, Any]:
        """Properties of the model that its signatures do not tell a client."""
        return super().metadata | {"symbols": list(self._names)}

    def answer(
        self, waveform: tf.Tensor, lengths: tf.Tensor, valid: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Transcribes every row.

        Args:
            waveform: float32 [batch, samples].
            lengths: int32 [batch], in samples.
            valid: bool [batch]; the other rows have the transcript "" and confidence 0.

        Returns:
            `transcript` string [batch]; and `confidence` float32 [batch], its
            probability.
        """
        logits, frames = self._score(waveform, lengths)
        numbers = self._read(logits, frames).numbers
        confidence = tf.exp(log_probabilities(logits, frames, numbers))
        written = tf.ragged.map_flat_values(tf.gather, self._symbols, numbers)
        texts = tf.strings.reduce_join(written, axis=1, separator=self._separator)
        texts = tf.strings.strip(tf.strings.regex_replace(texts, " +", " "))
        return {
            "transcript": tf.where(valid, texts, ""),
            "confidence": tf.where(valid, confidence, 0.0),
        }
