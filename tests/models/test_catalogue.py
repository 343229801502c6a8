"""Requirements on every model in the registry."""

import dataclasses
import gc
import json
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_kinds import KINDS

from models.config import option
from models.layers.dropout import RandomLayer
from tfspeech.strategies import parse_clipping
from tfspeech.tasks.registry import MODELS
from tfspeech.training.checkpoints import restore_best, save_best
from tfspeech.training.group import Group
from tfspeech.training.step import Losses, TrainingStep


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


def build(model, seed=0, **options):
    keras.utils.set_random_seed(seed)
    entry = MODELS[model]
    kind = KINDS[entry.run]
    return entry.model(entry.architecture(**kind.options), *kind.sizes, **options)


def batch(name, size=6, length=30, seed=0):
    return KINDS[MODELS[name].run].batch(size, length, np.random.default_rng(seed))


def output(name, model, inputs):
    return model(inputs)[KINDS[MODELS[name].run].output].numpy()


def padded(name, inputs, more):
    """Everything that has a length behind it gets longer."""
    fixed = KINDS[MODELS[name].run].fixed
    return {
        key: np.pad(value, [(0, 0), (0, more)] + [(0, 0)] * (value.ndim - 2))
        if value.ndim > 1 and key not in fixed
        else value
        for key, value in inputs.items()
    }


def test_the_configuration_is_frozen_and_every_field_explains_itself(name):
    config_class = MODELS[name].architecture
    assert config_class.__dataclass_params__.frozen
    for field in dataclasses.fields(config_class):
        assert set(field.metadata) == set(option(0, "").metadata)
        assert field.metadata["help"]
    values = dataclasses.asdict(config_class())
    assert config_class(**values) == config_class()


def test_weights_have_the_same_names_in_every_model_and_no_two_the_same(name):
    paths = [[weight.path for weight in build(name).weights] for _ in range(2)]
    assert paths[0] == paths[1]
    assert len(set(paths[0])) == len(paths[0])


def test_a_graph_is_gone_with_its_function(name):
    """Or a program that trains many models would run out of memory."""
    inputs = {key: tf.constant(value) for key, value in batch(name).items()}
    graph = weakref.ref(tf.function(build(name)).get_concrete_function(inputs).graph)
    gc.collect()
    assert graph() is None


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize(("size", "length"), [(1, 1), (1, 40), (5, 7)])
def test_any_batch_and_length_has_its_result(name, size, length):
    result = output(name, build(name), batch(name, size, length))
    assert result.shape[0] == size
    assert result.shape[-1] == KINDS[MODELS[name].run].dim
    assert np.all(np.isfinite(result))


def test_padding_changes_nothing(name):
    model, inputs = build(name), batch(name)
    wanted = output(name, model, inputs)
    result = output(name, model, padded(name, inputs, 9))
    if result.ndim == 3:
        assert not result[:, wanted.shape[1] :].any()
        result = result[:, : wanted.shape[1]]
    np.testing.assert_allclose(result, wanted, atol=1e-5)


def test_neighbours_in_a_batch_change_nothing(name):
    model, inputs = build(name), batch(name)
    together = output(name, model, inputs)
    alone = output(name, model, {key: value[2:3] for key, value in inputs.items()})
    np.testing.assert_allclose(alone, together[2:3], atol=1e-5)


def train_outputs(model, inputs):
    return tf.nest.map_structure(lambda x: x.numpy(), model(inputs, training=True))


def test_what_dropout_and_zoneout_draw_belongs_to_the_row_of_the_batch(name):
    model, inputs = build(name), batch(name)
    inputs["seeds"] = np.arange(6) * 2**40 + 7
    together = train_outputs(model, inputs)
    for first, more in ((0, 5), (1, 16)):
        half = {key: value[first::2] for key, value in inputs.items()}
        half_outputs = train_outputs(model, padded(name, half, more))
        for found, wanted in zip(
            tf.nest.flatten(half_outputs), tf.nest.flatten(together), strict=True
        ):
            wanted = wanted[first::2]
            found = found[tuple(slice(size) for size in wanted.shape)]
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def drawing_layers(model):
    return [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, RandomLayer) and layer.rate
    ]


@pytest.mark.slow
@pytest.mark.headline
def test_other_seeds_draw_otherwise_and_without_seeds_so_does_every_call(name):
    model, inputs = build(name), batch(name)
    if not drawing_layers(model):
        pytest.skip("no layer of it draws anything by default")
    key = KINDS[MODELS[name].run].output
    seeds = [{"seeds": np.arange(6) + shift} for shift in (0, 0, 1)]
    one, same, other = (train_outputs(model, inputs | s)[key] for s in seeds)
    np.testing.assert_array_equal(one, same)
    assert np.all(np.any(one != other, axis=tuple(range(1, one.ndim))))
    first, second = (train_outputs(model, inputs)[key] for _ in range(2))
    assert np.all(np.any(first != second, axis=tuple(range(1, one.ndim))))


def test_every_layer_that_draws_has_a_path_of_its_own(name):
    models = [build(name) for _ in range(2)]
    paths, again = ([x.path for x in drawing_layers(model)] for model in models)
    assert paths == again
    assert len(set(paths)) == len(paths)
    assert all(path.startswith(f"{name}/") for path in paths)
    assert not any(
        isinstance(layer, keras.layers.Dropout) for layer in models[0]._flatten_layers()
    )


