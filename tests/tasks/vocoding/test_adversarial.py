"""Adversarial training of vocoders: losses, groups, and runs that go on to the bit."""

import json

import numpy as np
import pytest
import tensorflow as tf
from numpy_losses import NUMPY_LOSSES
from test_synthesis_run import arrays_of

from tfspeech import train
from tfspeech.tasks.adversarial import LOSSES
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.vocoding.adversarial import AdversaryConfig
from tfspeech.training.callbacks import read_metrics
from tfspeech.training.distribution import create_distribution


@pytest.fixture(scope="module")
def run(small_gan):
    return load_task(small_gan)


@pytest.fixture(scope="module")
def task(run):
    return run[1]


@pytest.fixture(scope="module")
def batch(run):
    config, task = run
    data = config.read_data()
    recordings = task.recordings(data, data.corpus.indices("train"))
    # The longest are longer than some recordings.
    return recordings.segments(
        tf.constant([0, 3, 2, 9]), tf.range(4, dtype=tf.int64), 60
    )


def views(task, waveform, suffix):
    outputs = task.discriminators({"waveform": task.compared(waveform)})
    return {
        name: value.numpy() for name, value in outputs.items() if name.endswith(suffix)
    }


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_are_those_of_numpy(name, task, batch, monkeypatch):
    monkeypatch.setattr(task, "_loss", LOSSES[name])
    ours = task.model(batch, training=True)["waveform"]
    real, fake = (views(task, x, "") for x in (batch["waveform"], ours))
    weights = (batch["frame_lengths"].numpy() - 1) / float(task.weight(batch))

    def mean(loss, scores):
        scores = [s for key, s in scores.items() if key.endswith("/score")]
        return np.mean([(weights * loss(each).mean(1)).sum() for each in scores])

    of_real, of_fake, of_taken = NUMPY_LOSSES[name]
    wanted = {"real": mean(of_real, real), "fake": mean(of_fake, fake)}
    found = task.losses("discriminators", batch)
    assert set(found.terms) == set(wanted)
    for key, value in wanted.items():
        assert float(found.terms[key]) == pytest.approx(value, rel=1e-4)
    generator = task.losses("model", batch)
    taken = mean(of_taken, fake)
    assert float(generator.terms["adversarial"]) == pytest.approx(taken, rel=1e-4)
    ratios = [
        np.abs(real[key] - fake[key]).mean((1, 2)) / np.abs(real[key]).mean((1, 2))
        for key in real
        if not key.endswith("/score")
    ]
    distance = np.mean([(weights * each).sum() for each in ratios])
    assert float(generator.terms["features"]) == pytest.approx(distance, rel=1e-3)


def test_outside_training_the_loss_is_the_difference_of_spectra_alone(task, batch):
    terms = task.losses("model", batch, training=False).terms
    assert set(terms) == {"magnitude", "log_magnitude", "mel", "periodicity"}
    trained = task.losses("model", batch)
    for name, value in terms.items():
        assert float(trained.terms[name]) == pytest.approx(float(value), rel=1e-5)


def test_balanced_weights_are_of_gradients_at_the_waveform(task, batch, monkeypatch):
    adversary = AdversaryConfig(
        balance=True, adversarial_weight=0.5, feature_weight=2.0
    )
    monkeypatch.setattr(task, "_adversary", adversary)
    with tf.GradientTape(persistent=True) as tape:
        losses = task.losses("model", batch)
        parts = {"features": [], "adversarial": [], "": []}
        for name, term in losses.terms.items():
            weighted = losses.weights.get(name, 1.0) * term
            parts[name if name in parts else ""].append(weighted)
        parts = {name: tf.add_n(each) for name, each in parts.items()}
    norms = {
        name: float(tf.norm(tape.gradient(each, losses.outputs["waveform"])))
        for name, each in parts.items()
    }
    assert norms["adversarial"] == pytest.approx(0.5 * norms[""], rel=1e-3)
    assert norms["features"] == pytest.approx(2.0 * norms[""], rel=1e-3)


