"""One replica, two replicas and two processes make the same weights."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from specs import CLIP, REGULARIZE
from toy import (
    ToyModel,
    all_values,
    model_of,
    run,
    toy_data,
    toy_loss,
    toy_step,
)

from tfspeech.errors import SpecError
from tfspeech.training.distribution import create_distribution

SETTINGS = {
    "optimizer": "sgd(0.9)",
    "learning_rate": 0.05,
    "ema_momentum": 0.9,
    "dropout": 0.3,
}
STEPS = 20


@pytest.fixture(scope="module")
def two_replicas():
    distribution = create_distribution("mirrored")
    assert distribution.replicas == 2
    return distribution


def trained(distribution=None, data=None, **settings):
    step = toy_step(**SETTINGS | settings, distribution=distribution)
    metrics = run(step, toy_data() if data is None else data, STEPS)
    return step, metrics


def check_same(one, two):
    (step, metrics), (other, others) = one, two
    for name, variable in step.variables.items():
        value = np.asarray(variable.numpy(), np.float64)
        np.testing.assert_allclose(
            other.variables[name].numpy(), value, rtol=1e-5, atol=1e-6, err_msg=name
        )
    for name in ("loss", "penalty", "gradient_norm", "clipped_norm", "skipped"):
        np.testing.assert_allclose(metrics[name], others[name], rtol=1e-4, atol=1e-6)


# What keeps nothing from step to step acts in chains: each on what others left of it.
CLIP_CHAINS = [
    ["none", "centralize", "smooth", "adaptive", "block_rms", "norm", "global_norm"],
    ["value", "inverse_sqrt_dim"],
    *([name] for name in ("percentile", "quantile", "zscore", "median")),
    *([name] for name in ("skip_spikes", "error_feedback")),
]
REGULARIZE_CHAINS = [
    ["none", "l1", "l2", "l1_l2", "kl_gaussian", "orthogonal", "budget"],
    ["kl_sparsity"],
    ["weight_decay", "l1_prox", "group_lasso"],
    ["spectral", "max_norm", "l2_ball", "l1_ball", "box"],
    *([name] for name in ("prune", "kl_mean_field", "hard_concrete_l0")),
]


def test_the_chains_of_this_test_name_every_strategy():
    assert {name for chain in CLIP_CHAINS for name in chain} == set(CLIP)
    assert {name for chain in REGULARIZE_CHAINS for name in chain} == set(REGULARIZE)


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("names", CLIP_CHAINS, ids="+".join)
def test_clipping_is_the_same_on_two_replicas(names, two_replicas):
    settings = {"clip": [CLIP[name] for name in names]}
    check_same(trained(**settings), trained(two_replicas, **settings))


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("names", REGULARIZE_CHAINS, ids="+".join)
def test_regularization_is_the_same_on_two_replicas(names, two_replicas):
    chain = [REGULARIZE[name] for name in names]
    settings = {"clip": ["global_norm(1.0)"], "regularize": chain}
    check_same(trained(**settings), trained(two_replicas, **settings))


@pytest.mark.slow
@pytest.mark.headline
def test_accumulation_is_the_same_on_two_replicas(two_replicas):
    settings = {"accumulate_steps": 3, "optimizer": "adamw(0.1)"}
    check_same(trained(**settings), trained(two_replicas, **settings))


def test_a_batch_that_does_not_divide_is_the_same_on_two_replicas(two_replicas):
    data = toy_data(size=7)
    check_same(trained(data=data), trained(two_replicas, data=data))


def test_a_value_that_is_not_finite_on_one_replica_skips_the_step_on_both(two_replicas):
    step, _ = trained(
        two_replicas,
        clip=["quantile(0.5)"],
        regularize=["max_norm(0.5)"],
        optimizer="adam()",
    )
    before = all_values(step)
    # Row 0 alone is infinite, and the first replica alone has it.
    metrics = run(step, toy_data(bad=[0]), 1)
    after = all_values(step)
    assert metrics["skipped"].tolist() == [1.0]
    assert {k for k in after if after[k] != before[k]} == {"steps", "model/skipped"}


def test_keras_clips_before_it_reduces_and_ends_above_its_limit(two_replicas):
    """With equal limit, batch and loss our update has norm 0.1, Keras's nearly 0.2."""

    def norm_of_update(model, take_step):
        variables = model.trainable_variables
        before = [v.numpy() for v in variables]
        take_step()
        pairs = zip(variables, before, strict=True)
        return np.sqrt(sum(np.square(v.numpy() - b).sum() for v, b in pairs))

    settings = {"optimizer": "sgd()", "learning_rate": 1.0}
    ours = toy_step(clip=["global_norm(0.1)"], distribution=two_replicas, **settings)
    norm = norm_of_update(model_of(ours), lambda: ours.run(iter(toy_data()), 1))
    assert norm == pytest.approx(0.1, rel=1e-5)

    with two_replicas.strategy.scope():
        keras.utils.set_random_seed(0)
        model = ToyModel()
        optimizer = keras.optimizers.SGD(1.0, global_clipnorm=0.1)
        optimizer.build(model.trainable_variables)

    def replica(batch):
        part = two_replicas.share(batch)
        weights = [v.value for v in model.trainable_variables]
        with tf.GradientTape() as tape:
            loss = toy_loss(model(part), part) / two_replicas.replicas
        optimizer.apply(tape.gradient(loss, weights), model.trainable_variables)

    @tf.function
    def take_step():
        two_replicas.strategy.run(replica, args=(next(iter(toy_data())),))

    assert norm_of_update(model, take_step) > 0.15


