import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import all_values, group_of, model_of, run, toy_data, toy_loss, toy_step

from tfspeech.training.group import LossScale
from tfspeech.training.step import Losses


def test_the_loss_falls_and_every_step_is_reported():
    metrics = run(toy_step(), toy_data(), 200)
    assert all(len(values) == 200 for values in metrics.values())
    assert metrics["loss"][-20:].mean() < 0.2 * metrics["loss"][:20].mean()
    clipped = metrics["gradient_norm"] > 0.5
    assert clipped.any()
    np.testing.assert_array_equal(metrics["clipped"], clipped)
    assert np.all(metrics["clipped_norm"] <= 0.5 * (1 + 1e-6))
    below = ~clipped
    np.testing.assert_array_equal(
        metrics["clipped_norm"][below], metrics["gradient_norm"][below]
    )


def test_one_call_of_many_steps_is_many_calls_of_one():
    many, single = toy_step(), toy_step()
    run(many, toy_data(), 7)
    iterator = iter(toy_data())
    for _ in range(7):
        single.run(iterator, 1)
    assert all_values(many) == all_values(single)


def test_an_sgd_step_is_that_of_numpy():
    step = toy_step(clip=["global_norm(0.1)"], optimizer="sgd()", learning_rate=0.5)
    variables = model_of(step).trainable_variables
    w1, b1, w2, b2 = (v.numpy().astype(float) for v in variables)
    batch = next(toy_data().as_numpy_iterator())
    x, y = batch["x"].astype(float), batch["y"].astype(float)
    h = np.tanh(x @ w1 + b1)
    d_out = 2 * (h @ w2 + b2 - y) / len(x)
    d_hidden = (d_out @ w2.T) * (1 - h**2)
    gradients = [x.T @ d_hidden, d_hidden.sum(0), h.T @ d_out, d_out.sum(0)]
    norm = np.sqrt(sum(np.square(g).sum() for g in gradients))
    metrics = run(step, toy_data(), 1)
    assert metrics["gradient_norm"][0] == pytest.approx(norm, rel=1e-5)
    for old, gradient, new in zip((w1, b1, w2, b2), gradients, variables, strict=True):
        wanted = old - 0.5 * gradient * min(1, 0.1 / norm)
        np.testing.assert_allclose(new, wanted, rtol=1e-5, atol=1e-6)


def test_accumulation_takes_the_mean_of_the_gradients():
    data = toy_data()
    together = data.unbatch().batch(24)
    accumulated, whole = toy_step(accumulate_steps=3), toy_step()
    first, second = run(accumulated, data, 4), run(whole, together, 4)
    np.testing.assert_allclose(first["loss"], second["loss"], rtol=1e-5)
    for a, b in zip(
        model_of(accumulated).variables, model_of(whole).variables, strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("accumulate_steps", [1, 2])
def test_there_is_no_loop_inside_the_loop_over_steps(accumulate_steps):
    """Grappler's temporary sums of large gradients collide in one, now and then."""
    step = toy_step(accumulate_steps=accumulate_steps)
    traced = step._run.get_concrete_function(iter(toy_data()), tf.constant(1))
    definition = traced.graph.as_graph_def()
    loops = {"While", "StatelessWhile"}
    assert sum(node.op in loops for node in definition.node) == 1
    inside = [n for f in definition.library.function for n in f.node_def]
    assert not [node.name for node in inside if node.op in loops]


@pytest.mark.parametrize("accumulate_steps", [1, 2])
def test_a_step_that_is_not_finite_touches_nothing(accumulate_steps):
    step = toy_step(
        clip=["value(0.1)"],
        regularize=["weight_decay(0.1)", "max_norm(0.1)"],
        ema_momentum=0.9,
        accumulate_steps=accumulate_steps,
    )
    run(step, toy_data(), 3)
    before = all_values(step)
    metrics = run(step, toy_data(bad=[0]), 1)
    after = all_values(step)
    assert metrics["skipped"].tolist() == [1.0]
    counters = {"steps", "model/skipped"}
    assert {k for k in after if after[k] != before[k]} == counters
    assert (int(step.steps), int(group_of(step).skipped)) == (4, 1)
    assert run(step, toy_data(), 1)["skipped"].tolist() == [0.0]


def test_penalties_are_reported_apart_from_the_loss():
    step = toy_step(regularize=["l2(0.01)"])
    weights = [v for v in model_of(step).trainable_variables if v.name == "kernel"]
    wanted = 0.01 * sum(float(tf.reduce_sum(tf.square(w.value))) for w in weights)
    batch = next(iter(toy_data()))
    loss = float(toy_loss(model_of(step)(batch), batch))
    metrics = run(step, toy_data(), 1)
    assert metrics["penalty"][0] == pytest.approx(wanted, rel=1e-5)
    assert metrics["loss"][0] == pytest.approx(loss, rel=1e-5)


def test_constraints_hold_after_every_update():
    step = toy_step(regularize=["box(-0.05, 0.05)"], learning_rate=0.1)
    run(step, toy_data(), 5)
    for variable in model_of(step).trainable_variables:
        inside = np.abs(variable.numpy()).max() <= np.float32(0.05)
        assert inside == (variable.name == "kernel")


def test_weight_decay_follows_the_learning_rate():
    plain, decayed = (
        toy_step(optimizer="sgd()"),
        toy_step(optimizer="sgd()", regularize=["weight_decay(2.0)"]),
    )
    run(plain, toy_data(), 1)
    run(decayed, toy_data(), 1)
    for a, b in zip(
        model_of(plain).trainable_variables,
        model_of(decayed).trainable_variables,
        strict=True,
    ):
        factor = 1 - 0.01 * 2.0 if a.name == "kernel" else 1.0
        np.testing.assert_allclose(b, factor * a.numpy(), rtol=1e-5)


def test_adamw_is_that_of_keras_without_decay_of_biases():
    ours = toy_step(clip=["none()"], optimizer="adamw(0.3)", learning_rate=0.05)
    theirs = model_of(toy_step())
    optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(theirs.trainable_variables)
    weights = [v.value for v in theirs.trainable_variables]
    iterator = iter(toy_data())
    for batch in toy_data().take(6):
        ours.run(iterator, 1)
        with tf.GradientTape() as tape:
            loss = toy_loss(theirs(batch, training=True), batch)
        gradients = tape.gradient(loss, weights)
        optimizer.apply(gradients, theirs.trainable_variables)
        for a, b in zip(model_of(ours).weights, theirs.weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=a.path)


def test_the_loss_scale_doubles_after_so_many_finite_steps():
    scale = LossScale(8.0, growth_steps=3)
    seen = []
    for finite in (True, True, True, True, True, False, True, True, True):
        scale.update(tf.constant(finite))
        seen.append(float(scale.scale))
    assert seen == [8, 8, 16, 16, 16, 8, 8, 8, 16]
    top = LossScale(2.0**24, growth_steps=1)
    top.update(tf.constant(True))
    assert float(top.scale) == 2.0**24


def test_a_loss_that_is_not_finite_is_skipped_though_its_gradient_is():
    step = toy_step()
    losses = step._losses

    def infinite(group, batch):
        """An infinity that no weight has a part in."""
        found = losses(group, batch)
        extra = tf.reduce_max(tf.math.abs(batch["x"])) * np.inf
        return Losses(found.terms | {"constant": extra}, outputs=found.outputs)

    step._losses = infinite
    before = all_values(step)
    metrics = run(step, toy_data(), 1)
    assert np.isfinite(metrics["gradient_norm"]).all()
    assert metrics["skipped"].tolist() == [1.0]
    after = all_values(step)
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"steps", "model/skipped"}


