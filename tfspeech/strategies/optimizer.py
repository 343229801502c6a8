"""Clipping strategies in front of any Keras optimizer, for `fit` and for own loops."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, Self

import keras
import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.spec import Chain, build_chain, format_spec
from tfspeech.strategies.clipping import (
    CLIPPINGS,
    Clipping,
    ClippingChain,
    parse_clipping,
)
from tfspeech.strategies.gradients import Gradients, Raw, densify
from tfspeech.strategies.variables import (
    VariableInfo,
    describe_lone_variables,
    describe_variables,
    find_model,
)

_OWN_CLIPPING = {
    "clipnorm": "norm",
    "clipvalue": "value",
    "global_clipnorm": "global_norm",
}
"""Arguments of Keras optimizers -> the strategies that do the same."""


class StepObserver(Protocol):
    """Sees every step of a `Clipped` optimizer, inside the graph, outside replicas."""

    def made(
        self, raw: Gradients, clipped: Gradients, learning_rate: tf.Tensor
    ) -> None:
        """Called after the weights have moved.

        Args:
            raw: The gradient, reduced and unscaled.
            clipped: What the optimizer was given.
            learning_rate: With which it moved the weights, a float32 scalar.
        """

    def skipped(self, raw: Gradients, learning_rate: tf.Tensor) -> None:
        """Called where the step was not made."""


CreateObserver = Callable[
    [Sequence[keras.Variable], Sequence[VariableInfo]], StepObserver
]
"""(trainable variables, what they are) -> an observer of their steps."""


@dataclasses.dataclass(frozen=True)
class _Subject:
    """The variables that an optimizer was built for, and the chain for them.

    It keeps them from the optimizer, which takes any variable that it holds in an
    attribute for a part of its own state.
    """

    variables: list[keras.Variable]
    infos: list[VariableInfo]
    chain: ClippingChain

    def places(self, variables: Iterable[keras.Variable | tf.Variable]) -> list[int]:
        """Where variables stand among all."""
        known = {id(v.value): i for i, v in enumerate(self.variables)}
        keys = [id(v.value if isinstance(v, keras.Variable) else v) for v in variables]
        unknown = [key for key in keys if key not in known]
        if unknown:
            raise ValueError(
                f"{len(unknown)} of {len(keys)} variables are not among the "
                f"{len(known)} that the optimizer was built for: build it for all of "
                "them, optimizer.build(variables), or make one optimizer for each set"
            )
        return [known[key] for key in keys]


@keras.saving.register_keras_serializable(package="tfspeech")
class Clipped(keras.optimizers.Optimizer):
    """A Keras optimizer that is given clipped gradients.

    The gradient is added up over the replicas of a `tf.distribute` strategy, freed of
    the loss scale, and clipped as a whole, once: so replicas make the weights that one
    would make of the same global batch. (The inner optimizer then sends each replica's
    share of the clipped gradient round once more.) A step whose gradient is not finite,
    or that a strategy refuses, changes nothing but the count in `skipped`.

    State of the strategies is among the optimizer's `variables`, which `.keras` files,
    `BackupAndRestore` and `tf.train.Checkpoint` save.

    Args of the constructor:
        inner_optimizer: Any Keras optimizer, or its name, without clipping and gradient
            accumulation of its own. `LossScaleOptimizer` goes around `Clipped`, where
            `compile` puts it, too.
        clipping: The spec of a strategy, a chain such as
            `"centralize() + quantile(0.9)"`, a strategy, or a list of these.
        model: Whose variables are trained. What strategies that look at units need to
            know of its layers is found without it where the variables are all of one
            model's `trainable_variables`, as in `fit`.
        name: Of the optimizer.

    Attributes:
        inner_optimizer: The same.
        skipped: Steps that were not made, int64.

    Raises:
        SpecError: A spec does not parse.
        ValueError: The inner optimizer clips or accumulates gradients by itself.

    Example:
        >>> optimizer = Clipped(keras.optimizers.Adam(1e-3), "quantile(0.9)")
    """

    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer | str,
        clipping: Chain[Clipping],
        *,
        model: keras.Model | None = None,
        name: str | None = None,
    ) -> None:
        inner_optimizer = keras.optimizers.get(inner_optimizer)
        _check(inner_optimizer)
        super().__init__(
            learning_rate=0.0,
            name=name,
            loss_scale_factor=inner_optimizer.loss_scale_factor,
        )
        # Gradients are unscaled before they are clipped, and not again.
        inner_optimizer.loss_scale_factor = None
        self.inner_optimizer = inner_optimizer
        self._clipping = tuple(build_chain(clipping, parse_clipping, Clipping))
        # A model in an attribute would be saved with the optimizer.
        self._find_model = lambda variables: model or find_model(variables)
        self._create_observer: CreateObserver | None = None
        self._observer: StepObserver | None = None

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates the state of optimizer and strategies.

        Args:
            variables: All that the optimizer is to move.

        Raises:
            SpecError: `match` of a strategy selects none of them, a strategy looks at
                units and the model is not known, or two variables share a path.
        """
        if self.built:
            return
        # `fit` builds optimizers while it traces its step.
        with tf.init_scope():
            variables = list(variables)
            self.inner_optimizer.build(variables)
            super().build(variables)
            self.skipped = self.add_variable((), dtype="int64", name="skipped")
            infos = self._describe(variables)
            chain = ClippingChain(self._clipping, infos, self._add_state)
            self._subject = _Subject(variables, infos, chain)

    def _describe(self, variables: Sequence[keras.Variable]) -> list[VariableInfo]:
        by_unit = [s for s in self._clipping if s.by_unit]
        if not by_unit:
            return describe_lone_variables(variables)
        model = self._find_model(variables)
        infos = describe_variables(model) if model else []
        described = {info.path: info for info in infos}
        missing = [v.path for v in variables if v.path not in described]
        if missing:
            raise SpecError(
                f"{type(by_unit[0]).__name__} looks at units, which layers decide, and "
                f"the model of {missing[0]} is not known: name it, "
                "Clipped(..., model=model)"
            )
        return [described[v.path] for v in variables]

    def _add_state(self, name: str, variable: tf.Variable) -> tf.Variable:
        """Makes state of a strategy a variable of the optimizer, which is saved."""
        value = variable.numpy()
        return self.add_variable(
            value.shape,
            lambda shape, dtype: tf.constant(value, dtype),
            dtype=variable.dtype.name,
            name=name.replace("/", "_"),
        ).value

    def observe(self, create: CreateObserver | None) -> None:
        """Shows the steps that are traced from now on to an observer, or to none.

        Args:
            create: Makes it, when the variables are known.
        """
        self._create_observer, self._observer = create, None

    # Nothing in it needs to be converted, which in a `tf.function` takes seconds.
    @tf.autograph.experimental.do_not_convert
    def apply(
        self,
        grads: Sequence[Raw],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Clips gradients and moves the variables, or skips the step.

        To be called in a replica context, as in `fit` or inside of `strategy.run`.

        Args:
            grads: Of every variable, each replica's own, scaled as `scale_loss` has
                scaled the loss; None and `IndexedSlices` are welcome.
            trainable_variables: By default those that the optimizer was built for.
        """
        context = tf.distribute.get_replica_context()
        if context is None:
            raise ValueError("call apply() in a replica context, inside strategy.run")
        if trainable_variables is None:
            if not self.built:
                raise ValueError("name the variables: apply(grads, variables)")
            trainable_variables = self._subject.variables
        variables = list(trainable_variables)
        self.build(variables)
        present = [i for i, gradient in enumerate(grads) if gradient is not None]
        if not present:
            raise ValueError("No gradients provided for any variable.")
        tensors = [densify(grads[i]) for i in present]
        if self.loss_scale_factor is not None:
            tensors = [tensor / self.loss_scale_factor for tensor in tensors]
        if context.num_replicas_in_sync > 1:
            tensors = context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)

        def move(strategy: tf.distribute.Strategy, *tensors: tf.Tensor) -> None:
            reduced = [strategy.experimental_local_results(t)[0] for t in tensors]
            self._move(strategy, dict(zip(present, reduced, strict=True)), variables)

        context.merge_call(move, args=tuple(tensors))

    def _move(
        self,
        strategy: tf.distribute.Strategy,
        gradients: dict[int, tf.Tensor],
        variables: list[keras.Variable],
    ) -> None:
        """Clips a reduced gradient and moves the variables, outside the replicas.

        Args:
            strategy: Of the replicas.
            gradients: Place among `variables` -> gradient.
            variables: To be moved.
        """
        subject = self._subject
        places = subject.places([variables[i] for i in gradients])
        weights = [
            tf.cast(tf.convert_to_tensor(subject.variables[place].value), tf.float32)
            for place in places
        ]
        infos = [subject.infos[place] for place in places]
        raw = Gradients(list(gradients.values()), infos, weights)
        accepted = tf.math.is_finite(raw.global_norm) & subject.chain.accepts(raw)
        learning_rate = tf.cast(self.learning_rate, tf.float32)
        observer = self._find_observer()

        def make() -> tf.Tensor:
            clipped = subject.chain(raw)
            values = dict(zip(gradients, clipped.values, strict=True))
            strategy.run(lambda: self._hand_on(values, variables))
            if observer:
                observer.made(raw, clipped, learning_rate)
            return tf.constant(True)

        def skip() -> tf.Tensor:
            self.skipped.value.assign_add(1)
            if observer:
                observer.skipped(raw, learning_rate)
            return tf.constant(False)

        tf.cond(accepted, make, skip)

    def _hand_on(
        self, values: dict[int, tf.Tensor], variables: list[keras.Variable]
    ) -> None:
        """Gives a replica's share of the clipped gradient to the inner optimizer."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        # What is added up has to be computed here: on this device, in this graph.
        share = tf.identity if replicas == 1 else lambda value: value / replicas
        given = {i: share(value) for i, value in values.items()}
        grads = [given.get(i) for i in range(len(variables))]
        self.inner_optimizer.apply(grads, variables)

    def _find_observer(self) -> StepObserver | None:
        if self._create_observer and not self._observer:
            with tf.init_scope():
                subject = self._subject
                self._observer = self._create_observer(subject.variables, subject.infos)
        return self._observer

    @property
    def variables(self) -> list[keras.Variable]:
        """All state: of the strategies, and of the inner optimizer."""
        return [*super().variables, *self.inner_optimizer.variables]

    @property
    def iterations(self) -> keras.Variable:
        """Steps that were made."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """That of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """Gives variables their average, where the inner optimizer keeps one."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of `from_config`: name, inner optimizer, clipping."""
        inner = keras.saving.serialize_keras_object(self.inner_optimizer)
        inner["config"]["loss_scale_factor"] = self.loss_scale_factor
        clipping = [
            format_spec(strategy, CLIPPINGS)
            if type(strategy) in CLIPPINGS.values()
            else keras.saving.serialize_keras_object(strategy)
            for strategy in self._clipping
        ]
        return {"name": self.name, "inner_optimizer": inner, "clipping": clipping}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Builds the optimizer that `get_config` describes, without its state."""
        inner = keras.saving.deserialize_keras_object(
            config["inner_optimizer"], custom_objects=custom_objects
        )
        clipping = [
            each
            if isinstance(each, str)
            else keras.saving.deserialize_keras_object(
                each, custom_objects=custom_objects
            )
            for each in config["clipping"]
        ]
        return cls(inner, clipping, name=config["name"])


def _check(optimizer: keras.optimizers.Optimizer) -> None:
    """Raises a ValueError for an optimizer that cannot be given clipped gradients."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "norms are of unscaled gradients: put LossScaleOptimizer around Clipped, "
            "LossScaleOptimizer(Clipped(optimizer, ...))"
        )
    for argument, strategy in _OWN_CLIPPING.items():
        limit = getattr(optimizer, argument)
        if limit is not None:
            raise ValueError(
                f"the optimizer clips by itself: leave {argument} out, and name "
                f"{strategy}({limit}) in the chain. Received: {argument}={limit}"
            )
    steps = optimizer.gradient_accumulation_steps
    if steps:
        raise ValueError(
            "an optimizer that accumulates gradients would be given parts that are "
            "clipped one by one: use larger batches, or add up the gradients before "
            f"apply(). Received: gradient_accumulation_steps={steps}"
        )
