"""`fit` with our strategies: the weights and the figures of our own loop."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from specs import CLIP
from test_distribution import CLIP_CHAINS
from toy import ToyModel, model_of, run, toy_data, toy_step

from tfspeech.errors import SpecError
from tfspeech.strategies import Clipped, regularize
from tfspeech.training.callbacks import read_metrics
from tfspeech.training.distribution import create_distribution
from tfspeech.training.fit import Diagnostics
from tfspeech.training.group import METRICS
from tfspeech.training.optimizers import Schedule

STEPS = 50
NOT_TOLD = {"loss", "penalty", "loss_scale"}
"""Settings that an optimizer is not told."""


def pairs(**kwargs):
    """The data of the toy, as `fit` takes them."""
    return toy_data(**kwargs).map(lambda batch: (batch["x"], batch["y"]))


def toy_fit(clip=("global_norm(0.5)",), regularize_by=(), callbacks=(), **kwargs):
    """The toy model after some steps of `fit`, with the settings of `toy_step`."""
    keras.utils.set_random_seed(0)
    toy = ToyModel()
    inputs = keras.Input((3,))
    model = keras.Model(inputs, toy({"x": inputs})["y"])
    rate = Schedule("constant()", 0.01, 0, 100)
    model.compile(
        Clipped(keras.optimizers.Adam(rate), list(clip), model=toy),
        "mse",
        steps_per_execution=kwargs.pop("steps_per_execution", 1),
    )
    if regularize_by:
        regularize(model, list(regularize_by))
    data = kwargs.pop("data", pairs())
    epochs = kwargs.pop("epochs", 1)
    fitted = {"steps_per_epoch": STEPS // epochs, "epochs": epochs, "shuffle": False}
    model.fit(data.repeat(), verbose=0, callbacks=list(callbacks), **fitted | kwargs)
    return model


def check_same_weights(step, model):
    weights = [v.numpy() for v in model_of(step).trainable_variables]
    for value, variable in zip(weights, model.trainable_variables, strict=True):
        np.testing.assert_allclose(
            variable.numpy(), value, rtol=0, atol=1e-6, err_msg=variable.path
        )


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("names", CLIP_CHAINS, ids="+".join)
def test_fit_makes_the_weights_of_our_loop(names):
    clip = [CLIP[name] for name in names]
    step = toy_step(clip=clip)
    metrics = run(step, toy_data(), STEPS)
    model = toy_fit(clip)
    check_same_weights(step, model)
    assert model.optimizer.skipped == metrics["skipped"].sum()


CHAINS = [
    ["l1(1e-2)", "l2(1e-2)", "kl_gaussian(0.1)", "orthogonal(1e-2)"],
    ["weight_decay(0.1)", "group_lasso(0.1)", "l1_prox(0.1)"],
    ["max_norm(0.5)", "box(-0.2, 0.3)", "l2_ball(0.5)", "l1_ball(1.0, match='hidden')"],
]


@pytest.mark.parametrize("chain", CHAINS, ids="+".join)
def test_regularization_makes_the_weights_of_our_loop(chain):
    step = toy_step(regularize=chain)
    run(step, toy_data(), STEPS)
    model = toy_fit(regularize_by=chain)
    check_same_weights(step, model)
    with pytest.raises(AssertionError):
        check_same_weights(step, toy_fit())


def test_fit_shows_penalties_in_its_loss():
    model = toy_fit()
    x = np.zeros((4, 3), np.float32)
    before = model.evaluate(x, x[:, :1], verbose=0)
    regularize(model, "l2(0.5, match='hidden') + l2(0.5, match='hidden')")
    model.compile(model.optimizer, "mse")
    after = model.evaluate(x, x[:, :1], verbose=0)
    hidden = model.layers[1].hidden
    wanted = sum(np.square(v.numpy()).sum() for v in (hidden.kernel, hidden.bias))
    assert after - before == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        ("prune(0.5)", "Prune keeps state"),
        ("spectral(1.0)", "Spectral keeps state"),
        ("kl_mean_field()", "KLMeanField computes weights"),
        ("kl_sparsity()", "KLSparsity penalises activations"),
        ("l2(1.0, match='nothing')", "selects none of"),
        ("budget(parameters=3)", "3"),
        ("l2(1.0) + nonsense()", "unknown regularization strategy"),
    ],
)
def test_what_keras_has_no_place_for_is_refused_whole(chain, reason):
    model = ToyModel()
    with pytest.raises(SpecError, match=reason):
        regularize(model, f"l1(1.0) + {chain}")
    assert not model.losses


def test_models_are_to_be_built_and_compiled():
    with pytest.raises(ValueError, match="build net first"):
        regularize(keras.Sequential([keras.layers.Dense(2)], name="net"), "l2(1.0)")
    model = ToyModel()
    regularize(model, "max_norm(0.1)")
    optimizer = keras.optimizers.SGD(0.1)
    variables = model.trainable_variables
    zeros = [tf.zeros_like(v.value) for v in variables]
    with pytest.raises(ValueError, match="toy is not compiled"):
        optimizer.apply(zeros, variables)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """The folder of diagnostics of a run, and what our own loop measured in it."""
    folder = tmp_path_factory.mktemp("fit")
    data = {"bad": [20]}
    clip = ["quantile(0.5)"]
    own = run(toy_step(clip=clip), toy_data(**data), STEPS)
    few = pairs(batches=4)
    toy_fit(
        clip,
        data=pairs(**data),
        epochs=2,
        callbacks=[Diagnostics(folder, every=7)],
        validation_data=few,
        validation_steps=4,
    )
    return folder, own


def test_the_figures_of_every_step_are_those_of_our_loop(fitted):
    folder, own = fitted
    records = read_metrics(folder / "metrics.jsonl")
    steps = [r for r in records if "group" in r]
    assert [r["step"] for r in steps] == list(range(1, STEPS + 1))
    assert own["skipped"].sum() == 1
    for name in METRICS:
        found = np.array([r[name] for r in steps], float)
        wanted = own[name] if name not in NOT_TOLD else np.full(STEPS, np.nan)
        wanted = np.where(np.isfinite(wanted), wanted, np.nan)  # As JSON has it.
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4, err_msg=name)


def test_epochs_tell_of_weights_and_validation(fitted):
    epochs = [r for r in read_metrics(fitted[0] / "metrics.jsonl") if "epoch" in r]
    assert [(r["epoch"], r["step"]) for r in epochs] == [(1, 25), (2, 50)]
    assert set(epochs[0]["weights"]["model"]) >= {"zeros", "zero_units"}
    assert list(epochs[0]["validation"]) == ["loss"]


def test_tensorboard_and_plots_are_written(fitted):
    (events,) = (fitted[0] / "tensorboard").iterdir()
    found = {}
    for serialized in tf.data.TFRecordDataset(str(events)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(serialized)
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
    assert found["model/clipped"] == [7, 14, 21, 25, 32, 39, 46, 50]
    tags = ("cosine", "retained_energy", "sign_flips", "update_cosine")
    assert {f"model/{tag}" for tag in tags} < set(found)
    assert any(tag.startswith("update_ratio/") for tag in found)
    assert (fitted[0] / "plots" / "diagnostics.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
@pytest.mark.headline
def test_a_run_that_goes_on_appends(tmp_path):
    def go_on(model, epochs, first):
        data, count = pairs().repeat(), {"steps_per_epoch": 8, "initial_epoch": first}
        callbacks = [Diagnostics(tmp_path, every=4)]
        model.fit(
            data, epochs=epochs, callbacks=callbacks, verbose=0, shuffle=False, **count
        )

    model = toy_fit(steps_per_epoch=1, steps_per_execution=4)
    model.optimizer.inner_optimizer.iterations.assign(0)
    go_on(model, 1, 0)
    go_on(model, 3, 1)
    records = read_metrics(tmp_path / "metrics.jsonl")
    assert [r["step"] for r in records if "group" in r] == list(range(1, 25))
    assert [r["epoch"] for r in records if "epoch" in r] == [1, 2, 3]


def test_diagnostics_see_all_replicas_and_through_a_loss_scale(tmp_path):
    with create_distribution("mirrored").strategy.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        optimizer = Clipped(keras.optimizers.SGD(0.01), "global_norm(0.1)")
        model.compile(keras.optimizers.LossScaleOptimizer(optimizer), "mse")
    x = np.ones((32, 3), np.float32)
    model.fit(x, x[:, :1], 8, verbose=0, callbacks=[Diagnostics(tmp_path)])
    steps = [r for r in read_metrics(tmp_path / "metrics.jsonl") if "group" in r]
    assert [r["step"] for r in steps] == [1, 2, 3, 4]
    norms = [r["clipped_norm"] for r in steps]
    np.testing.assert_allclose(norms, 0.1, rtol=1e-3)
    assert all(r["gradient_norm"] < 100 for r in steps)
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])


def test_diagnostics_need_an_optimizer_that_can_be_watched(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"Clipped\(optimizer, 'none\(\)'\).*SGD"):
        model.fit(np.ones((4, 3)), np.ones(4), callbacks=[Diagnostics(tmp_path)])
    assert not list(tmp_path.iterdir())
