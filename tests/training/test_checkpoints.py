"""The best weights of one run as the start of another."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfspeech.errors import RunError
from tfspeech.training.checkpoints import (
    best_models,
    restore_best,
    save_best,
    take_best,
)


class Layers(keras.Model):
    """Dense layers of some sizes, by name."""

    def __init__(self, **sizes):
        super().__init__(name="net")
        self.dense = [keras.layers.Dense(n, name=name) for name, n in sizes.items()]
        width = 3
        for layer in self.dense:
            layer.build((None, width))
            width = layer.units

    def call(self, inputs):
        for layer in self.dense:
            inputs = layer(inputs)
        return inputs


def model(seed, **sizes):
    keras.utils.set_random_seed(seed)
    return Layers(**sizes)


def values(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def test_a_model_of_the_same_shape_takes_everything(tmp_path):
    theirs, ours = model(0, a=4, b=2), model(1, a=4, b=2)
    save_best(tmp_path, {"model": theirs})
    assert take_best(tmp_path, {"model": ours}) == []
    for path, value in values(theirs).items():
        np.testing.assert_array_equal(values(ours)[path], value)
    x = tf.ones([1, 3])
    np.testing.assert_array_equal(ours(x), theirs(x))


def test_what_does_not_fit_is_named_with_its_reason_and_left_alone(tmp_path):
    theirs, ours = model(0, a=4, b=2), model(1, a=4, b=5, c=2)
    before = values(ours)
    save_best(tmp_path, {"model": theirs})
    assert take_best(tmp_path, {"model": ours}) == [
        "b/kernel: (4, 2) there, (4, 5) here",
        "b/bias: (2,) there, (5,) here",
        "c/kernel: the other model has no such weight",
        "c/bias: the other model has no such weight",
    ]
    after = values(ours)
    assert {p for p in after if (after[p] != before[p]).any()} == {"a/kernel"}
    np.testing.assert_array_equal(after["a/kernel"], values(theirs)["a/kernel"])


def test_a_run_says_which_models_it_has(tmp_path):
    save_best(tmp_path, {"model": model(0, a=4), "teacher": model(1, b=2)})
    assert best_models(tmp_path) == {"model", "teacher"}


@pytest.mark.parametrize("use", [take_best, restore_best])
def test_weights_that_are_missing_or_damaged_are_one_clear_error(use, tmp_path):
    with pytest.raises(RunError, match=r"no checkpoint of a whole epoch yet.*--resume"):
        use(tmp_path / "checkpoints", {"model": model(0, a=4)})
    (tmp_path / "best.npz").write_bytes(b"PK damaged")
    with pytest.raises(RunError, match=r"best\.npz is damaged"):
        use(tmp_path, {"model": model(0, a=4)})
