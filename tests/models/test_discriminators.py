"""Discriminators of waveforms: what each view sees, and of what it makes scores."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import DiscriminatorConfig, Discriminators

VIEWS = ["period_2", "period_3", "spectrum_16", "spectrum_64"]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    config = DiscriminatorConfig((2, 3), (4, 6), 5)
    return Discriminators(config, (16, 64))


@pytest.fixture(scope="module")
def waveform():
    return np.random.default_rng(0).normal(size=(3, 300)).astype("f4")


def test_every_view_has_scores_and_the_activations_of_its_layers(model, waveform):
    outputs = model({"waveform": waveform})
    assert model.views == VIEWS
    assert {name.partition("/")[0] for name in outputs} == set(VIEWS)
    for view in VIEWS:
        assert outputs[f"{view}/score"].shape.rank == 2
        layers = 2 if view.startswith("period") else 3
        assert f"{view}/{layers - 1}" in outputs
        assert f"{view}/{layers}" not in outputs
    assert outputs["period_2/1"].shape == (3, 2 * 17, 6)
    assert outputs["spectrum_16/0"].shape == (3, 1 + (300 - 16) // 4, 5)
    assert all(tf.reduce_all(tf.math.is_finite(each)) for each in outputs.values())


def test_neighbours_in_a_batch_change_nothing(model, waveform):
    together = model({"waveform": waveform})
    alone = model({"waveform": waveform[1:2]})
    for name, values in alone.items():
        np.testing.assert_allclose(values, together[name][1:2], atol=1e-5, err_msg=name)


def test_a_period_scores_each_of_its_phases_by_itself(model, waveform):
    changed = waveform.copy()
    changed[:, 1::2] += 1.0
    before, after = (
        model({"waveform": each})["period_2/score"].numpy()
        for each in (waveform, changed)
    )
    half = before.shape[1] // 2
    np.testing.assert_allclose(after[:, :half], before[:, :half], atol=1e-6)
    assert np.abs(after - before)[:, half:].max() > 1e-3


@pytest.mark.slow
@pytest.mark.headline
def test_every_weight_gets_a_gradient_and_real_is_told_from_fake(model):
    rng = np.random.default_rng(1)
    real = np.sin(np.arange(300) * 0.3)[None] * np.ones([4, 1])
    real, fake = (x.astype("f4") for x in (real, rng.normal(size=(4, 300))))
    optimizer = keras.optimizers.Adam(0.01)
    for _ in range(30):
        with tf.GradientTape() as tape:
            a, b = (model({"waveform": each}) for each in (real, fake))
            loss = tf.add_n(
                [
                    tf.reduce_mean(tf.nn.relu(1.0 - a[f"{view}/score"]))
                    + tf.reduce_mean(tf.nn.relu(1.0 + b[f"{view}/score"]))
                    for view in VIEWS
                ]
            )
        values = [v.value for v in model.trainable_variables]
        gradients = tape.gradient(loss, values)
        assert all(gradient is not None for gradient in gradients)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
    assert float(loss) < 2.0


def test_it_is_built_again_from_its_configuration(model):
    again = Discriminators.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    assert len({w.path for w in model.weights}) == len(model.weights)
