"""The graph of a recogniser that TF Serving runs: audio in, text out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.ctc import Symbols
from tfspeech.tasks.audio_server import AudioServer
from tfspeech.tasks.limits import RecognitionLimits
from tfspeech.tasks.speech_recognition.streaming import Streaming
from tfspeech.tasks.speech_recognition.transcripts import Transcriber


class TranscriptionServer(AudioServer):
    """Features, model and symbols as one module of TensorFlow's own operations.

    Args of the constructor:
        model: Whose weights go with it.
        score: (waveforms, lengths) -> logits and their lengths, of
            `SpeechRecognition`.
        decode: (logits, lengths) -> symbols and confidences, likewise.
        reader: What `decode` reads with; its variables, if any, go with it.
        streaming: Of a causal model, which then has the signature `stream`.
        transcriber: Of the model's symbols.
        sample_rate_hz: Of the waveforms.
        limits: Of requests.
    """

    def __init__(
        self,
        model: keras.Model,
        score: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
        decode: Callable[[tf.Tensor, tf.Tensor], tuple[Symbols, tf.Tensor]],
        reader: Callable[[tf.Tensor, tf.Tensor], Symbols],
        streaming: Streaming | None,
        transcriber: Transcriber,
        sample_rate_hz: int,
        limits: RecognitionLimits,
    ) -> None:
        super().__init__(model, sample_rate_hz, limits, "transcription_server")
        self._score = score
        self._streaming = streaming
        self._decode = decode
        self._reader = reader
        self._names = transcriber.symbols
        self._separator = transcriber.separator
        self._symbols = tf.constant(transcriber.symbols)

    @property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        if self._streaming is None:
            return super().signatures
        specs = [
            tf.TensorSpec([None, None], tf.float32, name="waveform"),
            tf.TensorSpec([None], tf.int32, name="waveform_length"),
            tf.TensorSpec([None], tf.bool, name="is_last"),
            tf.TensorSpec([None, None], tf.float32, name="past"),
        ]
        stream = tf.function(self.stream, specs)
        return super().signatures | {"stream": stream.get_concrete_function()}

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature."""
        examples = super().examples
        if self._streaming is None:
            return examples
        past = np.zeros([1, self._streaming.past_size], np.float32)
        more = {"is_last": np.zeros(1, bool), "past": past}
        return examples | {"stream": examples["serving_default"] | more}

    @property
    def metadata(self) -> dict[str, Any]:
        """Properties of the model that its signatures do not tell a client."""
        known = super().metadata | {"symbols": list(self._names)}
        if self._streaming is None:
            return known
        return known | {"past_size": self._streaming.past_size}

    def stream(
        self,
        waveform: tf.Tensor,
        waveform_length: tf.Tensor,
        is_last: tf.Tensor,
        past: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Reads what a chunk of speech adds to a transcript; see `Streaming`.

        Args:
            waveform: float32 [batch, samples] in [-1, 1], at the model's rate.
            waveform_length: int32 [batch], in samples, which may be 0.
            is_last: Whether the speech ends with them, bool [batch].
            past: As returned for the chunk before, float32 [batch, `past_size`]; for
                the first one 0, of one column or of all.

        Returns:
            `transcript` string [batch], what is new, with a space before every word
            that begins; and the `past` of the next chunk.

        Raises:
            tf.errors.InvalidArgumentError: There are too many samples, a length is out
                of range, or a sample or the past is not finite, or the past is none.
        """
        waveform = self.checked(waveform, waveform_length)
        width, size = tf.shape(past)[1], self._streaming.past_size
        checks = [
            tf.debugging.Assert(
                (width == size) | ((width == 1) & tf.reduce_all(past == 0.0)),
                ["past must be what was returned for the chunk before, or 0"],
            ),
            tf.debugging.assert_all_finite(waveform, "waveform must be finite"),
            tf.debugging.assert_all_finite(past, "past must be finite"),
        ]
        with tf.control_dependencies(checks):
            past = tf.pad(past, [[0, 0], [0, size]])[:, :size]
        text, past = self._streaming(waveform, waveform_length, is_last, past)
        return {"transcript": text, "past": past}

    def answer(
        self, waveform: tf.Tensor, lengths: tf.Tensor, valid: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Transcribes every row.

        Args:
            waveform: float32 [batch, samples].
            lengths: int32 [batch], in samples.
            valid: bool [batch]; the other rows have the transcript "" and confidence 0.

        Returns:
            `transcript` string [batch]; and `confidence` float32 [batch], see `decode`.
        """
        logits, frames = self._score(waveform, lengths)
        read, confidence = self._decode(logits, frames)
        written = tf.ragged.map_flat_values(tf.gather, self._symbols, read.numbers)
        texts = tf.strings.reduce_join(written, axis=1, separator=self._separator)
        texts = tf.strings.strip(tf.strings.regex_replace(texts, " +", " "))
        return {
            "transcript": tf.where(valid, texts, ""),
            "confidence": tf.where(valid, confidence, 0.0),
        }
