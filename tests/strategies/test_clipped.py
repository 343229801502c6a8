"""Clipping in front of Keras optimizers: in `fit`, and in loops of one's own."""

import dataclasses
import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfspeech.errors import SpecError
from tfspeech.spec import build_chain, build_spec, format_spec
from tfspeech.strategies import (
    CLIPPINGS,
    Clipped,
    Clipping,
    ClippingChain,
    Gradients,
    describe_variables,
    parse_clipping,
)
from tfspeech.strategies.clipping.fixed import GlobalNorm, Value
from tfspeech.training.distribution import create_distribution

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 3)).astype(np.float32)
Y = 3.0 * X.sum(axis=1, keepdims=True)
STATEFUL = "centralize() + quantile(0.5) + error_feedback('value(0.05)')"


def new_model(seed=0):
    keras.utils.set_random_seed(seed)
    layers = [
        keras.layers.Dense(4, "tanh", name="hidden"),
        keras.layers.Dense(1, name="out"),
    ]
    return keras.Sequential([keras.Input((3,), name="x"), *layers], name="net")


def adam():
    return keras.optimizers.Adam(0.01, name="adam")


def compiled(clipping=STATEFUL, inner=None, **kwargs):
    model = new_model()
    model.compile(Clipped(inner or adam(), clipping, name="clipped"), "mse", **kwargs)
    return model


def fit(model, x=X, y=Y, epochs=1, **kwargs):
    return model.fit(
        x,
        y,
        8,
        epochs=epochs,
        shuffle=False,
        verbose=kwargs.pop("verbose", 0),
        **kwargs,
    )


def state(model):
    variables = [*model.weights, *model.optimizer.variables]
    # Loaded models leave their own name out of the paths of their weights.
    paths = [re.sub("net[/_]", "", v.path) for v in variables]
    return {
        f"{i} {p}": v.numpy()
        for i, (p, v) in enumerate(zip(paths, variables, strict=True))
    }


def check_same(one, other, **tolerance):
    assert list(one) == list(other)
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, err_msg=name, **tolerance)


@pytest.mark.parametrize(
    "chain",
    [
        "value(0.1) + global_norm(c=5.0, match='a + b')",
        ["value(0.1)", "global_norm(c=5.0, match='a + b')"],
        [Value(0.1), "global_norm(5.0, match='a + b')"],
        (Value(0.1), GlobalNorm(5.0, match="a + b")),
    ],
    ids=["text", "texts", "mixed", "objects"],
)
def test_a_chain_is_written_in_any_way(chain):
    built = build_chain(chain, parse_clipping, Clipping)
    assert built == [Value(0.1), GlobalNorm(5.0, match="a + b")]


@pytest.mark.parametrize("name", CLIPPINGS)
def test_the_spec_of_a_strategy_builds_it_again(name):
    strategy = build_spec(f"{name}(match='kernel')", CLIPPINGS, "clipping strategy")
    spec = format_spec(strategy, CLIPPINGS)
    assert build_spec(spec, CLIPPINGS, "clipping strategy") == strategy


@pytest.mark.parametrize("chain", [3, [3], "value(0.1) + nonsense(2)", "value(0.1) +"])
def test_what_is_no_chain_is_refused_in_a_line(chain):
    with pytest.raises(SpecError) as error:
        Clipped(adam(), chain)
    assert "\n" not in str(error.value)


def test_steps_are_those_of_the_inner_optimizer_on_clipped_gradients():
    clipped, plain = compiled("centralize() + global_norm(0.5)"), new_model()
    optimizer = adam()
    chain = ClippingChain(
        parse_clipping(["centralize()", "global_norm(0.5)"]), describe_variables(plain)
    )
    fit(clipped)
    for first in range(0, len(X), 8):
        x, y = X[first : first + 8], Y[first : first + 8]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(plain(x) - y))
        tensors = tape.gradient(loss, plain.trainable_variables)
        raw = Gradients(tensors, describe_variables(plain))
        assert raw.global_norm > 0.5
        optimizer.apply(chain(raw).values, plain.trainable_variables)
    for a, b in zip(clipped.weights, plain.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("chain", [STATEFUL, "adaptive()", "block_rms() + norm()"])
def test_fit_may_build_the_model(chain):
    """Its weights have no values yet when the optimizer first sees them."""
    ends = []
    for inputs in ([keras.Input((3,))], []):
        layers = [
            keras.layers.Dense(
                units, kernel_initializer=keras.initializers.Orthogonal(seed=0)
            )
            for units in (4, 1)
        ]
        model = keras.Sequential([*inputs, *layers])
        assert model.built == bool(inputs)
        model.compile(Clipped(adam(), chain), "mse")
        model.fit(np.ones([4, 3]), np.ones([4, 1]), epochs=3, verbose=0)
        ends.append(model.get_weights())
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_units_are_those_of_the_layers():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Conv1DTranspose(2, 3)])
    model.compile(Clipped("sgd", "centralize()"), "mse")
    x, y = RNG.normal(size=(8, 5, 4)), RNG.normal(size=(8, 7, 2))
    model.build(x.shape)
    kernel = model.layers[0].kernel
    before = kernel.numpy()
    model.fit(x, y, verbose=0)
    moved = kernel.numpy() - before
    # The layout is [time, output, input]: the mean over what leads into an output.
    np.testing.assert_allclose(moved.mean(axis=(0, 2)), 0.0, atol=1e-7)
    assert np.abs(moved.mean(axis=(0, 1))).max() > 1e-4


