"""The models of a task in groups, each with its optimizer and its strategies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.strategies import (
    Run,
    VariableInfo,
    describe_variables,
    parse_clipping,
    parse_regularization,
)
from tfspeech.tasks.distillation import losses_with_teacher
from tfspeech.tasks.registry import build_task
from tfspeech.tasks.task import GroupSpec, RunConfig, Task
from tfspeech.training.config import TrainingConfig
from tfspeech.training.diagnostics import weight_figures
from tfspeech.training.distribution import Distribution
from tfspeech.training.group import Group
from tfspeech.training.optimizers import Schedule, build_optimizer
from tfspeech.training.step import TrainingStep

Infos = Mapping[str, Sequence[VariableInfo]]
"""Name of a group -> its trainable variables, as they were initialised."""


def build_seeded(config: RunConfig, distribution: Distribution) -> Task:
    """Builds the untrained model of a resolved configuration from its seed."""
    keras.utils.set_random_seed(config.training.seed)
    with distribution.strategy.scope():
        return build_task(config)


def count_parameters(task: Task) -> int:
    """The parameters of all models of a task."""
    return sum(model.count_params() for model in task.models.values())


def describe_groups(task: Task) -> Infos:
    """Describes the trainable variables of every group, as they are initialised."""
    return {
        name: describe_variables(*_models(task, spec))
        for name, spec in task.groups.items()
    }


def describe_weights(task: Task, infos: Infos) -> dict[str, float]:
    """The figures of all trainable weights, as the models carry them now."""
    models = [m for spec in task.groups.values() for m in _models(task, spec)]
    variables = [v for model in models for v in model.trainable_variables]
    described = [info for group in infos.values() for info in group]
    return dataclasses.asdict(weight_figures(variables, described))


def frozen_weights(task: Task) -> dict[str, tf.Variable]:
    """The weights of models that no group moves, by names that are always the same."""
    moved = {name for spec in task.groups.values() for name in spec.models}
    return {
        f"frozen/{name}/{weight.path}": weight.value
        for name, model in task.models.items()
        if name not in moved
        for weight in model.weights
    }


def build_step(
    task: Task,
    settings: TrainingConfig,
    run: Run,
    distribution: Distribution,
    infos: Infos,
) -> TrainingStep:
    """Builds the step that a configuration describes, with its optimizers and chains.

    Raises:
        SpecError: A strategy is not for these models or this run, or a batch is smaller
            than the number of replicas.
        RunError: The teacher cannot be read.
    """
    if settings.batch_size < distribution.replicas:
        raise SpecError(
            f"--batch-size {settings.batch_size} is less than one utterance for each "
            f"of {distribution.replicas} replicas"
        )
    groups = {}
    for name, spec in task.groups.items():
        own = spec.settings or settings
        schedule = Schedule(
            own.schedule, own.learning_rate, own.warmup_steps, run.updates
        )
        with distribution.strategy.scope():
            optimizer = build_optimizer(own.optimizer, schedule)
        groups[name] = Group(
            _models(task, spec),
            optimizer,
            parse_clipping(own.clip),
            parse_regularization(own.regularize),
            run,
            infos=infos[name],
            ema_momentum=own.ema_momentum,
            distribution=distribution,
        )
    return TrainingStep(
        groups,
        losses_with_teacher(task, settings, distribution),
        weight=task.weight,
        accumulate_steps=settings.accumulate_steps,
        distribution=distribution,
    )


def _models(task: Task, spec: GroupSpec) -> list[keras.Model]:
    """The models whose weights a group moves."""
    return [task.models[name] for name in spec.models]
