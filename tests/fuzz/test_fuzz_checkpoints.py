"""Mutated checkpoints: what they hold is restored, or refused with one error."""

import shutil

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf
from fuzzing import bounded, mutated_bytes, outcome

from tfspeech.errors import RunError
from tfspeech.training.checkpoints import (
    BEST_FILE,
    LastCheckpoint,
    restore_best,
    save_best,
)

VALUES = np.arange(12, dtype=np.float32)


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input([3]), keras.layers.Dense(4)])
    model.set_weights([VALUES.reshape(3, 4), VALUES[:4]])
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "checkpoints"
    LastCheckpoint(folder, {"values": tf.Variable(VALUES)}).save(3)
    save_best(folder, {"model": model})
    return folder


FILES = ["checkpoint", "last-3.index", "last-3.data-00000-of-00001"]


@pytest.fixture
def damaged(folder, tmp_path):
    """A copy of the checkpoints."""
    return shutil.copytree(folder, tmp_path / "checkpoints")


@pytest.mark.parametrize("name", FILES)
@hypothesis.given(data=st.data())
@bounded
def test_last_states(name, data, folder, damaged):
    contents = data.draw(mutated_bytes([(folder / name).read_bytes()]))
    (damaged / name).write_bytes(contents)
    variable = tf.Variable(tf.zeros_like(VALUES))
    _, refusal = outcome(
        RunError, lambda: LastCheckpoint(damaged, {"values": variable}).restore()
    )
    assert "\n" not in refusal
    assert refusal or np.array_equal(variable, VALUES)


@hypothesis.given(data=st.data())
@bounded
def test_best_weights(data, folder, damaged, model):
    contents = data.draw(mutated_bytes([(folder / BEST_FILE).read_bytes()]))
    (damaged / BEST_FILE).write_bytes(contents)
    _, refusal = outcome(RunError, restore_best, damaged, {"model": model})
    assert not refusal or f"{BEST_FILE} is damaged" in refusal
    np.testing.assert_array_equal(model.get_weights()[1], VALUES[:4])
