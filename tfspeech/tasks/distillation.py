"""Knowledge distillation: a finished run in the loop as the teacher of another."""

from __future__ import annotations

import tensorflow as tf

from tfspeech.errors import RunError, SpecError
from tfspeech.tasks.pinned import pinned_path
from tfspeech.tasks.runs import load_config, load_task
from tfspeech.tasks.task import RunConfig, Task
from tfspeech.training.config import TrainingConfig
from tfspeech.training.distribution import Distribution
from tfspeech.training.step import Batch, Losses, LossFunction

_STUDENT = "model"


def check_teacher(config: RunConfig) -> None:
    """Checks that the teacher of a resolved configuration, if any, can teach it.

    Raises:
        SpecError: No teacher is for this kind of run.
        RunError: The teacher was trained for something else.
    """
    if not config.training.teacher:
        return
    wanted = config.of_teacher()
    if not wanted:
        raise SpecError(f"{config.model} takes no teacher: leave out --teacher")
    directory = pinned_path(config.training.teacher)
    teacher = load_config(directory)
    if type(teacher) is not type(config):
        raise RunError(
            f"{directory} holds a run of {teacher.model}, which cannot teach "
            f"{config.model}: choose another --teacher"
        )
    found = teacher.of_teacher()
    for name, value in wanted.items():
        if found[name] != value:
            raise RunError(
                f"the teacher {directory} was trained with {name} {found[name]!r}, "
                f"not {value!r}: train both with the same, or choose another --teacher"
            )


def losses_with_teacher(
    task: Task, settings: TrainingConfig, distribution: Distribution
) -> LossFunction:
    """Returns the losses of a task, with those of the teacher, if there is one.

    The loss is (1 - w) L + w D, where L is the task's own and D, the term
    `distillation`, the distance of the student's outputs from the teacher's on the same
    batch, augmentation included. Sources: Hinton, Vinyals and Dean 2015 (arXiv
    1503.02531); Beyer et al. 2022, "Knowledge distillation: A good teacher is patient
    and consistent" (arXiv 2106.05237).

    Args:
        task: That of the student.
        settings: Of its run, which `check_teacher` has checked.
        distribution: The replicas, each of which gets the teacher.

    Raises:
        RunError: The teacher cannot be read.
    """
    if not settings.teacher:
        return task.losses
    with distribution.strategy.scope():
        _, taught_by = load_task(pinned_path(settings.teacher))
    teacher = taught_by.models[_STUDENT]
    teacher.trainable = False
    share = settings.teacher_weight

    def losses(group: str, batch: Batch) -> Losses:
        own = task.losses(group, batch)
        if _STUDENT not in task.groups[group].models:
            return own
        taught = tf.nest.map_structure(tf.stop_gradient, teacher(batch, training=False))
        distance = task.distillation(
            own.outputs, taught, batch, settings.teacher_temperature
        )
        weights = {
            name: (1.0 - share) * own.weights.get(name, 1.0) for name in own.terms
        }
        return own._replace(
            terms={**own.terms, "distillation": distance},
            weights={**weights, "distillation": share},
        )

    return losses
