"""Training of a WaveNet, which predicts every sample from those before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models.layers.mu_law import mu_law_classes
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.pipeline import Batch
from tfspeech.tasks.speech.data import RecordingData
from tfspeech.tasks.vocoding.config import check_frames, conditioning_values
from tfspeech.tasks.vocoding.data import Recordings
from tfspeech.tasks.vocoding.task import Vocoding
from tfspeech.tasks.vocoding.task import describe_scores as describe_vocoding
from tfspeech.tasks.vocoding.vocoder import WaveNetVocoder
from tfspeech.training.step import Losses

_MEASURED_FRAMES = 64


class WaveNetVocoding(Vocoding):
    """Vocoding by a `WaveNet`; see `Vocoding`.

    It resynthesises many recordings at once, for a step of a batch takes little longer
    than that of one, and only when the run has ended.
    """

    at_once = 16
    quick = False
    streaming = None

    def resynthesiser(self) -> WaveNetVocoder:
        """The model as a vocoder of the frames of recordings."""
        return WaveNetVocoder(self.model, self.features, self.values)

    def vocoder_of(self, features: AcousticConfig, predicted: slice) -> WaveNetVocoder:
        """The model as a vocoder; see `Vocoding.vocoder_of`."""
        check_frames(self.config, self.features, features, predicted)
        values = conditioning_values(self.config, features)
        return WaveNetVocoder(self.model, features, values)

    def inputs(
        self, frames: tf.Tensor, lengths: tf.Tensor, seeds: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns the model's inputs from frames of this task; nothing is drawn."""
        values = tf.gather(frames, self.values, axis=2)
        return {"frames": values, "frame_lengths": lengths}

    def losses_of(self, outputs: dict[str, tf.Tensor], batch: Batch) -> Losses:
        """The cross-entropy of the samples, in nats per sample."""
        waveform, hop_length = batch["waveform"], self.features.hop_length
        classes = mu_law_classes(tf.reshape(waveform, [tf.shape(waveform)[0], -1]))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            classes, outputs["logits"]
        )
        samples = (batch["frame_lengths"] - 1) * hop_length
        inside = tf.sequence_mask(samples, tf.shape(losses)[1])
        total = tf.reduce_sum(tf.where(inside, losses, 0.0))
        mean = total / (self.weight(batch) * hop_length)
        return Losses({"cross_entropy": mean}, outputs=outputs)

    def measured(self, recordings: Recordings) -> tf.data.Dataset:
        """The batches that a loss is measured on: a segment of every recording."""
        return recordings.segment_batches(_MEASURED_FRAMES)

    def evaluate_split(self, data: RecordingData, split: str) -> dict[str, Any]:
        """The scores of `Vocoding.evaluate_split`, and `bits_per_sample`."""
        scores = super().evaluate_split(data, split)
        return {**scores, "bits_per_sample": scores["loss"] / math.log(2)}


def describe_scores(scores: Mapping[str, Any]) -> str:
    """The scores of `WaveNetVocoding.evaluate_split` as text."""
    bits = f"{'bits per sample':<26}{scores['bits_per_sample']:>16.2f}"
    return f"{describe_vocoding(scores)}\n{bits}"
