"""Runs of vocoders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar

import keras

from models import DiscriminatorConfig, Discriminators
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.config import DataConfig
from tfspeech.tasks.speech.data import RecordingData
from tfspeech.tasks.task import RunConfig
from tfspeech.tasks.vocoding.adversarial import AdversarialVocoding, AdversaryConfig
from tfspeech.tasks.vocoding.config import (
    VocodingConfig,
    VocodingDataConfig,
    conditioning_values,
)
from tfspeech.tasks.vocoding.samples import VocodingSamples
from tfspeech.tasks.vocoding.task import Vocoding, describe_scores
from tfspeech.tasks.vocoding.training import VocodingTraining
from tfspeech.tasks.vocoding.wavenet import WaveNetVocoding
from tfspeech.tasks.vocoding.wavenet import describe_scores as describe_wavenet
from tfspeech.training.loop import EpochCallback


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocodingRun(RunConfig):
    """The run of a vocoder.

    Attributes:
        kind: The class of its tasks.
        task: What the model is trained for.
    """

    usage = 'tfspeech synthesize RUN_DIR "TEXT" --vocoder {}'
    kind: ClassVar[type[Vocoding]] = Vocoding
    describe = staticmethod(describe_scores)
    panels = (
        ("Loss", "difference of spectra", ("loss",)),
        ("Mel-cepstral distortion", "dB", ("mcd_db",)),
    )
    data: VocodingDataConfig = field(default_factory=VocodingDataConfig)
    features: AcousticConfig = field(
        default_factory=lambda: AcousticConfig(lpc_order=24, pitch=True)
    )
    task: VocodingConfig = field(default_factory=VocodingConfig)

    def __post_init__(self) -> None:
        # What does not fit is to fail before any data is read.
        conditioning_values(self.task, self.features)

    def summarize(self, scores: dict[str, Any]) -> str:
        """The scores that matter most."""
        return (
            f"mel-cepstral distortion {scores['mcd_db']:.2f} dB on the "
            f"{scores['split']} split of {scores['sentences']} recordings (Griffin-Lim "
            f"{scores['griffin_lim_mcd_db']:.2f}, LPC {scores['lpc_mcd_db']:.2f}); "
            f"voicing error {scores['voicing_error_percent']:.1f} % "
            f"({scores['griffin_lim_voicing_error_percent']:.1f}, "
            f"{scores['lpc_voicing_error_percent']:.1f}); real-time factor "
            f"{scores['real_time_factor']:.3f}"
        )

    def read_data(
        self, data: DataConfig | None = None, split: str | None = None
    ) -> RecordingData:
        """Reads and checks a corpus of recordings."""
        return RecordingData(data or self.data, self.features, split)

    def build(self, model: type[keras.Model]) -> Vocoding:
        """Builds the untrained model with its task."""
        values = conditioning_values(self.task, self.features)
        built = model(
            self.architecture,
            len(values),
            self.features.hop_length,
            dtype=self.training.precision,
        )
        return self.kind(built, self.task, self.features)

    def read_training(self, task: Vocoding, data: RecordingData) -> VocodingTraining:
        """Prepares the batches and the validation set."""
        return VocodingTraining(task, data, self.training)

    def callbacks(
        self, task: Vocoding, training: VocodingTraining, run_dir: Path
    ) -> Sequence[EpochCallback]:
        """Samples of the last validation."""
        return [VocodingSamples(run_dir, task, training).on_epoch]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdversarialVocodingRun(VocodingRun):
    """The run of a vocoder that discriminators teach.

    Attributes:
        discriminators: Their architecture.
        adversary: What they minimise, and how they are moved.
    """

    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.adversary.settings(self.training)

    def build(self, model: type[keras.Model]) -> AdversarialVocoding:
        """Builds the untrained models with their task."""
        task = super().build(model)
        discriminators = Discriminators(
            self.discriminators, task.fft_lengths, dtype=self.training.precision
        )
        return AdversarialVocoding(
            task.model,
            discriminators,
            self.task,
            self.adversary,
            self.features,
            self.adversary.settings(self.training),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaveNetRun(VocodingRun):
    """The run of a vocoder that draws sample after sample."""

    kind = WaveNetVocoding
    describe = staticmethod(describe_wavenet)
    panels = (("Loss", "cross-entropy of a sample, nats", ("loss",)),)
    task: VocodingConfig = field(
        default_factory=lambda: VocodingConfig(segment_frames=8)
    )
