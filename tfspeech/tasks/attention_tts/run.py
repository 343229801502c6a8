"""Runs of models that speak."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Self

from models import CATALOGUE
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.config import DataConfig, SynthesisDataConfig
from tfspeech.strategies import build_spec
from tfspeech.tasks.attention_tts.data import SynthesisData
from tfspeech.tasks.attention_tts.evaluation import describe_synthesis
from tfspeech.tasks.attention_tts.plots import plot_synthesis
from tfspeech.tasks.attention_tts.task import (
    Synthesis,
    SynthesisConfig,
    SynthesisTraining,
    vocoders,
)
from tfspeech.tasks.attention_tts.watchdog import AttentionWatchdog
from tfspeech.tasks.speech.samples import SpeechSamples
from tfspeech.tasks.task import RunConfig
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.training.loop import EpochAction
from tfspeech.training.paths import METRICS_FILE


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynthesisRun(RunConfig):
    """The run of a synthesiser with attention.

    Attributes:
        text: What the model reads.
        task: What the model is trained for.
    """

    usage = 'tfspeech.synthesize {} "TEXT"'
    data: SynthesisDataConfig = field(default_factory=SynthesisDataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    features: AcousticConfig = field(default_factory=AcousticConfig)
    task: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        # What does not parse is to fail before any data is read.
        build_spec(self.task.vocoder, vocoders(self.features), "vocoder")

    def describe(self, scores: dict[str, Any]) -> str:
        """All scores with their anchors as text."""
        return describe_synthesis(scores)

    def summarize(self, scores: dict[str, Any]) -> str:
        """The scores that matter most."""
        return (
            f"mel-cepstral distortion {scores['mcd_db']:.2f} dB on the "
            f"{scores['split']} split (vocoder alone {scores['vocoder_mcd_db']:.2f}, "
            f"another voice {scores['other_voice_mcd_db']:.2f}); "
            f"{scores['stopped']:.0%} of {scores['sentences']} sentences stopped by "
            f"themselves, attention monotonic over {scores['monotonic_coverage']:.1%} "
            f"of the symbols, focus {scores['focus']:.2f}"
        )

    def write_plots(self, scores: dict[str, Any], metrics: Path, folder: Path) -> None:
        """Plots how the run has learned to speak."""
        plot_synthesis(metrics, folder / "learning.png")

    def read_data(self) -> SynthesisData:
        """Reads and checks the corpus."""
        return SynthesisData(self.data, TextFrontEnd(self.text), self.features)

    def resolved(self, data: SynthesisData) -> Self:
        """Fills in the rate."""
        return dataclasses.replace(self, features=data.features)

    def build(self) -> Synthesis:
        """Builds the untrained model with its task."""
        front_end = TextFrontEnd(self.text)
        model = CATALOGUE[self.model].model(
            self.architecture,
            len(front_end.symbols),
            self.features.frame_dim,
            dtype=self.training.precision,
        )
        return Synthesis(model, self.task, self.features, front_end)

    def read_training(self, task: Synthesis, data: SynthesisData) -> SynthesisTraining:
        """Prepares the batches and the validation set."""
        return SynthesisTraining(
            task,
            data,
            batch_size=self.training.batch_size,
            batches_per_step=self.training.accumulate_steps,
            seed=self.training.seed,
            validation_sentences=self.task.validation_sentences,
        )

    def watchers(
        self, task: Synthesis, training: SynthesisTraining, run_dir: Path
    ) -> Sequence[EpochAction]:
        """Samples of every validation, and a watchdog over the attention."""
        samples = SpeechSamples(run_dir, task, training)
        return [samples.on_epoch, AttentionWatchdog(run_dir / METRICS_FILE).on_epoch]

    def read_split(self, data: DataConfig, split: str) -> SynthesisData:
        """Reads a corpus of sentences."""
        return SynthesisData(data, TextFrontEnd(self.text), self.features, split)