def test_a_part_of_a_model_needs_the_model_for_its_units():
    model = new_model()
    part = model.trainable_variables[:2]
    with pytest.raises(SpecError, match=r"hidden/kernel is not known.*model=model"):
        Clipped("sgd", "centralize()").build(part)
    Clipped("sgd", "centralize()", model=model).build(part)
    Clipped("sgd", "quantile(0.5)").build(part)


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("chain", ["none()", "global_norm(0.5)", STATEFUL])
def test_two_replicas_make_the_weights_of_one(chain):
    strategy = create_distribution("mirrored").strategy
    inner = keras.optimizers.AdamW(0.01, 0.1, name="adamw")
    one = compiled(chain, inner)
    fit(one, epochs=2)
    with strategy.scope():
        inner = keras.optimizers.AdamW(0.01, 0.1, name="adamw")
        two = compiled(chain, inner)
    assert strategy.num_replicas_in_sync == 2
    fit(two, epochs=2)
    check_same(state(one), state(two), rtol=1e-4, atol=1e-6)
    # What one replica alone sees skips the step on both.
    before = state(two)
    x = X[:8].copy()
    x[0, 0] = np.inf
    fit(two, x, Y[:8])
    check_skipped(before, state(two))


def check_skipped(before, after, times=1):
    for name, value in before.items():
        if name.endswith("clipped/skipped"):
            assert after[name] == value + times
        else:
            np.testing.assert_array_equal(after[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("chain", "factor"), [(STATEFUL, np.inf), ("skip_spikes(limit=10.0)", 1e4)]
)
@pytest.mark.parametrize("eager", [False, True])
def test_a_step_that_is_skipped_changes_nothing_but_its_count(chain, factor, eager):
    model = compiled(chain, run_eagerly=eager)
    fit(model, 0.1 * X, 0.1 * Y)
    assert model.optimizer.iterations == len(X) / 8
    before = state(model)
    fit(model, X[:16], factor * Y[:16])
    check_skipped(before, state(model), times=2)


def test_constraints_wait_for_a_step_that_is_made():
    model = compiled("none()")
    kernel = model.layers[0].kernel
    kernel.constraint = lambda w: tf.clip_by_value(w, -0.1, 0.1)
    before = kernel.numpy()
    fit(model, X[:8] * np.inf, Y[:8])
    np.testing.assert_array_equal(kernel.numpy(), before)
    fit(model)
    assert np.abs(kernel.numpy()).max() == np.float32(0.1)


def test_averages_of_the_inner_optimizer_are_what_fit_ends_with():
    inner = keras.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.5, name="sgd")
    model = compiled("none()", inner)
    fit(model, X[:16], Y[:16])
    averages = [v for v in inner.variables if "average" in v.path]
    for average, weight in zip(averages, model.weights, strict=True):
        np.testing.assert_array_equal(average.numpy(), weight.numpy())


@pytest.mark.parametrize("dynamic", [True, False])
def test_norms_are_of_unscaled_gradients(dynamic):
    inner = keras.optimizers.Adam(
        0.01, name="adam", loss_scale_factor=None if dynamic else 1024.0
    )
    plain, scaled = compiled("quantile(0.5)"), new_model()
    optimizer = Clipped(inner, "quantile(0.5)", name="clipped")
    if dynamic:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024)
    scaled.compile(optimizer, "mse")
    fit(plain)
    fit(scaled)
    own = optimizer.inner_optimizer if dynamic else optimizer
    for a, b in zip(
        (*plain.weights, *plain.optimizer.variables),
        (*scaled.weights, *own.variables),
        strict=True,
    ):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-5, atol=1e-6)


def test_what_loss_scaling_skips_leaves_all_but_the_scale():
    model = new_model()
    inner = Clipped(adam(), STATEFUL)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=64)
    model.compile(optimizer, "mse")
    fit(model)
    before = [v.numpy() for v in (*model.weights, *inner.variables)]
    fit(model, X[:8] * np.inf, Y[:8])
    assert optimizer.dynamic_scale == 32
    for value, v in zip(before, (*model.weights, *inner.variables), strict=True):
        np.testing.assert_array_equal(v.numpy(), value, err_msg=v.path)