def test_exact_zeros_stay_zeros_under_the_average():
    step = toy_step(
        ema_momentum=0.99, regularize=["prune(0.5, begin=0, end=5, every=1)"]
    )
    run(step, toy_data(), 6)
    kernels = [v for v in model_of(step).trainable_variables if v.name == "kernel"]
    pruned = [v.numpy() == 0.0 for v in kernels]
    assert all(0.4 < zeros.mean() < 0.6 for zeros in pruned)
    averages = group_of(step).average.averages
    with step.evaluation_weights():
        for kernel, zeros in zip(kernels, pruned, strict=True):
            np.testing.assert_array_equal(kernel.numpy() == 0.0, zeros)
    # The average itself still knows of weights that are gone.
    assert any((a.numpy() != 0.0).sum() > 6 for a in averages if a.shape.rank == 2)


def test_the_average_is_that_of_the_formula_and_is_swapped_in_and_out():
    step = toy_step(ema_momentum=0.5)
    weight = model_of(step).trainable_variables[0]
    wanted, iterator = weight.numpy().astype(float), iter(toy_data())
    for t in range(1, 6):
        step.run(iterator, 1)
        momentum = min(0.5, (1 + t) / (10 + t))
        wanted = momentum * wanted + (1 - momentum) * weight.numpy()
    before = all_values(step)
    with step.evaluation_weights():
        np.testing.assert_allclose(weight, wanted, rtol=1e-5)
    assert all_values(step) == before


def test_the_loss_scale_falls_at_an_overflow_and_the_update_does_not_depend_on_it():
    step = toy_step(dtype="mixed_float16")
    metrics = run(step, toy_data(bad=[4]), 6)
    scale, skipped = metrics["loss_scale"], metrics["skipped"]
    assert scale[0] == 2.0**15
    np.testing.assert_array_equal(scale[1:] / scale[:-1], 1 - 0.5 * skipped[:-1])
    assert skipped[4] == 1
    assert skipped[5] == 0
    first = int(np.argmin(skipped))  # Until then the scale came down, no weight moved.
    exact = run(toy_step(), toy_data().skip(first), 1)
    assert metrics["gradient_norm"][first] == pytest.approx(
        exact["gradient_norm"][0], rel=0.01
    )


@pytest.mark.parametrize("optimizer", ["sgd(0.9)", "adam()", "adamw(0.1)", "rmsprop()"])
def test_every_optimizer_lowers_the_loss(optimizer):
    metrics = run(toy_step(optimizer=optimizer), toy_data(), 150)
    assert metrics["loss"][-20:].mean() < 0.6 * metrics["loss"][:20].mean()


def test_dropout_and_everything_else_is_the_same_for_the_same_seed():
    states = []
    for seed in (1, 1, 2):
        step = toy_step(dropout=0.5, seed=seed)
        run(step, toy_data(), 5)
        states.append(all_values(step))
    assert states[0] == states[1]
    assert states[0] != states[2]


def test_keras_optimizers_keep_their_own_clipping_out_of_it():
    assert isinstance(group_of(toy_step()).optimizer, keras.optimizers.Adam)
    assert group_of(toy_step()).optimizer.global_clipnorm is None
