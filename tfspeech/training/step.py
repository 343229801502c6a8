"""The training step: forward, loss, gradient, strategies, update."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfspeech.strategies import (
    Clipping,
    ClippingChain,
    Gradients,
    Regularization,
    RegularizationChain,
    Run,
    Update,
    densify,
    describe_variables,
)
from tfspeech.strategies.variables import WEIGHT_KINDS
from tfspeech.training.diagnostics import (
    SpikeMeter,
    UpdateProbe,
    WeightFigures,
    clipping_figures,
    weight_figures,
)
from tfspeech.training.distribution import Distribution

Batch = dict[str, tf.Tensor]
Loss = Callable[[dict[str, tf.Tensor], Batch], tf.Tensor]
Weight = Callable[[Batch], tf.Tensor]

METRICS = (
    "loss",
    "penalty",
    "gradient_norm",
    "norm_zscore",
    "clipped_norm",
    "threshold",
    "clipped",
    "clipped_tensors",
    "clipped_elements",
    "cosine",
    "retained_energy",
    "update_cosine",
    "sign_flips",
    "skipped",
    "learning_rate",
    "loss_scale",
)
"""What a step reports, in this order: the loss without penalties and the penalties; the
norm of the gradient and how unusual it is; what clipping did to it (see
`clipping_figures`); how the weights moved (see `UpdateProbe`); whether the step was
skipped, as 0 or 1; the rate and the loss scale it worked with. NaN for what a step did
not measure."""


class LossScale:
    """The factor that keeps half-precision gradients from vanishing.

    It doubles after 2,000 finite steps and halves at one that is not. Source:
    Micikevicius et al. 2018, "Mixed Precision Training" (arXiv 1710.03740), section
    3.2.
    """

    def __init__(self, initial: float, growth_steps: int = 2000) -> None:
        self._growth_steps = growth_steps
        self.scale = tf.Variable(initial, trainable=False)
        self.finite_steps = tf.Variable(0, trainable=False)
        self.variables = [self.scale, self.finite_steps]

    def update(self, finite: tf.Tensor) -> None:
        """Adapts the scale to whether the step was finite, a bool scalar."""
        self.finite_steps.assign(tf.where(finite, self.finite_steps + 1, 0))
        grow = self.finite_steps >= self._growth_steps
        factor = tf.where(finite, tf.where(grow, 2.0, 1.0), 0.5)
        self.scale.assign(tf.clip_by_value(self.scale * factor, 1.0, 2.0**24))
        self.finite_steps.assign(tf.where(grow, 0, self.finite_steps))


class MovingAverage:
    """The exponential moving average of weights: a <- m a + (1 - m) w.

    The momentum starts low and rises to m, min(m, (1 + t) / (10 + t)) after t updates,
    so that the first weights are soon forgotten.
    """

    def __init__(self, weights: Sequence[tf.Variable], momentum: float) -> None:
        self._weights = tuple(weights)
        self._momentum = momentum
        self.averages = [tf.Variable(w, trainable=False) for w in weights]

    def update(self, updates: tf.Tensor) -> None:
        """Takes in the current weights after `updates` updates, an integer scalar."""
        t = tf.cast(updates, tf.float32)
        momentum = tf.minimum(self._momentum, (1.0 + t) / (10.0 + t))
        for average, weight in zip(self.averages, self._weights, strict=True):
            average.assign_add((1.0 - momentum) * (weight - average))


class TrainingStep:
    """One update of a model's weights, and all state that goes with it.

    A step that is not finite, or that a clipping strategy refuses, leaves weights,
    optimizer and strategies exactly as they were; it is counted in `skipped`.

    Args of the constructor:
        model: A freshly built model of the zoo, built in the scope of the distribution.
        loss: (outputs of the model, batch) -> the mean loss, a scalar.
        optimizer: Built in that scope, but not yet for any weights; without clipping
            or averaging of its own.
        clipping: Strategies in the order in which they act.
        regularization: Likewise.
        run: What strategies are told about the run.
        weight: How much a batch counts in the mean that the loss is, where replicas
            share a batch; by default its rows.
        accumulate_steps: Batches whose gradients are averaged for one update.
        ema_momentum: Momentum of the moving average of the weights, 0 for none.
        distribution: The replicas.

    Raises:
        SpecError: A strategy is not for this model or run.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: Loss,
        optimizer: keras.optimizers.Optimizer,
        clipping: Sequence[Clipping] = (),
        regularization: Sequence[Regularization] = (),
        run: Run | None = None,
        *,
        weight: Weight | None = None,
        accumulate_steps: int = 1,
        ema_momentum: float = 0.0,
        distribution: Distribution | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.distribution = distribution or Distribution()
        self._loss = loss
        self._weight = weight or _rows
        self._accumulate_steps = accumulate_steps
        infos = describe_variables(model)
        run = run or Run(updates=2**31 - 1, examples=1)
        with self.distribution.strategy.scope():
            self.regularization = RegularizationChain(
                regularization, [model], infos, run
            )
            self._variables = (
                *model.trainable_variables,
                *self.regularization.parameters,
            )
            optimizer.build(self._variables)
        self._infos = (*infos, *self.regularization.parameter_infos)
        self.clipping = ClippingChain(clipping, self._infos)
        half = model.compute_dtype == "float16"
        self.loss_scale = LossScale(2.0**15) if half else None
        self.average = (
            MovingAverage([v.value for v in self._variables], ema_momentum)
            if ema_momentum
            else None
        )
        self._probe = UpdateProbe(self._variables, self._infos)
        self._spikes = SpikeMeter()
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.skipped = tf.Variable(0, dtype=tf.int64, trainable=False)

    @tf.function(reduce_retracing=True)
    def _run(
        self, batches: Iterator[Batch], steps: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        rows = tf.TensorArray(tf.float32, steps, element_shape=[len(METRICS)])
        ratios = tf.zeros([len(self._infos)])
        for index in tf.range(steps):
            row, ratios = self._step(batches)
            rows = rows.write(index, row)
        return rows.stack(), ratios

    def run(
        self, batches: Iterator[Batch], steps: int
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Runs several steps in one call of a compiled loop.

        Args:
            batches: An iterator of a `tf.data.Dataset`.
            steps: How many.

        Returns:
            The metrics by name, each float32 [steps]; and |dw| / |w| in the last step,
            by the path of the variable.
        """
        rows, ratios = self._run(batches, tf.constant(steps))
        metrics = dict(zip(METRICS, rows.numpy().T, strict=True))
        return metrics, dict(
            zip(self._probe.paths, ratios.numpy().tolist(), strict=True)
        )

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """All state of a step, by names that are the same in every run.

        Keras counts its names per process ("adam_2"), and TensorFlow's own tracking
        loses layers that a Keras 3 model keeps in lists, so the places count.
        """
        groups = {
            "model": [v.value for v in self.model.variables],
            "optimizer": [v.value for v in self.optimizer.variables],
            "clipping": self.clipping.variables,
            "regularization": self.regularization.variables,
            "parameters": [v.value for v in self.regularization.parameters],
            "average": self.average.averages if self.average else [],
            "loss_scale": self.loss_scale.variables if self.loss_scale else [],
            "diagnostics": [*self._probe.variables, *self._spikes.variables],
            "counters": [self.steps, self.skipped],
        }
        return {
            f"{group}/{index}": variable
            for group, members in groups.items()
            for index, variable in enumerate(members)
        }

    @contextlib.contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """Has the model carry the weights it is evaluated with.

        These are their average, if one is kept, after reparameterization. A weight
        that is exactly zero stays zero: an average would forget it only slowly.
        """
        trained = [variable.numpy() for variable in self._variables]
        if self.average:
            for variable, mean in zip(
                self._variables, self.average.averages, strict=True
            ):
                variable.assign(tf.where(variable.value == 0.0, 0.0, mean))
        for variable, value in self.regularization.evaluated_weights():
            variable.assign(value)
        try:
            yield
        finally:
            for variable, value in zip(self._variables, trained, strict=True):
                variable.assign(value)

    def weight_figures(self) -> WeightFigures:
        """How sparse the weights are that the model carries now."""
        return weight_figures(self._variables, self._infos)

    def _step(self, batches: Iterator[Batch]) -> tuple[tf.Tensor, tf.Tensor]:
        learning_rate = tf.cast(self.optimizer.learning_rate, tf.float32)
        update = Update(tf.cast(self.optimizer.iterations, tf.int64), learning_rate)
        loss, penalty, gradients = self._accumulated(batches, update)
        norm = gradients.global_norm
        accepted = (
            tf.math.is_finite(norm)
            & tf.math.is_finite(loss)
            & self.clipping.accepts(gradients)
        )
        scale = self.loss_scale.scale if self.loss_scale else tf.constant(1.0)
        scale = tf.identity(scale)
        figures = {
            "loss": loss,
            "penalty": penalty,
            "gradient_norm": norm,
            "norm_zscore": self._spikes.measure(norm),
            "skipped": 1.0 - tf.cast(accepted, tf.float32),
            "learning_rate": learning_rate,
            "loss_scale": scale,
        }
        left = [name for name in METRICS if name not in figures]

        def make() -> tuple[list[tf.Tensor], tf.Tensor]:
            clipped = self.clipping(gradients)
            found = clipping_figures(gradients, clipped, self.steps)
            self._apply(clipped, update)
            self._spikes.update(norm)
            moves, ratios = self._probe.measure()
            found |= moves
            return [found[name] for name in left], ratios

        def skip() -> tuple[list[tf.Tensor], tf.Tensor]:
            self.skipped.assign_add(1)
            nothing = tf.fill([len(self._infos)], float("nan"))
            zero = {"clipped_norm", "clipped"}
            return [
                tf.constant(0.0 if name in zero else float("nan")) for name in left
            ], nothing

        measured, ratios = tf.cond(accepted, make, skip)
        figures |= dict(zip(left, measured, strict=True))
        self.steps.assign_add(1)
        if self.loss_scale:
            self.loss_scale.update(tf.math.is_finite(norm))
        return tf.stack([figures[name] for name in METRICS]), ratios

    def _apply(self, gradients: Gradients, update: Update) -> None:
        """Moves the weights: optimizer, update rules and constraints, average.

        It runs outside the replicas, once, so that it can be skipped; Keras's own
        `apply` runs inside them and would add up their gradients once more.
        """
        decay = self.optimizer.weight_decay
        places = {info.path: i for i, info in enumerate(self._infos)}
        for value, info in zip(gradients.values, gradients.infos, strict=True):

            def move(
                weight: tf.Variable,
                gradient: tf.Tensor,
                rate: tf.Tensor,
                decayed: bool = bool(decay) and info.kind in WEIGHT_KINDS,
            ) -> None:
                if decayed:
                    weight.assign_sub(weight * (decay * rate))
                self.optimizer.update_step(gradient, weight, rate)

            self.distribution.strategy.extended.update(
                self._variables[places[info.path]].value,
                move,
                args=(value, update.learning_rate),
                group=False,
            )
        self.optimizer.iterations.assign_add(1)
        self.regularization.update(update)
        if self.average:
            self.average.update(self.optimizer.iterations.value)

    def _accumulated(
        self, batches: Iterator[Batch], update: Update
    ) -> tuple[tf.Tensor, tf.Tensor, Gradients]:
        """Mean loss, penalty and gradient over the batches and replicas of one step."""
        present: list[int] = []

        def of_replica(batch: Batch) -> list[tf.Tensor]:
            loss, penalty, raw = self._gradients(batch, update)
            present[:] = [i for i, g in enumerate(raw) if g is not None]
            return [loss, penalty, *(raw[i] for i in present)]

        run = self.distribution.strategy.run
        totals = run(of_replica, args=(next(batches),))
        # Unrolled: what Grappler makes of sums of large gradients fails in inner loops.
        for _ in range(self._accumulate_steps - 1):
            # One batch after the other; all of them at once would not fit in memory.
            with tf.control_dependencies(self.distribution.local(totals)):
                batch = next(batches)
            more = run(of_replica, args=(batch,))
            totals = run(_added, args=(totals, more))
        sums = self.distribution.sum(totals)
        if self._accumulate_steps > 1:
            sums = [total / self._accumulate_steps for total in sums]
        loss, penalty, *tensors = sums
        weights = [tf.convert_to_tensor(self._variables[i].value) for i in present]
        infos = [self._infos[i] for i in present]
        return loss, penalty, Gradients(tensors, infos, weights)

    def _gradients(
        self, batch: Batch, update: Update
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor | None]]:
        """This replica's share of loss, penalty and gradients, dense and unscaled."""
        part = self.distribution.share(batch)
        share = self._weight(part) / self._weight(batch)
        with tf.GradientTape() as tape:
            with self.regularization.substituted(update):
                outputs = self.model(part, training=True)
            loss = self._loss(outputs, part) * share
            penalty = self.regularization.penalty(outputs, update)
            penalty /= self.distribution.replicas
            objective = loss + penalty
            if self.loss_scale:
                objective *= self.loss_scale.scale
        raw = tape.gradient(objective, [v.value for v in self._variables])
        gradients = [densify(gradient) for gradient in raw]
        if self.loss_scale:
            inverse = 1.0 / self.loss_scale.scale
            gradients = [None if g is None else g * inverse for g in gradients]
        return loss, penalty, gradients


def _rows(batch: Batch) -> tf.Tensor:
    """The number of rows, a float32 scalar."""
    return tf.cast(tf.shape(next(iter(batch.values())))[0], tf.float32)


def _added(first: list[tf.Tensor], second: list[tf.Tensor]) -> list[tf.Tensor]:
    return [a + b for a, b in zip(first, second, strict=True)]
