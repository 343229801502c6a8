"""Runs of duration-based synthesisers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import keras

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.config import DataConfig
from tfspeech.data.corpora import load_corpus
from tfspeech.tasks.parallel_tts.config import ParallelTtsConfig, target_values
from tfspeech.tasks.parallel_tts.data import ParallelTtsData, ParallelTtsDataConfig
from tfspeech.tasks.parallel_tts.task import ParallelTts, describe_scores
from tfspeech.tasks.parallel_tts.training import ParallelTtsTraining
from tfspeech.tasks.speech.samples import SpeechSamples
from tfspeech.tasks.task import RunConfig
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.text.linguistic import LinguisticConfig
from tfspeech.training.loop import EpochCallback, LoopState


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParallelTtsRun(RunConfig):
    """The run of a duration-based synthesiser.

    Attributes:
        linguistic: What the networks see of a text.
        task: What the model is trained for.
    """

    usage = 'tfspeech synthesize {} "TEXT"'
    describe = staticmethod(describe_scores)
    panels = (
        ("Loss", "squared error, normalised", ("loss",)),
        ("Mel-cepstral distortion, true durations", "dB", ("aligned_mcd_db",)),
        ("Duration RMSE", "frames", ("duration_rmse_frames",)),
    )
    data: ParallelTtsDataConfig = field(default_factory=ParallelTtsDataConfig)
    linguistic: LinguisticConfig = field(default_factory=LinguisticConfig)
    features: AcousticConfig = field(
        default_factory=lambda: AcousticConfig(lpc_order=24, pitch=True)
    )
    task: ParallelTtsConfig = field(default_factory=ParallelTtsConfig)

    def __post_init__(self) -> None:
        # What does not fit is to fail before any data is read.
        target_values(self.task, self.frames)

    @property
    def frames(self) -> AcousticConfig:
        """The frames without what the target does not need."""
        if self.task.target == "mel":
            return dataclasses.replace(self.features, lpc_order=0, pitch=False)
        return self.features

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

    def read_data(
        self, data: DataConfig | None = None, split: str | None = None
    ) -> ParallelTtsData:
        """Reads and checks a corpus of sentences."""
        return ParallelTtsData(data or self.data, _front_end(), self.frames, split)

    def build(self, model: type[keras.Model]) -> ParallelTts:
        """Builds the untrained model with its task."""
        targets = target_values(self.task, self.frames)
        built = model(
            self.architecture,
            self.linguistic.linguistic_dim,
            2 * (targets.stop - targets.start),
            dtype=self.training.precision,
        )
        return ParallelTts(
            built, self.task, self.frames, self.linguistic, _front_end(), self._texts
        )

    def read_training(
        self, task: ParallelTts, data: ParallelTtsData
    ) -> ParallelTtsTraining:
        """Prepares the batches and the validation set."""
        return ParallelTtsTraining(task, data, self.training)

    def callbacks(
        self, task: ParallelTts, training: ParallelTtsTraining, run_dir: Path
    ) -> Sequence[EpochCallback]:
        """Samples of the last validation: epochs are short, and plots are not."""
        samples = SpeechSamples(run_dir, task, training)

        def on_epoch(state: LoopState, record: dict[str, Any]) -> None:
            if state.stop or state.step == state.total_steps:
                samples.on_epoch(state, record)

        return [on_epoch]

    def _texts(self) -> Sequence[str]:
        """The texts of the corpus."""
        corpus = load_corpus(self.data.data, self.data.held_out)
        return [utterance.text for utterance in corpus.utterances]


def _front_end() -> TextFrontEnd:
    return TextFrontEnd(TextConfig(symbols="phonemes"))