def test_replicas_balance_by_the_gradients_of_the_whole_batch(task, batch, monkeypatch):
    monkeypatch.setattr(task, "_adversary", AdversaryConfig(balance=True))

    def factor(part):
        return task.losses("model", part).weights["features"]

    replicas = create_distribution("mirrored")
    parts = replicas.strategy.run(lambda: factor(replicas.share(batch)))
    whole = float(factor(batch))
    for part in replicas.local([parts]):
        assert float(part) == pytest.approx(whole, rel=1e-3)
    assert float(factor({k: v[::2] for k, v in batch.items()})) != pytest.approx(
        whole, rel=1e-2
    )


def test_each_group_moves_its_own_model(task, batch):
    assert list(task.groups) == ["discriminators", "model"]
    values = {
        name: [v.value for v in model.trainable_variables]
        for name, model in task.models.items()
    }
    for group in task.groups:
        with tf.GradientTape(persistent=True) as tape:
            loss = task.losses(group, batch).total
        moved = {
            name: [g is not None for g in tape.gradient(loss, each)]
            for name, each in values.items()
        }
        (own,) = task.groups[group].models
        assert all(moved[own])
        if group == "discriminators":
            assert not any(moved["model"])


def test_shares_of_replicas_add_up_to_the_losses(task, batch):
    assert len(np.unique(batch["frame_lengths"])) > 1
    halves = [{k: v[i::2] for k, v in batch.items()} for i in range(2)]
    for group in task.groups:
        whole = task.losses(group, batch)
        parts = [
            (task.losses(group, half), task.weight(half) / task.weight(batch))
            for half in halves
        ]
        for name, value in whole.terms.items():
            total = sum(losses.terms[name] * share for losses, share in parts)
            assert float(total) == pytest.approx(float(value), rel=1e-4)


def test_both_groups_are_measured_and_moved(small_gan):
    records = read_metrics(small_gan / "metrics.jsonl")
    groups = {r["group"] for r in records if "group" in r}
    assert groups == {"discriminators", "model"}
    for group, terms in (
        ("discriminators", {"loss/real", "loss/fake"}),
        ("model", {"loss/magnitude", "loss/adversarial", "loss/features"}),
    ):
        own = [r for r in records if r.get("group") == group]
        assert all(terms <= set(record) for record in own)
        assert all(record["skipped"] == 0 for record in own)
    results = json.loads((small_gan / "results.json").read_text())
    assert results["mcd_db"] > results["griffin_lim_mcd_db"]


@pytest.mark.slow
def test_a_vocoder_is_where_its_adversarial_training_may_start(
    gan_flags, small_vocoder, tmp_path, capsys
):
    start = ["--conditioning=lpc", "--epochs=1", f"--init-from={small_vocoder}"]
    config, *_ = train.parse([*gan_flags, *start])
    train.run(config, tmp_path / "run")
    lines = capsys.readouterr().err.splitlines()
    _, task = load_task(small_vocoder)
    count = len(task.model.weights)
    assert f"{count} of {count} weights taken from {small_vocoder}" in lines
    left = [line for line in lines if line.startswith("not taken")]
    assert left == ["not taken: discriminators: no such model there"]


@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_weights(small_gan, gan_flags, tmp_path):
    config, *_ = train.parse(gan_flags)
    run_dir = tmp_path / "run"
    train.run(config, run_dir, is_over=lambda state: state.epoch == 1)
    config, *_ = train.parse(["--run-dir", str(run_dir), "--resume"])
    train.run(config, run_dir, resume=True)
    assert arrays_of(run_dir) == arrays_of(small_gan)


@pytest.mark.slow
def test_two_replicas_make_the_weights_of_one(small_gan, gan_flags, tmp_path):
    config, *_ = train.parse([*gan_flags, "--distribute=mirrored"])
    train.run(config, tmp_path / "run")
    best = "checkpoints/best.npz"
    with np.load(small_gan / best) as one, np.load(tmp_path / "run" / best) as two:
        assert set(one) == set(two)
        for name in one:
            np.testing.assert_allclose(two[name], one[name], atol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--discriminator-clip=x"], "unknown clipping strategy 'x'"),
        (["--adversarial-loss=log"], "adversarial_loss must be one of hinge"),
        (["--periods=0"], "periods must be at least 1"),
    ],
)
def test_bad_input_is_one_line(arguments, reason, gan_flags, tmp_path, command):
    given = [*gan_flags, "--run-dir", tmp_path, *arguments]
    code, out, errors = command(train.main, *given)
    assert (code, out, len(errors)) == (2, "", 1)
    assert reason in errors[0]
