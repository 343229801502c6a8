"""Base of the tasks of all models that speak."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import Vocoder
from tfspeech.data.pipeline import Batch
from tfspeech.tasks.conditions import complete_conditions
from tfspeech.tasks.limits import SpeechLimits
from tfspeech.tasks.speech.judge import SpeechJudge
from tfspeech.tasks.task import ModelTask
from tfspeech.text.front_end import TextFrontEnd


@dataclasses.dataclass(frozen=True)
class Speech:
    """One utterance as it was synthesised.

    Attributes:
        frames: As of `acoustic_frames`, float32 [frames, frame_dim].
        alignment: How much each symbol of the text has to do with a frame or a decoder
            step, float32 [steps, symbols]; each row has the sum 1.
        stopped: Whether the model itself found the end.
    """

    frames: np.ndarray
    alignment: np.ndarray
    stopped: bool = True


class SpeechTask(ModelTask):
    """From texts to frames and to waveforms, and losses over frames.

    Args of the constructor:
        model: To `frames`.
        vocoder: From frames to waveforms.
        features: The frames.
        front_end: What reads texts.

    Attributes:
        features: The frames.
        front_end: What reads texts.
        vocoder: From frames to waveforms, compiled.
        vocoder_variables: Of the vocoder's model, if it has one.
        judge: Judges speech in evaluations, too; None for none.
        speaks_phrases: Whether conditions may change within an utterance; then
            `speak_phrases(phrases)` speaks one.
    """

    speaks = True
    speaks_phrases: ClassVar[bool] = False
    judge: SpeechJudge | None = None
    limits = SpeechLimits()

    def __init__(
        self,
        model: keras.Model,
        vocoder: Vocoder,
        features: AcousticConfig,
        front_end: TextFrontEnd,
    ) -> None:
        super().__init__(model)
        self.features = features
        self.front_end = front_end
        self.set_vocoder(vocoder)

    def set_vocoder(
        self, vocoder: Vocoder, variables: Sequence[keras.Variable] = ()
    ) -> None:
        """Has another vocoder make the waveforms.

        Args:
            vocoder: Of this task's frames.
            variables: Of its model, if it has one; exports have them beside the task's.
        """
        self.vocoder = compiled_vocoder(vocoder, self.features)
        self.vocoder_variables = tuple(variables)

    @property
    def predicted(self) -> slice:
        """Which of the values of a frame the model predicts; the others are 0."""
        return slice(0, self.features.frame_dim)

    @property
    def most_frames(self) -> int:
        """The frames of the longest speech that the limits allow."""
        features = self.features
        samples = self.limits.max_spoken_seconds * features.sample_rate_hz
        return int(samples / features.hop_length)

    @abc.abstractmethod
    def synthesize_texts(
        self, texts: Sequence[str], **conditions: float
    ) -> list[Speech]:
        """Speaks texts under all conditions of the task, which are in range."""

    def weight(self, batch: Batch) -> tf.Tensor:
        """The frames of a batch, a float32 scalar."""
        return tf.cast(tf.reduce_sum(batch["frame_lengths"]), tf.float32)

    def speak(self, texts: Sequence[str], **conditions: float) -> list[Speech]:
        """Speaks texts, as one batch.

        Args:
            texts: English.
            **conditions: Some of the task's `conditions`, by name.

        Raises:
            SpecError: The model lacks a condition, or a value is out of range.
            TextError: A text has a symbol that is unknown, or none at all.
        """
        name = self.model.name
        values = complete_conditions(name, self.conditions, conditions)
        for condition in self.conditions:
            condition.check(values[condition.name])
        return self.synthesize_texts(texts, **values)

    def waveform(self, frames: np.ndarray) -> np.ndarray:
        """Makes a waveform, float32 [samples], of frames [frames, frame_dim]."""
        return vocode(self.vocoder, [frames])[0]


def compiled_vocoder(vocoder: Vocoder, features: AcousticConfig) -> Vocoder:
    """Compiles a vocoder for frames of any number.

    Args:
        vocoder: From frames to waveforms.
        features: The frames.
    """
    frames = tf.TensorSpec([None, None, features.frame_dim])
    return tf.function(vocoder, [frames, tf.TensorSpec([None], tf.int32)])


def vocode(vocoder: Vocoder, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Makes waveforms, as one batch.

    Args:
        vocoder: From frames to waveforms.
        frames: Of each, float32 [frames, frame_dim].

    Returns:
        Each float32 [samples].
    """
    sizes = [len(each) for each in frames]
    padded = np.zeros((len(frames), max(sizes), frames[0].shape[1]), np.float32)
    for row, each in zip(padded, frames, strict=True):
        row[: len(each)] = each
    waveforms, lengths = vocoder(tf.constant(padded), tf.constant(sizes))
    pairs = zip(waveforms.numpy(), lengths.numpy(), strict=True)
    return [waveform[:length] for waveform, length in pairs]
