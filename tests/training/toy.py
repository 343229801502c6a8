"""A model small enough to be trained many times in a test."""

import keras
import numpy as np
import tensorflow as tf

from tfspeech.strategies import parse_clipping, parse_regularization
from tfspeech.training.optimizers import Schedule, build_optimizer
from tfspeech.training.step import TrainingStep


class ToyModel(keras.Model):
    feature_dim = 3

    def __init__(self, dropout=0.0, dtype="float32"):
        super().__init__(name="toy", dtype=dtype)
        self.hidden = keras.layers.Dense(4, activation="tanh", dtype=dtype)
        self.dropout = keras.layers.Dropout(dropout)
        self.out = keras.layers.Dense(1, dtype=dtype)
        self({"x": tf.zeros([1, 3])})

    def call(self, inputs, training=False):
        hidden = self.dropout(self.hidden(inputs["x"]), training=training)
        return {"y": tf.cast(self.out(hidden), tf.float32)}


def toy_loss(outputs, batch):
    return tf.reduce_mean(tf.square(outputs["y"] - batch["y"]))


def toy_data(batches=1000, size=8, bad=()):
    """Endless different batches; those numbered in `bad` hold an infinity."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batches, size, 3)).astype(np.float32)
    y = x.sum(axis=2, keepdims=True)
    for number in bad:
        x[number, 0, 0] = np.inf
    return tf.data.Dataset.from_tensor_slices({"x": x, "y": y})


def toy_step(
    clip=("global_norm(0.5)",),
    regularize=(),
    optimizer="adam()",
    schedule="constant()",
    learning_rate=0.01,
    seed=0,
    dropout=0.0,
    dtype="float32",
    **kwargs,
):
    keras.utils.set_random_seed(seed)
    model = ToyModel(dropout, dtype)
    return TrainingStep(
        model,
        toy_loss,
        build_optimizer(optimizer, Schedule(schedule, learning_rate, 0, 100)),
        parse_clipping(clip),
        parse_regularization(regularize),
        **kwargs,
    )


def all_values(step):
    return {name: v.numpy().tobytes() for name, v in step.variables.items()}
