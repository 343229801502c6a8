"""Models with data for the benchmarks of the training step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from models import RnnRecognizer, RnnRecognizerConfig
from tfspeech.strategies import Run, parse_clipping, parse_regularization
from tfspeech.training.group import Group
from tfspeech.training.step import Losses, TrainingStep

BATCH, FRAMES, FEATURES, CLASSES = 64, 50, 40, 10
LAYERS, UNITS = 5, 2000

Batch = dict[str, tf.Tensor]
Runner = Callable[[], object]


class DenseStack(keras.Model):
    """Five layers of 2,000 units and a classifier: 20 million parameters."""

    def __init__(self) -> None:
        super().__init__(name="dense_stack")
        self.hidden = [
            keras.layers.Dense(UNITS, activation="relu", name=f"hidden_{number}")
            for number in range(LAYERS)
        ]
        self.classifier = keras.layers.Dense(CLASSES, name="classifier")
        self.output_layers = (self.classifier,)
        self.activation_names = (self.hidden[-1].name,)
        self({"features": tf.zeros([1, UNITS])})

    def call(
        self, inputs: Batch, training: bool = False
    ) -> dict[str, tf.Tensor | dict[str, tf.Tensor]]:
        """Returns `logits`, and the last layer's activations as one frame."""
        hidden = inputs["features"]
        for layer in self.hidden:
            hidden = layer(hidden)
        name = self.activation_names[0]
        return {
            "logits": self.classifier(hidden),
            "activations": {name: hidden[:, tf.newaxis]},
            "activation_lengths": {name: tf.ones_like(hidden[:, 0], tf.int32)},
        }


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model, its data, and how many steps one timing takes.

    Attributes:
        title: Of its tables.
        build: Builds the model, with the same weights every time.
        feature_shape: Of one example.
        steps: Of one timing.
    """

    title: str
    build: Callable[[], keras.Model]
    feature_shape: tuple[int, ...]
    steps: int

    def batches(self) -> tf.data.Dataset:
        """Repeats a few batches from memory."""
        rng = np.random.default_rng(0)
        shape = (8, BATCH)
        features = rng.normal(size=(*shape, *self.feature_shape)).astype(np.float32)
        lengths = rng.integers(FRAMES // 2, FRAMES + 1, shape).astype(np.int32)
        targets = rng.integers(0, CLASSES, shape).astype(np.int32)
        data = {"features": features, "lengths": lengths, "targets": targets}
        return tf.data.Dataset.from_tensor_slices(data).cache().repeat().prefetch(2)

    def our_steps(
        self, clip: tuple[str, ...] = (), regularize: tuple[str, ...] = ()
    ) -> Runner:
        """Returns a function that runs our steps."""
        keras.utils.set_random_seed(0)
        model = self.build()
        group = Group(
            [model],
            keras.optimizers.Adam(1e-3),
            parse_clipping(clip),
            parse_regularization(regularize),
            Run(updates=100_000, examples=1000),
        )

        def losses(name: str, batch: Batch) -> Losses:
            outputs = model(batch, training=True)
            return Losses({"cross_entropy": loss(outputs, batch)}, outputs=outputs)

        step = TrainingStep({"model": group}, losses)
        iterator = iter(self.batches())
        return lambda: step.run(iterator, self.steps)

    def bare_steps(self, gated: bool = False, **clipping: float) -> Runner:
        """Returns a function that runs steps of a plain tape and optimizer.

        Nothing is measured but the loss.

        Args:
            gated: Skip a step whose gradient is not finite, as ours does: the update
                then waits for the norm of the whole gradient. Else each is made.
            **clipping: Keras's own, an argument of the optimizer.
        """
        keras.utils.set_random_seed(0)
        model = self.build()
        optimizer = keras.optimizers.Adam(1e-3, **clipping)
        optimizer.build(model.trainable_variables)
        weights = [variable.value for variable in model.trainable_variables]

        @tf.function
        def run(batches: tf.data.Iterator, steps: tf.Tensor) -> tf.Tensor:
            losses = tf.TensorArray(tf.float32, steps, element_shape=[])
            for index in tf.range(steps):
                batch = next(batches)
                with tf.GradientTape() as tape:
                    value = loss(model(batch, training=True), batch)
                gradients = tape.gradient(value, weights)

                def update(gradients: list[tf.Tensor] = gradients) -> tf.Tensor:
                    optimizer.apply(gradients, model.trainable_variables)
                    return tf.constant(True)

                if gated:
                    finite = tf.math.is_finite(tf.linalg.global_norm(gradients))
                    tf.cond(finite, update, lambda: tf.constant(False))
                else:
                    update()
                losses = losses.write(index, value)
            return losses.stack()

        iterator, count = iter(self.batches()), tf.constant(self.steps)
        return lambda: run(iterator, count).numpy()


def loss(outputs: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
    """The mean cross-entropy, a scalar."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        batch["targets"], outputs["logits"]
    )
    return tf.reduce_mean(losses)


RECOGNIZER = Subject(
    f"the default recogniser, batch {BATCH}, {FRAMES} frames",
    lambda: RnnRecognizer(RnnRecognizerConfig(), FEATURES, CLASSES),
    (FRAMES, FEATURES),
    steps=20,
)
STACK = Subject(
    f"20 million parameters in dense layers, batch {BATCH}",
    DenseStack,
    (UNITS,),
    steps=4,
)
