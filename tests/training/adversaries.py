"""A toy GAN and a toy teacher with its student: steps of several models."""

import keras
import numpy as np
import tensorflow as tf
from toy import ToyModel

from tfspeech.strategies import Run, parse_clipping, parse_regularization
from tfspeech.training.distribution import Distribution
from tfspeech.training.group import Group
from tfspeech.training.optimizers import Schedule, build_optimizer
from tfspeech.training.step import Losses, TrainingStep

GAN = {
    "discriminator": (["global_norm(0.2)"], ["spectral(1.0)"], "adam()", 0.02),
    "generator": (["quantile(0.5)"], ["l2(0.001)"], "sgd(0.5)", 0.05),
}
"""The groups with their strategies, in the order in which they move."""


def net(name, inputs, outputs):
    model = keras.Sequential(
        [
            keras.layers.Dense(6, "tanh", name="hidden"),
            keras.layers.Dense(outputs, name="out"),
        ],
        name=name,
    )
    model.build((None, inputs))
    return model


def gan_data(batches=60, size=8, bad=()):
    """Different batches; in those numbered in `bad` the judge's loss is infinite."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(batches, size, 2)).astype(np.float32)
    real = rng.normal([1.0, -1.0, 0.5], size=(batches, size, 3)).astype(np.float32)
    weight = np.ones((batches, size, 1), np.float32)
    weight[list(bad), 0] = np.inf
    return tf.data.Dataset.from_tensor_slices(
        {"noise": noise, "real": real, "weight": weight}
    )


def gan_step(distribution=None, seed=0, groups=GAN, **kwargs):
    keras.utils.set_random_seed(seed)
    distribution = distribution or Distribution()
    built = {}
    with distribution.strategy.scope():
        models = {
            "discriminator": net("discriminator", 3, 1),
            "generator": net("generator", 2, 3),
        }
    for name, (clip, regularize, optimizer, rate) in groups.items():
        with distribution.strategy.scope():
            schedule = Schedule("constant()", rate, 0, 100)
            keras_optimizer = build_optimizer(optimizer, schedule)
        built[name] = Group(
            [models[name]],
            keras_optimizer,
            parse_clipping(clip),
            parse_regularization(regularize),
            Run(updates=100, examples=50),
            ema_momentum=0.9 if name == "generator" else 0.0,
            distribution=distribution,
        )

    def losses(group, batch):
        """Least squares (Mao et al. 2017, arXiv 1611.04076), equation 9."""
        fake = models["generator"](batch["noise"], training=True)
        judged = models["discriminator"](fake, training=True)
        if group == "generator":
            terms = {
                "adversarial": tf.reduce_mean(tf.square(judged - 1.0)),
                "distance": tf.reduce_mean(tf.square(fake - batch["real"])),
            }
            return Losses(terms, {"distance": 0.1})
        real = models["discriminator"](batch["real"], training=True)
        return Losses(
            {
                "real": tf.reduce_mean(batch["weight"] * tf.square(real - 1.0)),
                "fake": tf.reduce_mean(tf.square(judged)),
            }
        )

    return TrainingStep(built, losses, distribution=distribution, **kwargs)


def student_step(dropout=0.5, **kwargs):
    """A student that learns what a frozen teacher says; returns both, too."""
    keras.utils.set_random_seed(0)
    teacher, student = ToyModel(dropout=dropout), ToyModel()
    group = Group([student], keras.optimizers.Adam(0.02))

    def losses(name, batch):
        said = teacher(batch, training=False)["y"]
        outputs = student(batch, training=True)
        terms = {
            "teacher": tf.reduce_mean(tf.square(outputs["y"] - said)),
            "truth": tf.reduce_mean(tf.square(outputs["y"] - batch["y"])),
        }
        return Losses(terms, {"truth": 0.0}, outputs)

    return TrainingStep({"student": group}, losses, **kwargs), teacher, student