WORKER = """
import sys
sys.path[:0] = sys.argv[1:2]
from tfspeech.training.distribution import create_distribution
distribution = create_distribution("multi_worker")
import numpy as np
from toy import run, toy_data, toy_step
clip, regularize = sys.argv[3:]
step = toy_step(
    clip=[clip], regularize=[regularize], optimizer="sgd(0.9)", learning_rate=0.05,
    ema_momentum=0.9, dropout=0.3, distribution=distribution,
)
index, count = distribution.shard
mine = lambda batch: {k: v[index::count] for k, v in batch.items()}
metrics = run(step, toy_data(bad=[3]).map(mine), 20)
assert metrics["skipped"].tolist() == [0, 0, 0, 1] + 16 * [0]
assert distribution.any(not distribution.is_chief)
name = "chief" if distribution.is_chief else "other"
values = {k.replace("/", "."): v.numpy() for k, v in step.variables.items()}
np.savez(f"{sys.argv[2]}/{name}.npz", **values)
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize(
    ("clip", "regularize"),
    [
        ("quantile(0.5)", "kl_sparsity(0.1, 0.1)"),
        ("error_feedback('value(0.05)')", "hard_concrete_l0(0.01)"),
    ],
)
def test_two_processes_make_the_weights_of_one(tmp_path, clip, regularize):
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    root = Path(__file__).parents[2]
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": workers}, "task": task}
        environment = os.environ | {
            "TF_CONFIG": json.dumps(config),
            "PYTHONPATH": str(root),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        processes.append(
            subprocess.Popen(
                [
                    *(sys.executable, script, Path(__file__).parent, tmp_path),
                    *(clip, regularize),
                ],
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    errors = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    one, _ = trained(data=toy_data(bad=[3]), clip=[clip], regularize=[regularize])
    for name in ("chief", "other"):
        with np.load(tmp_path / f"{name}.npz") as values:
            for key, variable in one.variables.items():
                np.testing.assert_allclose(
                    values[key.replace("/", ".")],
                    variable.numpy(),
                    rtol=1e-5,
                    atol=1e-6,
                    err_msg=f"{name} {key}",
                )


@pytest.mark.parametrize(
    "config", ["", "nonsense", "{}", '{"cluster": {"worker": []}, "task": {}}']
)
def test_a_cluster_that_is_not_described_is_one_clear_error(config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(SpecError, match=r"\$TF_CONFIG.*host1:port"):
        create_distribution("multi_worker")
