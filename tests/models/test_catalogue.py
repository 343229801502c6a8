"""What every model of the zoo must do; one in the catalogue is tested here."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import CATALOGUE
from models.config import option
from tfspeech.strategies import parse_clipping
from tfspeech.training.checkpoints import restore_best, save_best
from tfspeech.training.step import TrainingStep

FEATURES, CLASSES = 13, 5


def build(name):
    keras.utils.set_random_seed(0)
    model_class, config_class = CATALOGUE[name]
    return model_class(config_class(), FEATURES, CLASSES)


def batch(size=6, frames=30, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "features": rng.normal(size=(size, frames, FEATURES)).astype(np.float32),
        "lengths": rng.integers(1, frames + 1, size).astype(np.int32),
        "targets": rng.integers(0, CLASSES, size).astype(np.int32),
    }


@pytest.fixture(params=CATALOGUE)
def name(request):
    return request.param


def test_the_configuration_is_frozen_and_every_field_explains_itself(name):
    config_class = CATALOGUE[name][1]
    assert config_class.__dataclass_params__.frozen
    for field in dataclasses.fields(config_class):
        assert set(field.metadata) == set(option(0, "").metadata)
        assert field.metadata["help"]
    values = dataclasses.asdict(config_class())
    assert config_class(**values) == config_class()


@pytest.mark.parametrize(("size", "frames"), [(1, 1), (1, 40), (5, 7)])
def test_any_batch_and_length_has_its_scores(name, size, frames):
    logits = build(name)(batch(size, frames))["logits"]
    assert logits.shape == (size, CLASSES)
    assert np.all(np.isfinite(logits))


def test_padding_changes_nothing(name):
    model, inputs = build(name), batch()
    wanted = model(inputs)["logits"]
    padded = dict(inputs)
    padded["features"] = np.pad(inputs["features"], ((0, 0), (0, 9), (0, 0)))
    np.testing.assert_allclose(model(padded)["logits"], wanted, atol=1e-5)


def test_it_learns_one_batch(name):
    def loss(outputs, batch):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            batch["targets"], outputs["logits"]
        )
        return tf.reduce_mean(losses)

    optimizer = keras.optimizers.Adam(3e-3)
    step = TrainingStep(build(name), loss, optimizer, parse_clipping(["norm(1.0)"]))
    data = tf.data.Dataset.from_tensors(batch()).repeat()
    losses = step.run(iter(data), tf.constant(80)).numpy()[:, 0]
    assert losses[-1] < 0.3 * losses[0]


def test_weights_are_saved_and_restored(name, tmp_path):
    model = build(name)
    save_best(tmp_path, model)
    keras.utils.set_random_seed(9)
    other = CATALOGUE[name][0](CATALOGUE[name][1](), FEATURES, CLASSES)
    assert not np.allclose(other(batch())["logits"], model(batch())["logits"])
    restore_best(tmp_path, other)
    np.testing.assert_array_equal(other(batch())["logits"], model(batch())["logits"])


def test_a_saved_model_has_its_scores(name, tmp_path):
    model = build(name)
    module = tf.Module()
    module.weights = [v.value for v in model.variables]
    module.score = tf.function(
        lambda features, lengths: model({"features": features, "lengths": lengths}),
        input_signature=[
            tf.TensorSpec([None, None, FEATURES]),
            tf.TensorSpec([None], tf.int32),
        ],
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for size in (1, 4):
        inputs = batch(size, seed=size)
        scores = loaded.score(inputs["features"], inputs["lengths"])["logits"]
        np.testing.assert_allclose(scores, model(inputs)["logits"], atol=1e-5)
