"""The training step: the groups of a task, one after the other, over one batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfspeech.strategies import Gradients, Update, densify
from tfspeech.strategies.regularization import substituted
from tfspeech.training.distribution import Distribution
from tfspeech.training.group import METRICS, Group

Batch = dict[str, tf.Tensor]
TERM = "loss/"
"""Begins the names of the metrics that are terms of a loss."""


class Losses(NamedTuple):
    """The terms of a group's loss on a batch.

    Attributes:
        terms: Name -> mean over the batch, a float32 scalar.
        weights: Name -> factor in the loss, a number or a scalar tensor; 1 for a name
            that is missing.
        outputs: Of the model, for penalties on activations.
    """

    terms: Mapping[str, tf.Tensor]
    weights: Mapping[str, float | tf.Tensor] = {}
    outputs: Mapping[str, Any] = {}

    @property
    def total(self) -> tf.Tensor:
        """The weighted sum of the terms."""
        return tf.add_n([self.weights.get(n, 1.0) * t for n, t in self.terms.items()])


LossFunction = Callable[[str, Batch], Losses]
"""(name of the group, a replica's batch) -> its losses, with models in training."""

Metrics = dict[str, dict[str, np.ndarray]]
"""Group -> name of a metric -> its values, float32 [steps]."""

UpdateRatios = dict[str, Mapping[str, float]]
"""Group -> path of a variable -> |dw| / |w|, not finite where it is not known."""


class TrainingStep:
    """An update of every group in turn, each seeing what those before it have done.

    Args of the constructor:
        groups: By name, in the order in which they move.
        losses: Of a group.
        weight: How much a batch counts in the means that losses are, where replicas
            share a batch; by default its rows.
        accumulate_steps: Batches whose gradients are averaged for one update.
        distribution: The replicas.
    """

    def __init__(
        self,
        groups: Mapping[str, Group],
        losses: LossFunction,
        *,
        weight: Callable[[Batch], tf.Tensor] | None = None,
        accumulate_steps: int = 1,
        distribution: Distribution | None = None,
    ) -> None:
        self.groups = dict(groups)
        self.distribution = distribution or Distribution()
        self._losses = losses
        self._weight = weight or _rows
        self._accumulate_steps = accumulate_steps
        self._terms: dict[str, tuple[str, ...]] = {}
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """All state of the step by group and path, the same names in every run."""
        return {"steps": self.steps} | {
            f"{name}/{key}": variable
            for name, group in self.groups.items()
            for key, variable in group.variables.items()
        }

    @property
    def settled_after(self) -> int:
        """Updates after which models are what the regularization makes of them."""
        return max(g.regularization.settled_after for g in self.groups.values())

    def run(self, batches: Iterator[Batch], steps: int) -> tuple[Metrics, UpdateRatios]:
        """Runs several steps in one call of a compiled loop.

        Args:
            batches: An iterator of a `tf.data.Dataset`.
            steps: How many.

        Returns:
            The metrics of all steps, and the update ratios in the last one.
        """
        rows, ratios = self._run(batches, tf.constant(steps))
        columns = iter(rows.numpy().T)
        metrics, moved, first = {}, {}, 0
        for name, group in self.groups.items():
            names = (*METRICS, *(TERM + term for term in self._terms[name]))
            metrics[name] = dict(zip(names, columns, strict=False))
            last = first + len(group.infos)
            moved[name] = group.named_ratios(ratios[first:last].numpy().tolist())
            first = last
        return metrics, moved

    @contextlib.contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """Has all models carry the weights they are evaluated with."""
        with contextlib.ExitStack() as stack:
            for group in self.groups.values():
                stack.enter_context(group.evaluation_weights())
            yield

    # AutoGraph would take longer to read the sources than all the rest of the tracing.
    @tf.function(reduce_retracing=True, autograph=False)
    def _run(
        self, batches: Iterator[Batch], steps: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        rows = tf.TensorArray(tf.float32, steps, element_shape=[None])
        ratios = tf.zeros([sum(len(g.infos) for g in self.groups.values())])

        def body(
            index: tf.Tensor, rows: tf.TensorArray, ratios: tf.Tensor
        ) -> tuple[tf.Tensor, tf.TensorArray, tf.Tensor]:
            row, ratios = self._step(batches)
            return index + 1, rows.write(index, row), ratios

        _, rows, ratios = tf.while_loop(
            lambda index, *_: index < steps, body, (0, rows, ratios)
        )
        return rows.stack(), ratios

    def _step(self, batches: Iterator[Batch]) -> tuple[tf.Tensor, tf.Tensor]:
        taken = [next(batches) for _ in range(self._accumulate_steps)]
        row, ratios = [], []
        for name, group in self.groups.items():
            update = group.next_update()
            (loss, penalty, *terms), gradients = self._accumulated(name, taken, update)
            figures, moved = group.step(loss, penalty, gradients, update, self.steps)
            row += [*(figures[metric] for metric in METRICS), *terms]
            ratios.append(moved)
        self.steps.assign_add(1)
        return tf.stack(row), tf.concat(ratios, 0)

    def _accumulated(
        self, name: str, batches: Sequence[Batch], update: Update
    ) -> tuple[list[tf.Tensor], Gradients]:
        """Means over batches and replicas: loss, penalty and terms; the gradients."""
        group = self.groups[name]
        present: list[int] = []

        def of_replica(batch: Batch) -> list[tf.Tensor]:
            measured, raw = self._gradients(name, batch, update)
            present[:] = [i for i, g in enumerate(raw) if g is not None]
            return [*measured, *(raw[i] for i in present)]

        run = self.distribution.strategy.run
        totals = run(of_replica, args=(batches[0],))
        # Unrolled: what Grappler makes of sums of large gradients fails in inner loops.
        for batch in batches[1:]:
            # One batch after the other; all of them at once would not fit in memory.
            with tf.control_dependencies(self.distribution.local(totals)):
                batch = {key: tf.identity(value) for key, value in batch.items()}
            more = run(of_replica, args=(batch,))
            totals = run(_added, args=(totals, more))
        sums = self.distribution.sum(totals)
        if len(batches) > 1:
            sums = [total / len(batches) for total in sums]
        measured = 2 + len(self._terms[name])
        return sums[:measured], group.gradients(sums[measured:], present)

    def _gradients(
        self, name: str, batch: Batch, update: Update
    ) -> tuple[list[tf.Tensor], list[tf.Tensor | None]]:
        """This replica's share of loss, penalty, terms and gradients.

        The gradients are dense and unscaled.
        """
        group = self.groups[name]
        part = self.distribution.share(batch)
        share = self.distribution.fraction(self._weight(part))
        chains = [each.regularization for each in self.groups.values()]
        with tf.GradientTape() as tape:
            with substituted(chains, update):
                losses = self._losses(name, part)
            loss = losses.total * share
            penalty = group.regularization.penalty(losses.outputs, update)
            penalty /= self.distribution.replicas
            objective = loss + penalty
            if group.loss_scale:
                objective *= group.loss_scale.scale
        raw = tape.gradient(objective, group.values)
        gradients = [densify(gradient) for gradient in raw]
        if group.loss_scale:
            inverse = 1.0 / group.loss_scale.scale
            gradients = [None if g is None else g * inverse for g in gradients]
        self._terms[name] = tuple(losses.terms)
        terms = [term * share for term in losses.terms.values()]
        return [loss, penalty, *terms], gradients


def _rows(batch: Batch) -> tf.Tensor:
    """The number of rows, a float32 scalar."""
    return tf.cast(tf.shape(next(iter(batch.values())))[0], tf.float32)


def _added(first: list[tf.Tensor], second: list[tf.Tensor]) -> list[tf.Tensor]:
    return [a + b for a, b in zip(first, second, strict=True)]
