"""The interfaces between the commands, the training loop and the kinds of models.

A kind is a folder beside this file. It has a `RunConfig`, which decides the outcome of
a run and builds everything else: the data, the `Task`, and the `Training`.
"""

from __future__ import annotations

import abc
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import keras
import numpy as np
import tensorflow as tf

from tfspeech.config import from_json
from tfspeech.data.batches import BatchPlan
from tfspeech.data.checks import Report
from tfspeech.data.config import DataConfig
from tfspeech.data.manifest import Corpus
from tfspeech.data.pipeline import planned_batches
from tfspeech.tasks.conditions import Condition
from tfspeech.tasks.limits import Limits
from tfspeech.tasks.lite import LiteModel
from tfspeech.training.callbacks import Monitor
from tfspeech.training.config import OptimizationConfig, TrainingConfig
from tfspeech.training.loop import EpochCallback
from tfspeech.training.plots import Panel, plot_validation
from tfspeech.training.step import Batch, Losses
from tfspeech.versions import current_versions

VERSIONS = "versions"
"""The key of the versions of the programs that wrote a configuration."""


class Data(Protocol):
    """A checked corpus in the form a task asks for.

    Attributes:
        corpus: The utterances.
        report: What the check of the corpus found.
    """

    corpus: Corpus
    report: Report


class GroupSpec(NamedTuple):
    """Variables of a task that one optimizer moves.

    Attributes:
        models: Names of the models whose trainable variables it moves.
        settings: Optimizer, schedule and strategies; None for those of the run.
    """

    models: tuple[str, ...]
    settings: OptimizationConfig | None = None


class WordJudgement(NamedTuple):
    """Result of a `Listener`.

    Attributes:
        probabilities: Of every label, float32 [clips, labels].
        embeddings: What these are computed from, float32 [clips, channels].
    """

    probabilities: np.ndarray
    embeddings: np.ndarray


class Listener(Protocol):
    """Recogniser of words that judges the speech of other models.

    Attributes:
        labels: The words that it knows.
    """

    labels: Sequence[str]

    def __call__(self, clips: Sequence[np.ndarray], rate_hz: int) -> WordJudgement:
        """Recognises clips, each float32 [samples] in [-1, 1]."""


class Task(abc.ABC):
    """Purpose of one or several models: losses, scores and serving.

    Attributes:
        monitor: The validation score by which models are chosen.
        recognizes: Whether it takes audio and says which words were spoken; then
            `transcribe(samples, rate_hz)` returns a named tuple that begins with these
            words and their probability.
        takes_blocks: Whether `transcribe_blocks(blocks, rate_hz)` takes recordings that
            are too long for memory.
        takes_stream: Whether `transcribe_stream(chunks)` yields what is said while
            samples come, if the model is causal.
        takes_language_model: Whether `use_language_model(folder)` has it search for
            the text that is the most probable under a language model, too.
        adapts: Whether `adapt(corpus)` fits the model to a speaker's recordings, and
            `calibrate(data, split, false_alarms)` its probabilities to a corpus.
        speaks: Whether it takes text and returns audio.
        vocodes: Whether it takes acoustic frames and returns audio.
        generates: Whether it makes speech of nothing but a seed; then
            `draw_frames(count, **conditions)` returns clips, `waveforms(clips)` makes
            speech of them, and its `recognizer`, a `Listener` or None, judges it.
        conditions: What speech can be asked for besides its text.
        limits: Of a request, for commands and for what `server` returns.
        models: By name. All are saved; those that no group names are frozen.
        groups: By name, in the order in which they move in every step.
    """

    monitor: ClassVar[Monitor]
    recognizes: ClassVar[bool] = False
    takes_blocks: ClassVar[bool] = False
    takes_stream: ClassVar[bool] = False
    takes_language_model: ClassVar[bool] = False
    adapts: ClassVar[bool] = False
    speaks: ClassVar[bool] = False
    vocodes: ClassVar[bool] = False
    generates: ClassVar[bool] = False
    conditions: Sequence[Condition] = ()
    limits: Limits = Limits()

    def __init__(self, **models: keras.Model) -> None:
        self.models = models
        self.groups = {"model": GroupSpec(tuple(models))}

    @abc.abstractmethod
    def losses(self, group: str, batch: Batch, training: bool = True) -> Losses:
        """The terms of a group's loss, means over a batch.

        Args:
            group: Its name.
            batch: Of `Training.batches`; where replicas share a batch some of its rows.
            training: Whether dropout and the like are on.
        """

    def distillation(
        self,
        outputs: dict[str, tf.Tensor],
        taught: dict[str, tf.Tensor],
        batch: Batch,
        temperature: float,
    ) -> tf.Tensor:
        """The distance of the model's outputs from a teacher's, a mean over a batch.

        Args:
            outputs: Of the model called `model`.
            taught: Of the teacher, likewise.
            batch: That both have seen.
            temperature: Divides logits.

        Raises:
            NotImplementedError: `RunConfig.of_teacher` is empty for this kind.
        """
        raise NotImplementedError

    @abc.abstractmethod
    def weight(self, batch: Batch) -> tf.Tensor:
        """How much a batch counts in a mean of losses, a float32 scalar."""

    @abc.abstractmethod
    def evaluate_split(self, data: Any, split: str) -> dict[str, Any]:
        """Scores the model on one split of a corpus; `loss` is among the scores."""

    @abc.abstractmethod
    def server(self) -> tf.Module:
        """The module that is exported.

        It has `signatures`; `examples`, a request of one row for each of them; and
        `metadata`, properties that its signatures do not tell a client.
        """

    def listener(self) -> Listener | None:
        """The model as a judge of which words are said, None where it is none."""
        return None

    def lite(self) -> LiteModel | None:
        """The part of the model that TFLite runs, None where there is none."""
        return None


