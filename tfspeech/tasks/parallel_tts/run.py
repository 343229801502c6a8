"""Runs of duration-based synthesisers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import keras

from models import FrameDiscriminator, FrameDiscriminatorConfig
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data.config import DataConfig
from tfspeech.data.corpora import load_corpus
from tfspeech.errors import SpecError
from tfspeech.tasks.parallel_tts.config import ParallelSynthesisConfig, target_values
from tfspeech.tasks.parallel_tts.data import ParallelTtsData, ParallelTtsDataConfig
from tfspeech.tasks.parallel_tts.task import ParallelSynthesis, describe_scores
from tfspeech.tasks.parallel_tts.training import ParallelTtsTraining
from tfspeech.tasks.speech.samples import SpeechSamples
from tfspeech.tasks.task import RunConfig
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.text.linguistic import LinguisticConfig
from tfspeech.training.loop import EpochCallback, LoopState


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParallelTtsRun(RunConfig):
    """The run of a synthesiser with durations, pitch and energy of phonemes.

    Attributes:
        linguistic: What the networks see of a text.
        task: What the model is trained for.
    """

    usage = 'tfspeech synthesize {} "TEXT"'
    describe = staticmethod(describe_scores)
    panels = (
        ("Loss", "error, normalised", ("loss",)),
        ("Mel-cepstral distortion, true durations", "dB", ("aligned_mcd_db",)),
        ("Duration RMSE", "frames", ("duration_rmse_frames",)),
    )
    data: ParallelTtsDataConfig = field(default_factory=ParallelTtsDataConfig)
    linguistic: LinguisticConfig = field(default_factory=LinguisticConfig)
    features: AcousticConfig = field(
        default_factory=lambda: AcousticConfig(lpc_order=24, pitch=True)
    )
    task: ParallelSynthesisConfig = field(
        default_factory=lambda: ParallelSynthesisConfig(
            segment_weight=3.0,
            variance_scaling=1.0,
            kl_weight=0.02,
            kl_warmup=1,
            free_bits=0.05,
        )
    )

    def __post_init__(self) -> None:
        # What does not fit is to fail before any data is read.
        if not self.features.pitch:
            raise SpecError(
                "the pitch and energy of phonemes are learned from frames with pitch: "
                "give --lpc-order 24 --pitch. Received: pitch=False"
            )

    @property
    def frames(self) -> AcousticConfig:
        """The frames with all that the model learns from."""
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

    def of_teacher(self) -> dict[str, Any]:
        """Returns the settings a teacher must share: target, frames, features."""
        sections = (self.frames, self.linguistic)
        values = {
            k: v for each in sections for k, v in dataclasses.asdict(each).items()
        }
        return {"target": self.task.target, **values}

    def build(self, model: type[keras.Model]) -> ParallelSynthesis:
        """Builds the untrained model with its task."""
        targets = target_values(self.task, self.frames)
        front_end = _front_end()
        built = model(
            self.architecture,
            *self._sizes(front_end, targets.stop - targets.start),
            dtype=self.training.precision,
        )
        return ParallelSynthesis(
            *(built, self.task, self.frames, self.linguistic, front_end, self._texts),
            discriminator=self._build_discriminator(front_end),
        )

    def _build_discriminator(
        self, front_end: TextFrontEnd
    ) -> FrameDiscriminator | None:
        """Builds the discriminator, where the loss has one."""
        if not self.task.adversarial_weight:
            return None
        targets = target_values(self.task, self.frames)
        values = targets.stop - targets.start
        # Voicing is 0 or 1 in recordings alone, which would give predictions away.
        spectral = values - 2 if self.task.target == "lpc" else values
        return FrameDiscriminator(
            *(FrameDiscriminatorConfig(), len(front_end.symbols), spectral),
            dtype=self.training.precision,
        )

    def _sizes(self, front_end: TextFrontEnd, values: int) -> Sequence[int]:
        """The arguments of the model after its configuration."""
        return len(front_end.symbols), self.linguistic.linguistic_dim, values

    def read_training(
        self, task: ParallelSynthesis, data: ParallelTtsData
    ) -> ParallelTtsTraining:
        """Prepares the batches and the validation set."""
        return ParallelTtsTraining(task, data, self.training)

    def callbacks(
        self, task: ParallelSynthesis, training: ParallelTtsTraining, run_dir: Path
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseSynthesisRun(ParallelTtsRun):
    """The run of a synthesiser with dense networks."""

    task: ParallelSynthesisConfig = field(
        default_factory=lambda: ParallelSynthesisConfig(
            frame_loss="l2", delta_weight=0.2, pitch_weight=5.0
        )
    )

    def __post_init__(self) -> None:
        # What does not fit is to fail before any data is read.
        target_values(self.task, self.frames)
        for name in (
            *("adversarial_weight", "variance_scaling"),
            *("kl_weight", "kl_warmup", "free_bits"),
        ):
            if value := getattr(self.task, name):
                raise SpecError(
                    f"{name} is for parallel_tts, not for dense networks; it must be "
                    f"0. Received: {name}={value!r}"
                )

    @property
    def frames(self) -> AcousticConfig:
        """The frames without what the target does not need."""
        if self.task.target == "mel":
            return dataclasses.replace(self.features, lpc_order=0, pitch=False)
        return self.features

    def _sizes(self, front_end: TextFrontEnd, values: int) -> Sequence[int]:
        """The arguments of the model after its configuration."""
        return self.linguistic.linguistic_dim, 2 * values  # With their differences.


def _front_end() -> TextFrontEnd:
    return TextFrontEnd(TextConfig(symbols="phonemes"))
