"""The part of a recogniser's graph that takes audio, whatever it recognises."""

from __future__ import annotations

import abc
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.decode import decode_wav
from tfspeech.audio.encode import encode_wav
from tfspeech.audio.resample import resample
from tfspeech.audio.samples import sample_problems
from tfspeech.tasks.limits import RecognitionLimits


class AudioServer(tf.Module, abc.ABC):
    """A module of TensorFlow's own operations whose signatures take audio.

    A row whose samples are not finite has an `error` and an empty answer, so that the
    other requests of a server's batch are answered. Where no row could be answered,
    which is so if such a row comes alone, the request is refused.

    Args of the constructor:
        model: Whose weights go with it.
        sample_rate_hz: Of the waveforms.
        limits: Of requests.
        name: Of the module.
    """

    def __init__(
        self,
        model: keras.Model,
        sample_rate_hz: int,
        limits: RecognitionLimits,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self._rate_hz = sample_rate_hz
        self._limits = limits
        # Keras hides its variables from TensorFlow's tracking; the export needs them.
        self._weights = [v.value for v in model.variables]

    @abc.abstractmethod
    def answer(
        self, waveform: tf.Tensor, lengths: tf.Tensor, valid: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Recognises audio.

        Args:
            waveform: float32 [batch, samples].
            lengths: int32 [batch], in samples.
            valid: bool [batch]; the other rows are silent, and get an empty answer.
        """

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
        samples = int(min(1.0, self._limits.max_seconds) * self._rate_hz)
        noise = np.random.default_rng(0).normal(0.0, 0.1, samples)
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
        return {"sample_rate_hz": self._rate_hz}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.float32, name="waveform"),
            tf.TensorSpec([None], tf.int32, name="waveform_length"),
        ]
    )
    def recognize(
        self, waveform: tf.Tensor, waveform_length: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Recognises what is said in each row.

        Args:
            waveform: float32 [batch, samples] in [-1, 1], at the model's rate.
            waveform_length: int32 [batch], in samples; what is beyond has no influence.

        Returns:
            What `answer` returns; and `error` string [batch], why a row was not
            answered, or empty.

        Raises:
            tf.errors.InvalidArgumentError: There are too many samples, a length is
                negative or beyond the samples, or every row has samples that are not
                finite.
        """
        waveform = self.checked(waveform, waveform_length)
        problems = sample_problems(waveform, waveform_length)
        return self._answer(waveform, waveform_length, problems)

    def checked(self, waveform: tf.Tensor, waveform_length: tf.Tensor) -> tf.Tensor:
        """Returns the samples of a request when their numbers are in range."""
        samples = tf.shape(waveform)[1]
        checks = [
            self._limits.check_in_graph("max_seconds", samples, self._rate_hz),
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
            return tf.identity(waveform)

    def _answer(
        self, waveform: tf.Tensor, lengths: tf.Tensor, problems: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Recognises what has no problem; see `recognize`.

        Args:
            waveform: float32 [batch, samples].
            lengths: int32 [batch].
            problems: See `sample_problems`; string [batch].
        """
        fine = problems == ""
        first = tf.strings.join(["row 0: ", problems[0]])
        check = tf.debugging.Assert(tf.reduce_any(fine), [first])
        with tf.control_dependencies([check]):
            # What is not a number stays so when it is multiplied by 0.
            waveform = tf.where(fine[:, tf.newaxis], waveform, 0.0)
        return self.answer(waveform, lengths, fine) | {"error": problems}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="audio_bytes")])
    def transcribe_bytes(self, audio_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Recognises what is said in each wav file, of any sample format.

        Args:
            audio_bytes: string [batch], complete files.

        Returns:
            As `recognize`.

        Raises:
            tf.errors.InvalidArgumentError: A string is no complete wav file, or beyond
                a limit, or every file has samples that are not finite.
        """
        longest = tf.reduce_max(tf.strings.length(audio_bytes))
        check = self._limits.check_in_graph("max_audio_bytes", longest)
        with tf.control_dependencies([check]):
            audio_bytes = tf.identity(audio_bytes)
        ragged = tf.RaggedTensorSpec([1, None], tf.float32, 1)
        waveforms, problems = tf.map_fn(
            self._load,
            audio_bytes,
            fn_output_signature=(ragged, tf.TensorSpec([], tf.string)),
            parallel_iterations=1,  # What a file takes is taken once.
        )
        waveforms = waveforms.merge_dims(0, 1)
        lengths = tf.cast(waveforms.row_lengths(), tf.int32)
        return self._answer(waveforms.to_tensor(), lengths, problems)

    def _load(self, contents: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """Decodes a wav file at the model's rate.

        Returns:
            The waveform, [1, samples], and the problem with it; see `sample_problems`.
        """
        limits = self._limits
        waveform, rate_hz = decode_wav(contents)
        checks = [
            limits.check_in_graph("min_rate_hz", rate_hz),
            limits.check_in_graph("max_rate_hz", rate_hz),
            limits.check_in_graph("max_seconds", tf.size(waveform), rate_hz),
        ]
        with tf.control_dependencies(checks):
            waveform = tf.identity(waveform)[tf.newaxis]
        (problem,) = tf.unstack(sample_problems(waveform, tf.shape(waveform)[1:]), 1)
        waveform = resample(waveform, rate_hz, self._rate_hz)
        return tf.RaggedTensor.from_tensor(waveform), problem
