"""Vocoding: loss, resynthesis and scores."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import GriffinLim, LpcSynthesis
from tfspeech.data.pipeline import Batch
from tfspeech.tasks.limits import WaveformLimits
from tfspeech.tasks.speech.data import RecordingData
from tfspeech.tasks.speech.evaluation import (
    Column,
    compare_with_recordings,
    comparison_table,
)
from tfspeech.tasks.speech.judge import SpeechJudge
from tfspeech.tasks.speech.scores import frame_pairs
from tfspeech.tasks.speech.task import compiled_vocoder, vocode
from tfspeech.tasks.task import ModelTask
from tfspeech.tasks.vocoding.config import (
    VocodingConfig,
    check_frames,
    conditioning_values,
)
from tfspeech.tasks.vocoding.data import Recordings
from tfspeech.tasks.vocoding.losses import mel_loss, periodicity_loss, stft_losses
from tfspeech.tasks.vocoding.server import VocodingServer
from tfspeech.tasks.vocoding.streaming import Streaming
from tfspeech.tasks.vocoding.vocoder import NeuralVocoder, network_inputs
from tfspeech.training.callbacks import Monitor
from tfspeech.training.step import Losses

_COMPILED_WITH = 8  # Frames.

CORRECTIONS = 3
"""Corrections where log-mels are seen, chosen on validation recordings."""

LOSS_WEIGHTS = {"log_magnitude": 0.5, "mel": 4.0, "periodicity": 1.0}
"""Weights of the terms of `Vocoding.losses_of`, chosen on validation recordings."""

COLUMNS = {
    "": Column("model", frame_pairs),
    "griffin_lim_": Column("Griffin-Lim", frame_pairs),
    "lpc_": Column("LPC", frame_pairs),
}
"""Prefix of a score -> the vocoder that it was measured on, each with the frames of the
recording."""


class Vocoding(ModelTask):
    """Vocoding: waveforms of frames.

    Args of the constructor:
        model: From frames, pulses and noise to a waveform.
        config: Of the task.
        features: The frames, with a sample rate.

    Attributes:
        values: Which of the values of a frame the model sees, int [values].
        fft_lengths: Samples of the windows whose spectra are compared.
        at_once: Recordings that are resynthesised in one batch.
        quick: Whether validations resynthesise, too.
        judge: Judges speech in evaluations, too; None for none.
    """

    vocodes = True
    judge: SpeechJudge | None = None
    at_once: ClassVar[int] = 1
    quick: ClassVar[bool] = True
    monitor = Monitor("loss", higher_is_better=False)
    limits = WaveformLimits()

    def __init__(
        self, model: keras.Model, config: VocodingConfig, features: AcousticConfig
    ) -> None:
        super().__init__(model)
        self.config = config
        self.features = features
        self.values = conditioning_values(config, features)
        around = features.spectrogram.fft_length
        self.fft_lengths = around // 2, around, 2 * around
        every = slice(0, features.frame_dim)
        self.vocoder = compiled_vocoder(self.vocoder_of(features, every), features)

    def vocoder_of(self, features: AcousticConfig, predicted: slice) -> NeuralVocoder:
        """The model as a vocoder of the frames of a synthesiser.

        Args:
            features: The frames.
            predicted: Which of their values the synthesiser predicts.

        Raises:
            SpecError: They are not those that the model sees.
        """
        check_frames(self.config, self.features, features, predicted)
        values = conditioning_values(self.config, features)
        return NeuralVocoder(self.model, features, values, self.corrections)

    @property
    def streaming(self) -> Streaming | None:
        """The model as a vocoder of chunks, None where it is none."""
        return Streaming(self.model, self.features, self.values, self.corrections)

    @property
    def corrections(self) -> int:
        """How many times what the model makes is corrected; see `correct_mels`."""
        return CORRECTIONS if self.config.conditioning == "mel" else 0

    def inputs(
        self, frames: tf.Tensor, lengths: tf.Tensor, seeds: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns the model's inputs from frames of this task; see `network_inputs`."""
        return network_inputs(frames, lengths, self.features, self.values, seeds)

    def recordings(self, data: RecordingData, indices: np.ndarray) -> Recordings:
        """Prepares the recordings at some places for training or evaluation.

        Raises:
            CorpusError: The cache cannot be written.
        """
        return Recordings(data, indices, self.inputs)

    def losses_of(self, outputs: dict[str, tf.Tensor], batch: Batch) -> Losses:
        """The terms of `stft_losses`, and `mel` and `periodicity`, means over time."""
        ours, theirs = (
            self.compared(each) for each in (outputs["waveform"], batch["waveform"])
        )
        hop_length, weight = self.features.hop_length, self.weight(batch)
        frames = batch["frame_lengths"] - 1
        terms = stft_losses(ours, theirs, (frames - 1) * hop_length, self.fft_lengths)
        terms = {name: total / hop_length for name, total in terms.items()}
        terms["mel"] = mel_loss(ours, theirs, frames, self.features)
        log_pitch = batch["frames"][:, 1:, -2]
        terms["periodicity"] = periodicity_loss(
            ours, theirs, log_pitch, frames, self.features
        )
        terms = {name: total / weight for name, total in terms.items()}
        return Losses(terms, LOSS_WEIGHTS, outputs)

    @staticmethod
    def compared(waveform: tf.Tensor) -> tf.Tensor:
        """Returns the part that is compared with a recording: all but the first hop.

        At the start of a segment that lacks the end of what was before.

        Args:
            waveform: float32 [batch, frames, hop_length].

        Returns:
            float32 [batch, samples].
        """
        return tf.reshape(waveform[:, 1:], [tf.shape(waveform)[0], -1])

    def weight(self, batch: Batch) -> tf.Tensor:
        """The hops of a batch, a float32 scalar."""
        hops = tf.maximum(batch["frame_lengths"] - 1, 1)
        return tf.cast(tf.reduce_sum(hops), tf.float32)

    def measured(self, recordings: Recordings) -> tf.data.Dataset:
        """The batches that a loss is measured on: all of the recordings."""
        return recordings.batches()

    def waveforms(self, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Makes waveforms, each float32 [samples], of frames [frames, frame_dim]."""
        return vocode(self.vocoder, frames)

    def evaluate_split(self, data: RecordingData, split: str) -> dict[str, Any]:
        """Resynthesises one split of a corpus and compares with the recordings.

        Args:
            data: The corpus.
            split: The split.

        Returns:
            `loss`; `sentences`, their number; the figures of `compare_with_recordings`
            for `COLUMNS`; and for each column its `real_time_factor`, the time it takes
            over the length of what it says, of `at_once` recordings in a batch.

        Raises:
            CorpusError: The split is empty.
        """
        indices = data.corpus.indices(split)
        vocoders = {
            "": self.vocoder,
            "griffin_lim_": compiled_vocoder(GriffinLim(self.features), self.features),
            "lpc_": compiled_vocoder(LpcSynthesis(self.features), self.features),
        }
        seconds = dict.fromkeys(vocoders, 0.0)

        def spoken() -> Iterator[dict[str, np.ndarray]]:
            for vocoder in vocoders.values():  # The first call compiles.
                vocode(vocoder, [data.frames(indices[0])[:_COMPILED_WITH]])
            for start in range(0, len(indices), self.at_once):
                chosen = indices[start : start + self.at_once]
                frames, waveforms = [data.frames(index) for index in chosen], {}
                for name, vocoder in vocoders.items():
                    started = time.perf_counter()
                    waveforms[name] = vocode(vocoder, frames)
                    seconds[name] += time.perf_counter() - started
                for row in range(len(chosen)):
                    yield {name: found[row] for name, found in waveforms.items()}

        compared = compare_with_recordings(data, indices, COLUMNS, spoken(), self.judge)
        length_s = data.store.lengths[indices].sum() / self.features.sample_rate_hz
        return {
            "sentences": len(indices),
            "loss": self.mean_loss(self.measured(self.recordings(data, indices))),
            **compared,
            **{
                f"{name}real_time_factor": float(spent_s / length_s)
                for name, spent_s in seconds.items()
            },
        }

    def server(self) -> VocodingServer:
        """The module that is exported."""
        return VocodingServer(self)


def describe_scores(scores: Mapping[str, Any]) -> str:
    """The scores of `Vocoding.evaluate_split` as text."""
    factors = (f"{scores[f'{prefix}real_time_factor']:.4f}" for prefix in COLUMNS)
    return (
        f"{scores['sentences']} recordings, loss {scores['loss']:.4f}\n\n"
        + comparison_table(scores, COLUMNS)
        + f"\n{'real-time factor':<26}"
        + "".join(f"{factor:>16}" for factor in factors)
    )
