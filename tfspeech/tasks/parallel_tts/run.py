"""Runs of models that speak from durations, frame by frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Self

from models import CATALOGUE
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.config import DataConfig, ParametricDataConfig
from tfspeech.data.corpora import load_corpus
from tfspeech.tasks.parallel_tts.config import ParametricConfig, target_values
from tfspeech.tasks.parallel_tts.data import ParametricData
from tfspeech.tasks.parallel_tts.evaluation import describe_parametric
from tfspeech.tasks.parallel_tts.plots import plot_parametric
from tfspeech.tasks.parallel_tts.task import ParametricSynthesis
from tfspeech.tasks.parallel_tts.training import ParametricTraining
from tfspeech.tasks.speech.samples import SpeechSamples
from tfspeech.tasks.task import RunConfig
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.text.linguistic import LinguisticConfig
from tfspeech.training.loop import EpochAction, LoopState


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParametricRun(RunConfig):
    """The run of a synthesiser that works frame by frame.

    Attributes:
        linguistic: What the networks see of a text.
        task: What the model is trained for.
    """

    usage = 'tfspeech.synthesize {} "TEXT"'
    data: ParametricDataConfig = field(default_factory=ParametricDataConfig)
    linguistic: LinguisticConfig = field(default_factory=LinguisticConfig)
    features: AcousticConfig = field(
        default_factory=lambda: AcousticConfig(lpc_order=24, pitch=True)
    )
    task: ParametricConfig = field(default_factory=ParametricConfig)

    def __post_init__(self) -> None:
        # What does not fit is to fail before any data is read.
        target_values(self.task, self.frames)

    @property
    def frames(self) -> AcousticConfig:
        """The frames without what the target does not need."""
        if self.task.target == "mel":
            return dataclasses.replace(self.features, lpc_order=0, pitch=False)
        return self.features

    def describe(self, scores: dict[str, Any]) -> str:
        """All scores with their anchors as text."""
        return describe_parametric(scores)

    def summarize(self, scores: dict[str, Any]) -> str:
        """The scores that matter most."""
        return (
            f"mel-cepstral distortion {scores['aligned_mcd_db']:.2f} dB with true "
            f"durations and {scores['mcd_db']:.2f} dB with its own on the "
            f"{scores['split']} split of {scores['sentences']} sentences (vocoder "
            f"alone {scores['vocoder_mcd_db']:.2f}, another voice "
            f"{scores['other_voice_mcd_db']:.2f}); durations wrong by "
            f"{scores['duration_rmse_frames']:.2f} frames"
        )

    def write_plots(self, scores: dict[str, Any], metrics: Path, folder: Path) -> None:
        """Plots how the run has learned to speak."""
        plot_parametric(metrics, folder / "learning.png")

    def read_data(self) -> ParametricData:
        """Reads and checks the corpus."""
        return ParametricData(self.data, _front_end(), self.frames)

    def resolved(self, data: ParametricData) -> Self:
        """Fills in the rate."""
        features = dataclasses.replace(
            self.features, sample_rate_hz=data.features.sample_rate_hz
        )
        return dataclasses.replace(self, features=features)

    def build(self) -> ParametricSynthesis:
        """Builds the untrained model with its task."""
        targets = target_values(self.task, self.frames)
        model = CATALOGUE[self.model].model(
            self.architecture,
            self.linguistic.linguistic_dim,
            2 * (targets.stop - targets.start),
            dtype=self.training.precision,
        )
        return ParametricSynthesis(
            model, self.task, self.frames, self.linguistic, _front_end(), self._texts
        )

    def read_training(
        self, task: ParametricSynthesis, data: ParametricData
    ) -> ParametricTraining:
        """Prepares the batches and the validation set."""
        return ParametricTraining(
            task,
            data,
            batch_size=self.training.batch_size,
            batches_per_step=self.training.accumulate_steps,
            seed=self.training.seed,
        )

    def watchers(
        self, task: ParametricSynthesis, training: ParametricTraining, run_dir: Path
    ) -> Sequence[EpochAction]:
        """Samples of the last validation: epochs are short, and plots are not."""
        samples = SpeechSamples(run_dir, task, training)

        def on_epoch(state: LoopState, record: dict[str, Any]) -> None:
            if state.stop or state.step == state.total_steps:
                samples.on_epoch(state, record)

        return [on_epoch]

    def read_split(self, data: DataConfig, split: str) -> ParametricData:
        """Reads a corpus of sentences."""
        return ParametricData(data, _front_end(), self.frames, split)

    def _texts(self) -> Sequence[str]:
        """The texts of the corpus."""
        corpus = load_corpus(self.data.data, self.data.held_out)
        return [utterance.text for utterance in corpus.utterances]


def _front_end() -> TextFrontEnd:
    return TextFrontEnd(TextConfig(symbols="phonemes"))
