"""The configuration of a training run, whatever the model."""

from __future__ import annotations

import dataclasses

from models.config import (
    BELOW_1,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Options,
    decade_around,
    option,
)
from tfspeech.strategies import parse_clipping, parse_regularization
from tfspeech.training.distribution import DISTRIBUTIONS
from tfspeech.training.optimizers import Schedule, parse_optimizer

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclasses.dataclass(frozen=True)
class OptimizationConfig(Options):
    """Optimization: how a group of variables is moved."""

    optimizer: str = option(
        "adamw(0.02)",
        "sgd, adam, adamw or rmsprop, with arguments or without",
        metavar="SPEC",
    )
    learning_rate: float = option(
        3e-3, "peak learning rate", POSITIVE, search=decade_around
    )
    schedule: str = option(
        "cosine()",
        "constant, cosine(final), exponential(rate, steps) or noam",
        metavar="SPEC",
    )
    warmup_steps: int = option(
        50, "updates of linear warm-up", NOT_NEGATIVE, unit="steps"
    )
    clip: tuple[str, ...] = option(
        ("global_norm(5.0)",),
        "clipping strategy, see tfspeech list strategies, or package.module:Class; "
        "repeat it for a chain",
        metavar="SPEC",
    )
    regularize: tuple[str, ...] = option(
        (),
        "regularization strategy, likewise; repeat it for a chain",
        metavar="SPEC",
    )
    ema_momentum: float = option(
        0.99, "moving average of the weights, 0 for none", BELOW_1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        # What does not parse is to fail before any data is read.
        parse_clipping(self.clip)
        parse_regularization(self.regularize)
        parse_optimizer(self.optimizer)
        Schedule(self.schedule, 1.0, 0, 1)


@dataclasses.dataclass(frozen=True)
class TrainingConfig(OptimizationConfig):
    """Training."""

    epochs: int = option(15, "passes over the training set")
    batch_size: int = option(64, "utterances per batch")
    accumulate_steps: int = option(1, "batches averaged for one update")
    seed: int = option(
        0, "seed of weights, data order, augmentation and dropout", NOT_NEGATIVE
    )
    init_from: str = option(
        "",
        "run whose best weights to start from, as far as they fit",
        metavar="RUN_DIR",
    )
    teacher: str = option(
        "",
        "finished run whose outputs are soft targets, for recognisers and synthesis "
        "with durations",
        metavar="RUN_DIR",
    )
    teacher_weight: float = option(
        0.7, "share of the distance from the teacher in the loss", SHARE
    )
    teacher_temperature: float = option(
        2.0, "divides the logits of student and teacher, for recognisers", POSITIVE
    )
    distribute: str = option(
        "none",
        "replicas: all GPUs of this machine, or the processes of $TF_CONFIG",
        choices=DISTRIBUTIONS,
    )
    precision: str = option("float32", "arithmetic of the layers", choices=PRECISIONS)
    patience: int = option(
        0,
        "stop after so many epochs without a better validation metric, 0 for never",
        NOT_NEGATIVE,
    )
    max_skipped_steps: int = option(
        50, "steps in a row that may be skipped before the run stops", unit="steps"
    )
    steps_per_call: int = option(
        10, "steps per call of the compiled loop; a signal waits for its end"
    )
    checkpoint_steps: int = option(
        1000, "steps between checkpoints, besides one per epoch", unit="steps"
    )
