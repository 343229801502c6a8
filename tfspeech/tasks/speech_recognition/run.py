"""Runs of models that recognise connected speech."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar, Self

import keras

from tfspeech.audio.augment import AugmentConfig
from tfspeech.audio.features import FeatureConfig
from tfspeech.data.config import DataConfig
from tfspeech.errors import SpecError
from tfspeech.tasks.alignment.states import NUM_STATES
from tfspeech.tasks.speech_recognition.data import SpeechData, SpeechDataConfig
from tfspeech.tasks.speech_recognition.hybrid import (
    HmmTraining,
    HybridRecognition,
    HybridTraining,
)
from tfspeech.tasks.speech_recognition.hybrid_data import HybridData
from tfspeech.tasks.speech_recognition.plots import plot_errors
from tfspeech.tasks.speech_recognition.scores import describe_scores
from tfspeech.tasks.speech_recognition.task import SpeechRecognition
from tfspeech.tasks.speech_recognition.training import SpeechTraining
from tfspeech.tasks.speech_recognition.transcripts import Transcriber, TranscriptConfig
from tfspeech.tasks.task import RunConfig


def _features() -> FeatureConfig:
    """Features of the whole utterance, whose times are those of the audio."""
    return FeatureConfig(trim_db=0.0)


def _with_derivatives() -> FeatureConfig:
    """Features for models that see one frame at a time."""
    return FeatureConfig(trim_db=0.0, delta_order=2, delta_width=5)


def _augment() -> AugmentConfig:
    """Masks of time that are shorter than most words."""
    return AugmentConfig(time_masks=2, time_mask_share=0.03)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechRecognitionRun(RunConfig):
    """The run of a recogniser of connected speech.

    The architecture's `output_lengths` says how many frames its model classifies.

    Attributes:
        transcripts: What the model writes.
        augment: Of the training set.
        symbol_names: Those that the model writes; empty until the data were read.

    Raises:
        SpecError: The features leave out silence, after which no time would be right;
            or the model is causal, and they are not.
    """

    usage = "tfspeech transcribe {} FILE.wav"
    describe = staticmethod(describe_scores)
    panels = (
        ("Loss", "CTC loss (nats per symbol)", ("loss",)),
        ("Error rates", "errors per word or character", ("wer", "cer")),
    )
    data: SpeechDataConfig = field(default_factory=SpeechDataConfig)
    transcripts: TranscriptConfig = field(default_factory=TranscriptConfig)
    features: FeatureConfig = field(default_factory=_features)
    augment: AugmentConfig = field(default_factory=_augment)
    symbol_names: tuple[str, ...] = ()
    data_of: ClassVar[type[SpeechData]] = SpeechData

    def __post_init__(self) -> None:
        self.features.require(
            self.features.trim_db == 0.0, "trim_db", "0 for connected speech"
        )
        if getattr(self.architecture, "causal", False) and not self.features.causal:
            raise SpecError(
                "a causal model needs features that no later frame changes: "
                "--utterance-normalization running_mean (or none), --dynamic-range-db "
                "0 and --delta-order 0"
            )

    def summarize(self, scores: dict[str, Any]) -> str:
        """The word error rate with its interval."""
        low, high = scores["wer_interval"]
        return (
            f"word error rate {scores['wer']:.2%} on the {scores['split']} split "
            f"({scores['words']} words, 95 % interval {low:.2%} to {high:.2%}), "
            f"{scores['utterance_error']:.2%} of {scores['utterances']} utterances "
            "with an error"
        )

    def write_plots(self, scores: dict[str, Any], metrics: Path, folder: Path) -> None:
        """Plots how the run has learned, and the most frequent errors."""
        super().write_plots(scores, metrics, folder)
        plot_errors(scores, folder / "errors.png")

    def read_data(
        self, data: DataConfig | None = None, split: str | None = None
    ) -> SpeechData:
        """Reads and checks a corpus, for a trained model one of symbols it knows."""
        return self.data_of(
            data or self.data,
            self.features,
            self.transcripts,
            self.architecture.output_lengths,
            self.symbol_names,
            split,
        )

    def resolved(self, data: SpeechData) -> Self:
        """Fills in the rate and the symbols."""
        symbols = data.transcriber.symbols
        return dataclasses.replace(super().resolved(data), symbol_names=symbols)

    def of_teacher(self) -> dict[str, Any]:
        """Returns the settings a teacher must share: symbols, features and frames."""
        frames = {"output_lengths(960)": self.architecture.output_lengths(960)}
        symbols = {"symbols": self.symbol_names}
        return symbols | frames | dataclasses.asdict(self.features)

    def build(self, model: type[keras.Model]) -> SpeechRecognition:
        """Builds the untrained model with its task."""
        built = model(
            self.architecture,
            self.features.feature_dim,
            len(self.symbol_names),
            dtype=self.training.precision,
        )
        transcriber = Transcriber(self.transcripts, self.symbol_names)
        return SpeechRecognition(built, self.features, transcriber)

    def read_training(
        self, task: SpeechRecognition, data: SpeechData
    ) -> SpeechTraining:
        """Prepares the augmented batches and the validation set."""
        return SpeechTraining(task, data, self.augment, self.training)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HybridRecognitionRun(SpeechRecognitionRun):
    """The run of a recogniser that reads the states of phonemes.

    Raises:
        SpecError: As of `SpeechRecognitionRun`, or the symbols are no words.
    """

    describe = staticmethod(functools.partial(describe_scores, target="frame"))
    panels = (
        ("Loss", "cross-entropy (nats per frame)", ("loss",)),
        *SpeechRecognitionRun.panels[1:],
    )
    data_of: ClassVar[type[SpeechData]] = HybridData
    transcripts: TranscriptConfig = field(
        default_factory=lambda: TranscriptConfig("plain_words")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.transcripts.symbols == "characters":
            raise SpecError(
                f"{self.model} writes words that it can pronounce: --symbols "
                "plain_words or words"
            )

    def of_teacher(self) -> dict[str, Any]:
        """Returns the settings a teacher must share: frames and features."""
        return {
            name: value
            for name, value in super().of_teacher().items()
            if name != "symbols"
        } | {"states": NUM_STATES}

    def build(self, model: type[keras.Model]) -> HybridRecognition:
        """Builds the untrained model with its task."""
        built = model(
            self.architecture,
            self.features.feature_dim,
            NUM_STATES,
            dtype=self.training.precision,
        )
        transcriber = Transcriber(self.transcripts, self.symbol_names)
        return HybridRecognition(built, self.features, transcriber)

    def read_training(
        self, task: HybridRecognition, data: HybridData
    ) -> HybridTraining:
        """Prepares the augmented batches with their labels, and the validation set."""
        return HybridTraining(task, data, self.augment, self.training)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HmmRecognitionRun(HybridRecognitionRun):
    """The run of a recogniser with Gaussian mixtures for the states of phonemes."""

    features: FeatureConfig = field(default_factory=_with_derivatives)

    def read_training(
        self, task: HybridRecognition, data: HybridData
    ) -> HybridTraining:
        """Prepares what a hybrid has; Baum-Welch, but for mixtures of another run."""
        kind = HybridTraining if self.training.init_from else HmmTraining
        return kind(task, data, self.augment, self.training)
