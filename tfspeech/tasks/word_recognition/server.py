"""The graph of a recogniser that TF Serving runs: audio in, words out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.decode import decode_wav
from tfspeech.audio.encode import encode_wav
from tfspeech.audio.resample import resample


class RecognitionServer(tf.Module):
    """Features, model and labels as one module of TensorFlow's own operations.

    Args of the constructor:
        model: Whose weights go with it.
        recognize: (waveforms, lengths) -> probabilities, of `WordRecognition`.
        labels: The words, in the order of the probabilities.
        sample_rate_hz: Of the waveforms.
    """

    def __init__(
        self,
        model: keras.Model,
        recognize: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        labels: Sequence[str],
        sample_rate_hz: int,
    ) -> None:
        super().__init__(name="recognition_server")
        self._recognize = recognize
        self._rate_hz = sample_rate_hz
        # Keras hides its variables from TensorFlow's tracking; the export needs them.
        self._weights = [v.value for v in model.variables]
        self._words = tuple(labels)
        self._labels = tf.constant(labels)

    @property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        return {
            "serving_default": self.recognize.get_concrete_function(),
            "transcribe_bytes": self.transcribe_bytes.get_concrete_function(),
        }

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature: a second of noise."""
        noise = np.random.default_rng(0).normal(0.0, 0.1, self._rate_hz)
        waveform = noise.astype(np.float32)
        contents = np.array([encode_wav(waveform, self._rate_hz)], object)
        return {
            "serving_default": {
                "waveform": waveform[np.newaxis],
                "waveform_length": np.array([waveform.size], np.int32),
            },
            "transcribe_bytes": {"audio_bytes": contents},
        }

    @property
    def metadata(self) -> dict[str, Any]:
        """Properties of the model that its signatures do not tell a client."""
        return {"sample_rate_hz": self._rate_hz, "labels": list(self._words)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.float32, name="waveform"),
            tf.TensorSpec([None], tf.int32, name="waveform_length"),
        ]
    )
    def recognize(
        self, waveform: tf.Tensor, waveform_length: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Recognises one word per row.

        Args:
            waveform: float32 [batch, samples] in [-1, 1], at the model's rate.
            waveform_length: int32 [batch], in samples; what is beyond has no influence.

        Returns:
            `scores` float32 [batch, labels], probabilities; `labels` string [batch,
            labels], the same in every row, because servers split outputs by rows; and
            `label` string [batch], the most probable.

        Raises:
            tf.errors.InvalidArgumentError: A length is negative or beyond the samples.
        """
        samples = tf.shape(waveform)[1]
        checks = [
            tf.debugging.assert_non_negative(
                waveform_length, "waveform_length must not be negative"
            ),
            tf.debugging.assert_less_equal(
                waveform_length,
                samples,
                "waveform_length must not be more than the samples of waveform",
            ),
        ]
        with tf.control_dependencies(checks):
            scores = self._recognize(waveform, waveform_length)
        labels = tf.tile(self._labels[tf.newaxis], [tf.shape(scores)[0], 1])
        label = tf.gather(self._labels, tf.argmax(scores, axis=1))
        return {"scores": scores, "labels": labels, "label": label}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="audio_bytes")])
    def transcribe_bytes(self, audio_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Recognises one word per wav file, of any rate and sample format.

        Args:
            audio_bytes: string [batch], complete files.

        Returns:
            As `recognize`.

        Raises:
            tf.errors.InvalidArgumentError: A string is no complete wav file.
        """

        def load(contents: tf.Tensor) -> tf.Tensor:
            waveform, rate_hz = decode_wav(contents)
            waveform = resample(waveform, rate_hz, self._rate_hz)
            return tf.RaggedTensor.from_tensor(waveform[tf.newaxis])

        spec = tf.RaggedTensorSpec([1, None], tf.float32, 1)
        ragged = tf.map_fn(load, audio_bytes, fn_output_signature=spec)
        waveforms = ragged.merge_dims(0, 1)
        lengths = tf.cast(waveforms.row_lengths(), tf.int32)
        return self.recognize(waveforms.to_tensor(), lengths)