def test_half_precision_models_are_scaled_by_compile():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled("global_norm(0.5)")
        fit(model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert model.optimizer.inner_optimizer.iterations > 0


def test_rows_that_repeat_count_as_their_sum_and_none_is_left_out():
    table = keras.Variable(np.ones((4, 2), np.float32), name="table")
    unused = keras.Variable(np.ones(3, np.float32), name="unused")
    optimizer = Clipped(keras.optimizers.SGD(1.0), "global_norm(1.0)")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(table.value, [1, 1, 1]))
    gradients = tape.gradient(loss, [table.value, unused.value])
    assert isinstance(gradients[0], tf.IndexedSlices)
    with pytest.warns(UserWarning, match="do not exist for variables"):
        optimizer.apply(gradients, [table, unused])
    # The row's gradient is (3, 3), of norm 3 sqrt 2.
    moved = np.zeros((4, 2))
    moved[1] = 1.0 / np.sqrt(2.0)
    np.testing.assert_allclose(table.numpy(), 1.0 - moved, rtol=1e-6)
    np.testing.assert_array_equal(unused.numpy(), 1.0)
    with pytest.raises(ValueError, match="No gradients"):
        optimizer.apply([None, None], [table, unused])


def test_a_saved_model_goes_on_as_if_it_had_not_stopped(tmp_path):
    model = compiled()
    fit(model)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    check_same(state(model), state(loaded), rtol=0)
    fit(model)
    fit(loaded)
    check_same(state(model), state(loaded), rtol=1e-6)


def test_a_checkpoint_holds_the_state_of_strategies(tmp_path):
    model, other = compiled(), compiled()
    fit(model)
    fit(other, X[:8], Y[:8])
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(
        tmp_path / "c"
    )
    checkpoint = tf.train.Checkpoint(model=other, optimizer=other.optimizer)
    checkpoint.restore(path).assert_existing_objects_matched()
    check_same(state(model), state(other), rtol=0)


@pytest.mark.slow
@pytest.mark.headline
def test_backups_restore_the_state_of_strategies(tmp_path):
    class Killed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path)

    whole, killed, resumed = compiled(), compiled(), compiled()
    fit(whole, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        fit(killed, epochs=4, callbacks=[backup(), Killed()])
    fit(resumed, epochs=4, callbacks=[backup()])
    check_same(state(whole), state(resumed), rtol=1e-6)


@keras.saving.register_keras_serializable(package="tests")
@dataclasses.dataclass(frozen=True)
class Halve(Clipping):
    share: float = 0.5

    def clip(self, gradients, state):
        return gradients.scaled(tf.constant(self.share))


def test_a_strategy_from_outside_is_saved_by_its_registered_name():
    optimizer = Clipped("sgd", [Halve(0.25), "value(1.0)"])
    again = Clipped.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    gradients, variable = [tf.constant([8.0])], keras.Variable([0.0])
    again.learning_rate = 1.0
    again.apply(gradients, [variable])
    assert variable.numpy() == -1.0


def test_configs_keep_what_belongs_to_the_inner_optimizer():
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    inner = keras.optimizers.AdamW(rate, loss_scale_factor=8.0)
    optimizer = Clipped.from_config(Clipped(inner, STATEFUL).get_config())
    assert optimizer.loss_scale_factor == 8.0
    assert optimizer.inner_optimizer.loss_scale_factor is None
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        ({"clipnorm": 2.0}, r"norm\(2\.0\)"),
        ({"clipvalue": 2.0}, r"value\(2\.0\)"),
        ({"global_clipnorm": 2.0}, r"global_norm\(2\.0\)"),
        ({"gradient_accumulation_steps": 2}, "accumulates"),
    ],
)
def test_optimizers_that_clip_or_accumulate_are_refused(arguments, cure):
    with pytest.raises(ValueError, match=cure):
        Clipped(keras.optimizers.SGD(**arguments), "value(1.0)")


def test_loss_scaling_inside_is_refused():
    inner = keras.optimizers.LossScaleOptimizer(adam())
    with pytest.raises(ValueError, match=r"LossScaleOptimizer\(Clipped"):
        Clipped(inner, "value(1.0)")


def test_variables_that_are_not_known_are_refused():
    optimizer = Clipped("sgd", "value(1.0)")
    first, second = (keras.Variable([0.0], name=name) for name in "ab")
    optimizer.build([first])
    with pytest.raises(ValueError, match="1 of 1 variables are not among the 1"):
        optimizer.apply([tf.constant([1.0])], [second])


@pytest.mark.slow
@pytest.mark.headline
def test_a_loop_of_ones_own_may_be_compiled_whole():
    model = new_model()
    optimizer = Clipped(adam(), STATEFUL)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x) - y))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    for first in range(0, len(X), 8):
        step(X[first : first + 8], Y[first : first + 8])
    other = compiled()
    fit(other)
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def test_names_of_the_package_come_without_tensorflow():
    code = (
        "import json, sys, tfspeech\n"
        "before = 'tensorflow' in sys.modules, dir(tfspeech)\n"
        "found = tfspeech.Clipped.__name__, hasattr(tfspeech, 'Clippd')\n"
        "print(json.dumps([*before, *found]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    loaded, names, name, knows_others = json.loads(done.stdout)
    assert not loaded
    assert {"Clipped", "regularize"} <= set(names)
    assert name == "Clipped"
    assert not knows_others
