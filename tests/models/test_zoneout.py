"""The zoneout LSTM against its equations in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers.zoneout import ZoneoutLstmCell

STEPS, BATCH, UNITS, ZONEOUT = 5, 3, 4, 0.3


def build(zoneout=ZONEOUT):
    keras.utils.set_random_seed(0)
    cell = ZoneoutLstmCell(UNITS, zoneout, name="lstm")
    cell.build((None, 6), (None, 2))
    rng = np.random.default_rng(0)
    cell.set_weights([rng.normal(size=w.shape) for w in cell.get_weights()])
    return cell


def sequences(seed=1):
    rng = np.random.default_rng(seed)
    shapes = (STEPS, BATCH, 6), (STEPS, BATCH, 2), (STEPS, BATCH, 2 * UNITS)
    inputs, recurrent_inputs, uniforms = (rng.normal(size=shape) for shape in shapes)
    return inputs, recurrent_inputs, (uniforms > 0).astype(np.float64)


def run(cell, inputs, recurrent_inputs, updates):
    gates = cell.project(tf.constant(inputs, tf.float32))
    state, states = cell.initial_state(BATCH), []
    for step in range(STEPS):
        state = cell.step(
            gates[step],
            tf.constant(recurrent_inputs[step], tf.float32),
            state,
            tf.cast(updates[step], tf.float32),
        )
        states.append([x.numpy() for x in state])
    return np.array(states)


def numpy_run(cell, inputs, recurrent_inputs, mix):
    """Runs an LSTM; `mix(step, name, old, new)` is what remains of each state."""
    kernel, recurrent_kernel, bias = (w.astype(np.float64) for w in cell.get_weights())

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    h, c, states = np.zeros((BATCH, UNITS)), np.zeros((BATCH, UNITS)), []
    for step in range(STEPS):
        looped = np.concatenate([recurrent_inputs[step], h], 1) @ recurrent_kernel
        i, f, o, g = np.split(inputs[step] @ kernel + bias + looped, 4, 1)
        new_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        new_h = sigmoid(o) * np.tanh(new_c)
        h, c = mix(step, "h", h, new_h), mix(step, "c", c, new_c)
        states.append([h, c])
    return np.array(states)


def test_the_cell_in_training_is_its_equations():
    cell, (inputs, recurrent_inputs, updates) = build(), sequences()

    def mix(step, name, old, new):
        update = updates[step, :, :UNITS] if name == "h" else updates[step, :, UNITS:]
        return np.where(update == 1, new, old)

    wanted = numpy_run(cell, inputs, recurrent_inputs, mix)
    found = run(cell, inputs, recurrent_inputs, updates)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("zoneout", [0.0, ZONEOUT])
def test_the_cell_at_inference_takes_the_mean_of_zoneout(zoneout):
    cell, (inputs, recurrent_inputs, _) = build(zoneout), sequences()
    wanted = numpy_run(
        *(cell, inputs, recurrent_inputs),
        lambda step, name, old, new: zoneout * old + (1 - zoneout) * new,
    )
    found = run(cell, inputs, recurrent_inputs, cell.updates(STEPS, BATCH))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_units_are_held_with_the_probability_of_zoneout_for_each_row_by_itself():
    cell, seeds = build(), tf.range(200, dtype=tf.int64)
    updates = cell.updates(20, 200, seeds, training=True).numpy()
    assert updates.shape == (20, 200, 2 * UNITS)
    assert set(np.unique(updates)) == {0.0, 1.0}
    for part in (updates[:, :, :UNITS], updates[:, :, UNITS:], updates[:1]):
        assert part.mean() == pytest.approx(1 - ZONEOUT, abs=0.03)
    longer = cell.updates(29, 3, seeds[7:10], training=True)
    np.testing.assert_array_equal(longer[:20], updates[:, 7:10])


def test_an_lstm_remembers_at_first():
    cell = ZoneoutLstmCell(2, 0.0, name="lstm")
    cell.build((None, 6), (None, 2))
    np.testing.assert_array_equal(cell.bias, [0, 0, 1, 1, 0, 0, 0, 0])
