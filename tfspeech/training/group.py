"""A group of the training step: variables, their optimizer and their strategies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import keras
import tensorflow as tf

from tfspeech.strategies import (
    Clipping,
    ClippingChain,
    Gradients,
    Regularization,
    RegularizationChain,
    Run,
    Update,
    VariableInfo,
    describe_variables,
)
from tfspeech.strategies.variables import WEIGHT_KINDS
from tfspeech.training.diagnostics import (
    GRADIENT_FIGURES,
    UPDATE_FIGURES,
    StepDiagnostics,
    WeightFigures,
    weight_figures,
)
from tfspeech.training.distribution import Distribution

METRICS = (
    "loss",
    "penalty",
    *GRADIENT_FIGURES,
    "skipped",
    "learning_rate",
    "loss_scale",
    *UPDATE_FIGURES,
)
"""The metrics of every group and step, besides the terms of its loss: the loss without
penalties and the penalties; the norm of the gradient and how unusual it is; whether the
step was skipped, as 0 or 1; the rate and the loss scale it worked with; what clipping
did to the gradient (see `clipping_figures`); how the weights moved (see `UpdateProbe`).
NaN for what a step did not measure."""


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
        self.variables = {
            "loss_scale/scale": self.scale,
            "loss_scale/finite_steps": self.finite_steps,
        }

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


class Group:
    """The trainable variables of some models, and all that moves and measures them.

    A step that is not finite, or that a clipping strategy refuses, leaves weights,
    optimizer and strategies exactly as they were; it is counted in `skipped`.

    Args of the constructor:
        models: Freshly built models, built in the scope of the distribution. They may
            have taken other weights since `infos` were described.
        optimizer: Built in that scope, but not yet for any weights; without clipping
            or averaging of its own.
        clipping: Strategies in the order in which they act.
        regularization: Likewise.
        run: What strategies are told about the run.
        infos: Of `describe_variables`, by default of the models as they are.
        ema_momentum: Momentum of the moving average of the weights, 0 for none.
        distribution: The replicas.

    Raises:
        SpecError: A strategy is not for these models or this run.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        optimizer: keras.optimizers.Optimizer,
        clipping: Sequence[Clipping] = (),
        regularization: Sequence[Regularization] = (),
        run: Run | None = None,
        *,
        infos: Sequence[VariableInfo] | None = None,
        ema_momentum: float = 0.0,
        distribution: Distribution | None = None,
    ) -> None:
        self.models = tuple(models)
        self.optimizer = optimizer
        self._strategy = (distribution or Distribution()).strategy
        infos = describe_variables(*models) if infos is None else infos
        run = run or Run(updates=2**31 - 1, examples=1)
        with self._strategy.scope():
            self.regularization = RegularizationChain(
                regularization, self.models, infos, run
            )
            self._variables = (
                *(v for model in models for v in model.trainable_variables),
                *self.regularization.parameters,
            )
            optimizer.build(self._variables)
        self.infos = (*infos, *self.regularization.parameter_infos)
        self.clipping = ClippingChain(clipping, self.infos)
        half = any(model.compute_dtype == "float16" for model in models)
        self.loss_scale = LossScale(2.0**15) if half else None
        self.average = (
            MovingAverage(self.values, ema_momentum) if ema_momentum else None
        )
        self._diagnostics = StepDiagnostics(self._variables, self.infos)
        self.skipped = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def values(self) -> list[tf.Variable]:
        """The variables that are moved, those of strategies behind the models'."""
        return [variable.value for variable in self._variables]

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """All state, by names that are the same in every run.

        Keras counts the names of optimizers and of random generators per process
        ("adam_2"), so these are left out of the names.
        """
        weights = [v for m in self.models for v in m.weights]
        known = {id(weight) for weight in weights}
        others = [v for m in self.models for v in m.variables if id(v) not in known]
        added = self.regularization.parameters
        measured = self._diagnostics.variables
        pairs = [
            *((f"weights/{v.path}", v.value) for v in (*weights, *added)),
            *((f"random/{i}", v.value) for i, v in enumerate(others)),
            *(
                (f"optimizer/{v.path.partition('/')[2]}", v.value)
                for v in self.optimizer.variables
            ),
            *((f"clipping/{n}", v) for n, v in self.clipping.variables.items()),
            *(
                (f"regularization/{n}", v)
                for n, v in self.regularization.variables.items()
            ),
            *((f"diagnostics/{i}", v) for i, v in enumerate(measured)),
            ("skipped", self.skipped),
        ]
        if self.average:
            names = (f"average/{info.path}" for info in self.infos)
            pairs += zip(names, self.average.averages, strict=True)
        if self.loss_scale:
            pairs += self.loss_scale.variables.items()
        named = dict(pairs)
        if len(named) < len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"variables of a group share names: {', '.join(twice)}")
        return named

    def next_update(self) -> Update:
        """Describes the update that the next step is to make."""
        rate = tf.cast(self.optimizer.learning_rate, tf.float32)
        return Update(tf.cast(self.optimizer.iterations, tf.int64), rate)

    def gradients(self, tensors: Sequence[tf.Tensor], of: Sequence[int]) -> Gradients:
        """The gradients of the variables at the places `of`, as strategies see them."""
        weights = [tf.convert_to_tensor(self._variables[i].value) for i in of]
        return Gradients(tensors, [self.infos[i] for i in of], weights)

    def step(
        self,
        loss: tf.Tensor,
        penalty: tf.Tensor,
        gradients: Gradients,
        update: Update,
        number: tf.Tensor,
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Moves the variables along a reduced and unscaled gradient, or skips.

        Args:
            loss: Without penalties, a float32 scalar.
            penalty: Likewise.
            gradients: Of both together.
            update: Of `next_update`.
            number: Steps before this one, an integer scalar.

        Returns:
            The `METRICS` by name; and |dw| / |w| of every variable, float32
            [variables], NaN where it is not known.
        """
        norm = gradients.global_norm
        accepted = (
            tf.math.is_finite(norm)
            & tf.math.is_finite(loss)
            & self.clipping.accepts(gradients)
        )
        scale = self.loss_scale.scale if self.loss_scale else tf.constant(1.0)
        figures = {
            "loss": loss,
            "penalty": penalty,
            **self._diagnostics.gradient(gradients),
            "skipped": 1.0 - tf.cast(accepted, tf.float32),
            "learning_rate": update.learning_rate,
            "loss_scale": tf.identity(scale),
        }

        def make() -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            clipped = self.clipping(gradients)
            self._apply(clipped, update)
            return self._diagnostics.made(gradients, clipped, number)

        def skip() -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            self.skipped.assign_add(1)
            return self._diagnostics.skipped()

        measured, ratios = tf.cond(accepted, make, skip)
        if self.loss_scale:
            self.loss_scale.update(tf.math.is_finite(norm))
        return figures | measured, ratios

    def _apply(self, gradients: Gradients, update: Update) -> None:
        """Moves the weights: optimizer, update rules and constraints, average.

        It runs outside the replicas, once, so that it can be skipped; Keras's own
        `apply` runs inside them and would add up their gradients once more.
        """
        decay = self.optimizer.weight_decay
        places = {info.path: i for i, info in enumerate(self.infos)}
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

            self._strategy.extended.update(
                self._variables[places[info.path]].value,
                move,
                args=(value, update.learning_rate),
                group=False,
            )
        self.optimizer.iterations.assign_add(1)
        self.regularization.update(update)
        if self.average:
            self.average.update(self.optimizer.iterations.value)

    @contextlib.contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """Has the models carry the weights they are evaluated with.

        These are their average, if one is kept, after reparameterization. A weight that
        is exactly zero stays zero: an average would forget it only slowly.
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
        """How sparse the weights are that the models carry now."""
        return weight_figures(self._variables, self.infos)

    def named_ratios(self, ratios: Sequence[float]) -> Mapping[str, float]:
        """The ratios of `step` by the path of the variable."""
        return self._diagnostics.named_ratios(ratios)