class ModelTask(Task):
    """A task of one model, which takes a batch as it is.

    Args of the constructor:
        model: The model.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model=model)
        self.model = model

    def losses(self, group: str, batch: Batch, training: bool = True) -> Losses:
        """The terms of the loss, means over a batch; see `losses_of`."""
        asked = bool(getattr(self.model, "activation_names", ()))
        options = {"with_activations": True} if asked else {}
        return self.losses_of(self.model(batch, training=training, **options), batch)

    @abc.abstractmethod
    def losses_of(self, outputs: dict[str, tf.Tensor], batch: Batch) -> Losses:
        """The terms of the loss of the model's outputs, means over a batch."""

    def mean_loss(self, batches: tf.data.Dataset) -> float:
        """The mean loss over batches by their weight, under teacher forcing if any."""
        total = count = 0.0
        for batch in batches:
            loss, weight = self._evaluate(batch)
            total, count = total + float(loss * weight), count + float(weight)
        return total / count

    @tf.function(reduce_retracing=True)
    def _evaluate(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        loss = self.losses("model", batch, training=False).total
        return loss, self.weight(batch)


class Training(abc.ABC):
    """The data of a training run, in the form in which its loop asks for them.

    Args of the constructor:
        lengths: Of the training utterances, [utterances], in any unit.
        settings: Of the run.
        pool: How many of them, the last ones, are drawn anew in each epoch.
        drawn: How many of those take part in an epoch; see `BatchPlan`.

    Attributes:
        examples: Utterances of the training set.
        steps_per_epoch: Steps in which every utterance comes at least once.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        settings: TrainingConfig,
        pool: int = 0,
        drawn: int = 0,
    ) -> None:
        self.examples = len(lengths)
        self._seed = settings.seed
        self._batches_per_step = settings.accumulate_steps
        self._plan = BatchPlan(
            lengths,
            settings.batch_size,
            settings.accumulate_steps,
            settings.seed,
            pool,
            drawn,
        )
        self.steps_per_epoch = self._plan.batches_per_epoch // self._batches_per_step

    def batches(
        self, first_step: int, shard: tuple[int, int] = (0, 1)
    ) -> tf.data.Dataset:
        """Endless batches, each the same from wherever it is asked for.

        Args:
            first_step: The step to begin with.
            shard: Which rows of every batch are read: those of one of several workers.

        Returns:
            What `load` returns, with the `seeds` of the rows, int64 [batch].
        """
        return planned_batches(
            self._plan,
            self.load,
            first_step * self._batches_per_step,
            seed=self._seed,
            shard=shard,
        )

    @abc.abstractmethod
    def load(self, rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        """Reads a batch in `tf.data`.

        Args:
            rows: Places of its utterances in the training set, int64 [batch].
            seeds: Of whatever is drawn for each of them, int64 [batch].
        """

    @abc.abstractmethod
    def set_statistics(self) -> None:
        """Has the models normalise by the training set."""

    @abc.abstractmethod
    def validate(self) -> dict[str, Any]:
        """Scores the models on the validation split."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(abc.ABC):
    """Everything that decides the outcome of a training run.

    Attributes:
        model: A name that `registry.find_model` knows.
        architecture: That model's own configuration.
        data: The corpus.
        features: Of the audio; they have a `sample_rate_hz`.
        training: The loop.
        usage: How a trained model is tried; `{}` is its directory.
        panels: Of the plot of all validations; see `plot_validation`.
    """

    usage: ClassVar[str]
    panels: ClassVar[Sequence[Panel]]
    model: str
    architecture: Any
    data: DataConfig
    features: Any
    training: TrainingConfig

    @property
    def name(self) -> str:
        """The name of the model in folders and on servers: without its module."""
        return self.model.rpartition(":")[2]

    def sections(self) -> dict[str, Any]:
        """The configurations that this one is made of, by the name of the field."""
        return {
            field.name: value
            for field in dataclasses.fields(self)
            if dataclasses.is_dataclass(value := getattr(self, field.name))
        }

    def to_json(self) -> str:
        """Everything as JSON, a section per configuration, and who wrote it."""
        values = {**dataclasses.asdict(self), VERSIONS: current_versions()}
        return json.dumps(values, indent=2) + "\n"

    def with_json(self, values: dict[str, Any]) -> Self:
        """Returns the configuration that `to_json` has written.

        Args:
            values: Of the JSON object.

        Raises:
            SpecError: Something is not known, of another type or out of range.
            ValueError: Something is missing.
        """
        missing = {field.name for field in dataclasses.fields(self)} - set(values)
        if missing:
            raise ValueError(f"{', '.join(sorted(missing))} is missing")
        values = {name: value for name, value in values.items() if name != VERSIONS}
        return from_json(self, values)

    def of_teacher(self) -> dict[str, Any]:
        """Returns the settings that a teacher must share with its student, by name.

        Empty where no teacher is for this kind of run; otherwise its task has
        `distillation`.
        """
        return {}

    @staticmethod
    @abc.abstractmethod
    def describe(scores: dict[str, Any]) -> str:
        """The scores as text, for a terminal."""

    @abc.abstractmethod
    def summarize(self, scores: dict[str, Any]) -> str:
        """The scores as one line."""

    def write_plots(self, scores: dict[str, Any], metrics: Path, folder: Path) -> None:
        """Plots how the run has learned, and what only this kind of task has.

        Args:
            scores: Of the finished run.
            metrics: Its `metrics.jsonl`.
            folder: Where the plots go.
        """
        plot_validation(metrics, self.panels, folder / "learning.png")

    @abc.abstractmethod
    def read_data(
        self, data: DataConfig | None = None, split: str | None = None
    ) -> Data:
        """Reads and checks a corpus.

        Args:
            data: Another one than that of the run.
            split: Check this split alone, to measure the trained model on it.

        Raises:
            CorpusError: It cannot be read or used.
        """

    def resolved(self, data: Any) -> Self:
        """Fills in what only the data can tell: the rate."""
        features = dataclasses.replace(
            self.features, sample_rate_hz=data.features.sample_rate_hz
        )
        return dataclasses.replace(self, features=features)

    @abc.abstractmethod
    def build(self, model: type[keras.Model]) -> Task:
        """Builds the untrained model of a resolved configuration, with its task.

        Args:
            model: The class of the model, of the registry.
        """

    @abc.abstractmethod
    def read_training(self, task: Any, data: Any) -> Training:
        """Prepares the training of a task.

        Raises:
            CorpusError: The corpus cannot be trained on.
        """

    def callbacks(
        self, task: Any, training: Any, run_dir: Path
    ) -> Sequence[EpochCallback]:
        """Returns further callbacks after every validation of this kind of run."""
        return ()
