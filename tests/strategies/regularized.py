"""A small model to regularize, and updates of its weights."""

import keras
import numpy as np
import tensorflow as tf

from tfspeech.strategies import (
    RegularizationChain,
    Run,
    Update,
    describe_variables,
    parse_regularization,
)

RATE = 0.1
ACTED_ON = {"default": (0, 2, 3), "matrices": (0, 2), "hidden": (0,)}
"""Places of the variables of `make_model`: kernel, bias, kernel, embedding."""


def make_model(scale=1.0):
    """A model of a convolution, an output layer and an embedding."""
    keras.utils.set_random_seed(0)
    model = keras.Model(name="net")
    model.convolution = keras.layers.Conv1D(5, 3, name="conv")
    model.classifier = keras.layers.Dense(2, name="out", use_bias=False)
    model.embedding = keras.layers.Embedding(6, 4, name="symbols")
    model.output_layers = [model.classifier]
    model.convolution.build((None, None, 4))
    model.classifier.build((None, 5))
    model.embedding.build()
    model.built = True
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) * scale)
    return model


def make_chain(spec, model, run=None):
    infos = describe_variables(model)
    strategies = parse_regularization([spec])
    return RegularizationChain(strategies, [model], infos, run or Run(1000, 100))


def update(spec, model, times=1, rate=RATE):
    """Updates as a training step does: in a graph, in a branch of it."""
    chain = make_chain(spec, model)

    @tf.function
    def step(number):
        def make():
            chain.update(Update(number, tf.constant(rate)))
            return True

        return tf.cond(number >= 0, make, lambda: False)

    for number in range(times):
        step(tf.constant(number, tf.int64))
    return chain


def penalty(spec, model):
    step = Update(tf.constant(0, tf.int64), tf.constant(RATE))
    return make_chain(spec, model).penalty({}, step)


def values(model):
    return [v.numpy() for v in model.trainable_variables]