def test_every_weight_gets_a_gradient(name):
    kind, model, inputs = KINDS[MODELS[name].run], build(name), batch(name)
    weights = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = kind.loss(model(inputs, training=True), inputs)
    gradients = tape.gradient(loss, weights)
    assert [
        w.path
        for w, g in zip(model.trainable_variables, gradients, strict=True)
        if g is None
    ] == []


@pytest.mark.slow
@pytest.mark.headline
def test_the_model_learns_one_batch(name):
    kind, model, inputs = KINDS[MODELS[name].run], build(name), batch(name)
    optimizer = keras.optimizers.Adam(3e-3)
    group = Group([model], optimizer, parse_clipping(["norm(1.0)"]))

    def losses(group, batch):
        return Losses({"loss": kind.loss(model(batch, training=True), batch)})

    step = TrainingStep({"model": group}, losses)
    data = tf.data.Dataset.from_tensors(inputs).repeat()
    losses = step.run(iter(data), 80)[0]["model"]["loss"]
    assert losses[-1] < kind.learns_to * losses[0]


@pytest.mark.slow
@pytest.mark.headline
def test_weights_are_saved_and_restored(name, tmp_path):
    model, inputs = build(name), batch(name)
    save_best(tmp_path, {"model": model})
    other = build(name, seed=9)
    wanted = output(name, model, inputs)
    assert not np.allclose(output(name, other, inputs), wanted)
    restore_best(tmp_path, {"model": other})
    np.testing.assert_array_equal(output(name, other, inputs), wanted)


@pytest.mark.slow
@pytest.mark.headline
def test_a_saved_model_has_its_results(name, tmp_path):
    model, key = build(name), KINDS[MODELS[name].run].output
    module = tf.Module()
    module.weights = [v.value for v in model.variables]
    signature = {
        key: tf.TensorSpec(
            [None] * min(value.ndim, 2) + list(value.shape[2:]), value.dtype
        )
        for key, value in batch(name).items()
    }
    module.apply = tf.function(
        lambda inputs: {key: model(inputs)[key]}, input_signature=[signature]
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for size in (1, 4):
        inputs = batch(name, size, seed=size)
        result = loaded.apply({k: tf.constant(v) for k, v in inputs.items()})[key]
        np.testing.assert_allclose(result, output(name, model, inputs), atol=1e-5)


def inputs_of(model, data):
    return {key: data[key] for key in model.signature}


def test_it_takes_its_signature_and_returns_tensors_that_are_not_nested(name):
    model = build(name)
    inputs = inputs_of(model, batch(name))
    for key, spec in model.signature.items():
        assert spec.name == key
        assert spec.is_compatible_with(tf.constant(inputs[key]))
    outputs = model(inputs, training=True)
    assert all(isinstance(value, tf.Tensor) for value in outputs.values())


def test_it_is_built_again_from_its_configuration(name):
    model = build(name, name="x", dtype="mixed_bfloat16")
    config = json.loads(json.dumps(model.get_config()))
    again = type(model).from_config(config)
    assert again.config == model.config
    assert again.get_config() == model.get_config()
    assert (again.name, again.dtype_policy.name) == ("x", "mixed_bfloat16")
    assert [(w.path, w.shape) for w in again.weights] == [
        (w.path, w.shape) for w in model.weights
    ]


@pytest.mark.slow
@pytest.mark.headline
def test_keras_fits_saves_and_loads_it(name, tmp_path):
    kind, model, data = KINDS[MODELS[name].run], build(name), batch(name)
    x = inputs_of(model, data)
    y = {key: data[target] for key, (target, _) in kind.keras_losses.items()}
    losses = {key: loss for key, (_, loss) in kind.keras_losses.items()}
    model.compile(keras.optimizers.Adam(kind.learning_rate), loss=losses)
    history = model.fit(x, y, batch_size=6, epochs=12, verbose=0).history["loss"]
    assert history[-1] < 0.95 * history[0]
    assert not model.jit_compile

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.config == model.config
    for weight, wanted in zip(loaded.weights, model.weights, strict=True):
        assert weight.path == wanted.path
        np.testing.assert_array_equal(weight, wanted)
    slots = zip(loaded.optimizer.variables, model.optimizer.variables, strict=True)
    for slot, wanted in slots:
        np.testing.assert_array_equal(slot, wanted)
    np.testing.assert_array_equal(output(name, loaded, x), output(name, model, x))
    loaded.fit(x, y, batch_size=6, verbose=0)
    assert loaded.optimizer.iterations == 13


@pytest.mark.slow
@pytest.mark.headline
def test_keras_exports_it_for_any_batch_and_length(name, tmp_path):
    model, key = build(name), KINDS[MODELS[name].run].output
    model.export(tmp_path, verbose=False)
    loaded = tf.saved_model.load(str(tmp_path))
    for size, length in ((1, 9), (4, 20)):
        inputs = inputs_of(model, batch(name, size, length, seed=size))
        result = loaded.serve({k: tf.constant(v) for k, v in inputs.items()})[key]
        np.testing.assert_allclose(result, output(name, model, inputs), atol=1e-5)


@pytest.mark.slow
@pytest.mark.headline
def test_keras_summarises_it(name):
    model, lines = build(name), []
    model.summary(print_fn=lines.append)
    text = "\n".join(str(line) for line in lines)
    assert f"Total params: {model.count_params():,}" in text
    assert "unbuilt" not in text
