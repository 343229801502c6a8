"""Runs of generators of words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import keras

from models import ClipDiscriminator, ClipDiscriminatorConfig
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.config import DataConfig
from tfspeech.errors import SpecError
from tfspeech.tasks.adversarial import DiscriminatorTraining
from tfspeech.tasks.generation.data import GenerationDataConfig
from tfspeech.tasks.generation.samples import GenerationSamples
from tfspeech.tasks.generation.scores import describe_scores
from tfspeech.tasks.generation.task import GenerationConfig, WordGeneration
from tfspeech.tasks.generation.training import GenerationTraining
from tfspeech.tasks.speech.data import RecordingData
from tfspeech.tasks.task import RunConfig
from tfspeech.training.loop import EpochCallback


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationRun(RunConfig):
    """The run of a generator of words.

    Attributes:
        task: What the model is trained for.
        discriminator: Its architecture.
        adversary: What it minimises, and how it is moved.
    """

    usage = "tfspeech synthesize {} --count 10"
    describe = staticmethod(describe_scores)
    panels = (
        ("Frechet distance of coarse shapes", "distance", ("frechet",)),
        ("Discriminator", "share it tells", ("discriminator_accuracy",)),
    )
    data: GenerationDataConfig = field(default_factory=GenerationDataConfig)
    features: AcousticConfig = field(
        default_factory=lambda: AcousticConfig(num_mels=32, lpc_order=12, pitch=True)
    )
    task: GenerationConfig = field(default_factory=GenerationConfig)
    discriminator: ClipDiscriminatorConfig = field(
        default_factory=ClipDiscriminatorConfig
    )
    adversary: DiscriminatorTraining = field(
        default_factory=lambda: DiscriminatorTraining(discriminator_learning_rate=4e-4)
    )

    def __post_init__(self) -> None:
        # What does not parse is to fail before any data is read.
        if not self.features.pitch:
            raise SpecError(
                "clips are made of linear prediction and pitch: give --lpc-order 12 "
                "--pitch. Received: pitch=False"
            )
        self.adversary.settings(self.training)

    def summarize(self, scores: dict[str, Any]) -> str:
        """The scores that matter most."""
        return (
            f"Frechet distance {scores['frechet']:.2f} on the {scores['split']} split "
            f"of {scores['recordings']} recordings (training recordings "
            f"{scores['recording_frechet']:.2f}); tfspeech evaluate --recognizer says "
            "which words are heard"
        )

    def read_data(
        self, data: DataConfig | None = None, split: str | None = None
    ) -> RecordingData:
        """Reads and checks a corpus of recordings."""
        return RecordingData(data or self.data, self.features, split)

    def build(self, model: type[keras.Model]) -> WordGeneration:
        """Builds the untrained models with their task."""
        precision = self.training.precision
        values = self.features.frame_dim - self.features.num_mels
        generator = model(self.architecture, values, dtype=precision)
        window_frames = generator.config.window_frames
        discriminator = ClipDiscriminator(
            self.discriminator, window_frames, values, dtype=precision
        )
        return WordGeneration(
            *(generator, discriminator, self.task, self.adversary, self.features),
            self.adversary.settings(self.training),
        )

    def read_training(
        self, task: WordGeneration, data: RecordingData
    ) -> GenerationTraining:
        """Prepares the batches and the validation set."""
        return GenerationTraining(task, data, self.training)

    def callbacks(
        self, task: WordGeneration, training: GenerationTraining, run_dir: Path
    ) -> Sequence[EpochCallback]:
        """Clips of every validation."""
        return [GenerationSamples(run_dir, task).on_epoch]
