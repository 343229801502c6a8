"""The training step: forward, loss, gradient, strategies, update."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from tfspeech.strategies import (
    ClippingChain,
    Gradients,
    RegularizationChain,
    densify,
    describe_variables,
)
from tfspeech.strategies.clipping import Clipping
from tfspeech.strategies.regularization import Regularization

Batch = dict[str, tf.Tensor]
Loss = Callable[[dict[str, tf.Tensor], Batch], tf.Tensor]

METRICS = (
    "loss",
    "penalty",
    "gradient_norm",
    "clipped_norm",
    "clipped",
    "skipped",
    "learning_rate",
    "loss_scale",
)
"""What a step reports, in this order: the loss without penalties and the penalties; the
norm of the gradient before and after clipping; whether clipping changed anything and
whether the step was skipped, as 0 or 1; the rate and the loss scale it worked with."""


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

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Puts the averages in the place of the weights for a while."""
        weights = [weight.numpy() for weight in self._weights]
        for weight, average in zip(self._weights, self.averages, strict=True):
            weight.assign(average)
        try:
            yield
        finally:
            for weight, value in zip(self._weights, weights, strict=True):
                weight.assign(value)


class TrainingStep:
    """One update of a model's weights, and all state that goes with it.

    A step that is not finite leaves weights, optimizer and strategies exactly as they
    were; it is counted in `skipped`.

    Args of the constructor:
        model: A built model of the zoo.
        loss: (outputs of the model, batch) -> the mean loss, a scalar.
        optimizer: Not yet built; without clipping or averaging of its own.
        clipping: Strategies in the order in which they act.
        regularization: Likewise.
        accumulate_steps: Batches whose gradients are averaged for one update.
        ema_momentum: Momentum of the moving average of the weights, 0 for none.
    """

    def __init__(
        self,
        model: keras.Model,
        loss: Loss,
        optimizer: keras.optimizers.Optimizer,
        clipping: Sequence[Clipping] = (),
        regularization: Sequence[Regularization] = (),
        *,
        accumulate_steps: int = 1,
        ema_momentum: float = 0.0,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self._loss = loss
        self._accumulate_steps = accumulate_steps
        self._variables = tuple(model.trainable_variables)
        infos = describe_variables(model)
        self._infos = tuple(infos)
        self.clipping = ClippingChain(clipping, infos)
        self.regularization = RegularizationChain(regularization, infos)
        half = model.compute_dtype == "float16"
        self.loss_scale = LossScale(2.0**15) if half else None
        self.average = (
            MovingAverage([v.value for v in self._variables], ema_momentum)
            if ema_momentum
            else None
        )
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.skipped = tf.Variable(0, dtype=tf.int64, trainable=False)
        optimizer.build(self._variables)

    @tf.function(reduce_retracing=True)
    def run(self, batches: Iterator[Batch], steps: tf.Tensor) -> tf.Tensor:
        """Runs several steps in one call.

        Args:
            batches: An iterator of a `tf.data.Dataset`.
            steps: How many, an int32 scalar.

        Returns:
            float32 [steps, metrics], the columns as in `METRICS`.
        """
        rows = tf.TensorArray(tf.float32, steps, element_shape=[len(METRICS)])
        for index in tf.range(steps):
            rows = rows.write(index, self._step(batches))
        return rows.stack()

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
            "average": self.average.averages if self.average else [],
            "loss_scale": self.loss_scale.variables if self.loss_scale else [],
            "counters": [self.steps, self.skipped],
        }
        return {
            f"{group}/{index}": variable
            for group, members in groups.items()
            for index, variable in enumerate(members)
        }

    @contextlib.contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """Has the model carry the weights it is evaluated with: the average, if any."""
        with self.average.swapped_in() if self.average else contextlib.nullcontext():
            yield

    def _step(self, batches: Iterator[Batch]) -> tf.Tensor:
        loss, penalty, raw = self._accumulated(batches)
        present = [i for i, gradient in enumerate(raw) if gradient is not None]
        gradients = Gradients(
            [raw[i] for i in present], [self._infos[i] for i in present]
        )
        norm = gradients.global_norm
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        learning_rate = tf.cast(self.optimizer.learning_rate, tf.float32)
        scale = self.loss_scale.scale if self.loss_scale else tf.constant(1.0)
        scale = tf.identity(scale)

        def update() -> tuple[tf.Tensor, tf.Tensor]:
            clipped = self.clipping(gradients)
            targets = [self._variables[i] for i in present]
            self.optimizer.apply(clipped.values, targets)
            self.regularization.update(self._variables, learning_rate)
            if self.average:
                self.average.update(self.optimizer.iterations.value)
            return clipped.global_norm, tf.reduce_any(clipped.clipped)

        def skip() -> tuple[tf.Tensor, tf.Tensor]:
            self.skipped.assign_add(1)
            return tf.zeros([]), tf.constant(False)

        clipped_norm, was_clipped = tf.cond(finite, update, skip)
        self.steps.assign_add(1)
        if self.loss_scale:
            self.loss_scale.update(finite)
        return tf.stack(
            [
                loss,
                penalty,
                norm,
                clipped_norm,
                tf.cast(was_clipped, tf.float32),
                1.0 - tf.cast(finite, tf.float32),
                learning_rate,
                scale,
            ]
        )

    def _accumulated(
        self, batches: Iterator[Batch]
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor | None]]:
        """Mean loss, penalty and dense gradients over the batches of one step."""
        loss, penalty, gradients = self._gradients(next(batches))
        if self._accumulate_steps == 1:
            return loss, penalty, gradients
        present = [i for i, gradient in enumerate(gradients) if gradient is not None]
        dense = [gradients[i] for i in present]
        for _ in tf.range(self._accumulate_steps - 1):
            more_loss, _, more = self._gradients(next(batches))
            loss += more_loss
            dense = [a + more[i] for a, i in zip(dense, present, strict=True)]
        for i, total in zip(present, dense, strict=True):
            gradients[i] = total / self._accumulate_steps
        return loss / self._accumulate_steps, penalty, gradients

    def _gradients(
        self, batch: Batch
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor | None]]:
        """Loss, penalty and dense, unscaled gradients of one batch."""
        with tf.GradientTape() as tape:
            loss = self._loss(self.model(batch, training=True), batch)
            penalty = self.regularization.penalty(self._variables)
            objective = loss + penalty
            if self.loss_scale:
                objective *= self.loss_scale.scale
        raw = tape.gradient(objective, [v.value for v in self._variables])
        gradients = [densify(gradient) for gradient in raw]
        if self.loss_scale:
            inverse = 1.0 / self.loss_scale.scale
            gradients = [None if g is None else g * inverse for g in gradients]
        return loss, penalty, gradients
