"""Runs of synthesisers with attention."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import keras

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.config import DataConfig
from tfspeech.strategies import build_spec
from tfspeech.tasks.attention_tts.task import (
    AttentionSynthesis,
    AttentionSynthesisConfig,
    describe_scores,
    vocoders,
)
from tfspeech.tasks.attention_tts.training import AttentionTraining
from tfspeech.tasks.attention_tts.watchdog import AttentionWatchdog
from tfspeech.tasks.speech.data import SentenceData, SentenceDataConfig
from tfspeech.tasks.speech.samples import SpeechSamples
from tfspeech.tasks.task import RunConfig
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.training.loop import EpochCallback
from tfspeech.training.paths import METRICS_FILE


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionTtsRun(RunConfig):
    """The run of a synthesiser with attention.

    Attributes:
        text: What the model reads.
        task: What the model is trained for.
    """

    usage = 'tfspeech synthesize {} "TEXT"'
    describe = staticmethod(describe_scores)
    panels = (
        ("Loss under teacher forcing", "loss", ("loss",)),
        ("Mel-cepstral distortion, free-running", "dB", ("mcd_db",)),
        (
            "Attention",
            "share",
            ("focus", "diagonality", "monotonic_coverage", "stopped"),
        ),
        ("Words lost", "share of the words", ("skipped_words", "repeated_words")),
    )
    data: SentenceDataConfig = field(default_factory=SentenceDataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    features: AcousticConfig = field(default_factory=AcousticConfig)
    task: AttentionSynthesisConfig = field(default_factory=AttentionSynthesisConfig)

    def __post_init__(self) -> None:
        # What does not parse is to fail before any data is read.
        build_spec(self.task.vocoder, vocoders(self.features), "vocoder")

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

    def read_data(
        self, data: DataConfig | None = None, split: str | None = None
    ) -> SentenceData:
        """Reads and checks a corpus of sentences."""
        return SentenceData(
            data or self.data, TextFrontEnd(self.text), self.features, split
        )

    def build(self, model: type[keras.Model]) -> AttentionSynthesis:
        """Builds the untrained model with its task."""
        front_end = TextFrontEnd(self.text)
        built = model(
            self.architecture,
            len(front_end.symbols),
            self.features.frame_dim,
            dtype=self.training.precision,
        )
        return AttentionSynthesis(built, self.task, self.features, front_end)

    def read_training(
        self, task: AttentionSynthesis, data: SentenceData
    ) -> AttentionTraining:
        """Prepares the batches and the validation set."""
        sentences = self.task.validation_sentences
        return AttentionTraining(task, data, self.training, sentences)

    def callbacks(
        self, task: AttentionSynthesis, training: AttentionTraining, run_dir: Path
    ) -> Sequence[EpochCallback]:
        """Samples of every validation, and a watchdog over the attention."""
        samples = SpeechSamples(run_dir, task, training)
        return [samples.on_epoch, AttentionWatchdog(run_dir / METRICS_FILE).on_epoch]
