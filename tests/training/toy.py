"""A model small enough to be trained many times in a test."""

import keras
import numpy as np
import tensorflow as tf

from models.layers import Dropout
from tfspeech.strategies import Run, parse_clipping, parse_regularization
from tfspeech.training.distribution import Distribution
from tfspeech.training.group import Group
from tfspeech.training.optimizers import Schedule, build_optimizer
from tfspeech.training.step import Losses, TrainingStep


class ToyModel(keras.Model):
    feature_dim = 3
    activation_names = ("hidden",)

    def __init__(self, dropout=0.0, dtype="float32"):
        super().__init__(name="toy", dtype=dtype)
        self.hidden = keras.layers.Dense(4, "tanh", dtype=dtype, name="hidden")
        self.dropout = Dropout(dropout, name="dropout")
        self.out = keras.layers.Dense(1, dtype=dtype, name="out")
        self({"x": tf.zeros([1, 3])})

    def call(self, inputs, training=False):
        activations = self.hidden(inputs["x"])
        seeds = inputs.get("seeds")
        hidden = self.dropout(activations, seeds, training=training)
        return {
            "y": tf.cast(self.out(hidden), tf.float32),
            "activations": {"hidden": activations[:, tf.newaxis]},
            "activation_lengths": {"hidden": tf.ones_like(activations[:, 0], tf.int32)},
        }


def toy_loss(outputs, batch):
    return tf.reduce_mean(tf.square(outputs["y"] - batch["y"]))


def toy_losses(model):
    """The loss of a group of the step: the error, in one term."""

    def losses(group, batch):
        outputs = model(batch, training=True)
        return Losses({"error": toy_loss(outputs, batch)}, outputs=outputs)

    return losses


def toy_data(batches=1000, size=8, bad=()):
    """Endless different batches; those numbered in `bad` hold an infinity."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batches, size, 3)).astype(np.float32)
    y = x.sum(axis=2, keepdims=True)
    for number in bad:
        x[number, 0, 0] = np.inf
    seeds = rng.integers(2**62, size=(batches, size))
    return tf.data.Dataset.from_tensor_slices({"x": x, "y": y, "seeds": seeds})


def toy_step(
    clip=("global_norm(0.5)",),
    regularize=(),
    optimizer="adam()",
    schedule="constant()",
    learning_rate=0.01,
    seed=0,
    dropout=0.0,
    dtype="float32",
    distribution=None,
    ema_momentum=0.0,
    **kwargs,
):
    keras.utils.set_random_seed(seed)
    distribution = distribution or Distribution()
    with distribution.strategy.scope():
        model = ToyModel(dropout, dtype)
        rate = Schedule(schedule, learning_rate, 0, 100)
        keras_optimizer = build_optimizer(optimizer, rate)
    group = Group(
        [model],
        keras_optimizer,
        parse_clipping(clip),
        parse_regularization(regularize),
        Run(updates=100, examples=50),
        ema_momentum=ema_momentum,
        distribution=distribution,
    )
    return TrainingStep(
        {"model": group}, toy_losses(model), distribution=distribution, **kwargs
    )


def group_of(step):
    """The only group of a step."""
    (group,) = step.groups.values()
    return group


def model_of(step):
    (model,) = group_of(step).models
    return model


def run(step, data, count):
    """The metrics of the only group over some steps."""
    (metrics,) = step.run(iter(data), count)[0].values()
    return metrics


def all_values(step):
    return {name: v.numpy().tobytes() for name, v in step.variables.items()}
