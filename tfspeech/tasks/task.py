"""What decides the outcome of a training run, whatever the model is for."""

from __future__ import annotations

import abc
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import keras
import tensorflow as tf

from tfspeech.data.checks import Report
from tfspeech.data.config import DataConfig
from tfspeech.data.manifest import Corpus
from tfspeech.training.callbacks import Monitor
from tfspeech.training.config import TrainingConfig
from tfspeech.training.loop import EpochAction


class Data(Protocol):
    """A checked corpus in the form a task asks for.

    Attributes:
        corpus: The utterances.
        report: What the check of the corpus found.
    """

    corpus: Corpus
    report: Report


class Training(Protocol):
    """The data of a training run, in the form in which its loop asks for them.

    Attributes:
        examples: Utterances of the training set.
        steps_per_epoch: Steps in which every utterance comes at least once.
    """

    examples: int
    steps_per_epoch: int

    def set_statistics(self) -> None:
        """Has the model normalise by the training set."""

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Endless batches, from those of step `first_step` on."""

    def validate(self) -> dict[str, Any]:
        """Scores the model on the validation split."""


class Task(Protocol):
    """What a model is trained for.

    Attributes:
        model: The model.
        monitor: The score by which models are chosen.
    """

    model: keras.Model
    monitor: Monitor

    def loss(
        self, outputs: dict[str, tf.Tensor], batch: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """The mean loss over a batch, a scalar."""

    def weight(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """How much a batch counts in a mean of losses, a float32 scalar."""

    def evaluate_split(self, data: Any, split: str) -> dict[str, Any]:
        """Scores the model on one split of a corpus."""

    def server(self) -> tf.Module:
        """The module that is exported.

        It has `signatures`; `examples`, a request of one row for each of them; and
        `facts`, what a client must know besides. See `RecognitionServer`.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(abc.ABC):
    """Everything that decides the outcome of a training run.

    Attributes:
        model: A name in `models.CATALOGUE`.
        architecture: That model's own configuration.
        data: The corpus.
        features: Of the audio; they have a `sample_rate_hz`.
        training: The loop.
        usage: How a trained model is tried, after `python -m`; `{}` is its directory.
    """

    usage: ClassVar[str]
    model: str
    architecture: Any
    data: DataConfig
    features: Any
    training: TrainingConfig

    def sections(self) -> dict[str, Any]:
        """The configurations that this one is made of, by the name of the field."""
        return {
            field.name: value
            for field in dataclasses.fields(self)
            if dataclasses.is_dataclass(value := getattr(self, field.name))
        }

    def to_json(self) -> str:
        """Everything as JSON, a section per configuration."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    def with_json(self, text: str) -> Self:
        """Returns the configuration that `to_json` has written.

        Raises:
            ValueError: The text is no JSON, or a value is out of range.
            KeyError: Something is missing.
            TypeError: Something is of another type, or not known.
        """
        values = json.loads(text)
        sections = self.sections()
        fields = {
            name: type(sections[name])(**_tuples(value))
            if name in sections
            else tuple(value)
            for name, value in values.items()
            if name != "model"
        }
        missing = {field.name for field in dataclasses.fields(self)} - set(values)
        if missing:
            raise KeyError(", ".join(sorted(missing)))
        return dataclasses.replace(self, **fields)

    @abc.abstractmethod
    def describe(self, scores: dict[str, Any]) -> str:
        """The scores as text, for a terminal."""

    @abc.abstractmethod
    def summarize(self, scores: dict[str, Any]) -> str:
        """The scores as one line."""

    @abc.abstractmethod
    def write_plots(self, scores: dict[str, Any], metrics: Path, folder: Path) -> None:
        """Plots what only this kind of task has.

        Args:
            scores: Of the finished run.
            metrics: Its `metrics.jsonl`.
            folder: Where the plots go.
        """

    @abc.abstractmethod
    def read_data(self) -> Data:
        """Reads and checks the corpus.

        Raises:
            CorpusError: It cannot be read.
        """

    @abc.abstractmethod
    def resolved(self, data: Any) -> Self:
        """Fills in what only the data can tell."""

    @abc.abstractmethod
    def build(self) -> Task:
        """Builds the untrained model of a resolved configuration, with its task."""

    @abc.abstractmethod
    def read_training(self, task: Any, data: Any) -> Training:
        """Prepares the training of a task.

        Raises:
            CorpusError: The corpus cannot be trained on.
        """

    def watchers(
        self, task: Any, training: Any, run_dir: Path
    ) -> Sequence[EpochAction]:
        """What else is to be done after every validation of this kind of run."""
        return ()

    @abc.abstractmethod
    def read_split(self, data: DataConfig, split: str) -> Data:
        """Reads a corpus to measure the trained model on one of its splits.

        Args:
            data: That of the run, or another corpus.
            split: The split.

        Raises:
            CorpusError: It cannot be read or used.
        """


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists alone."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
