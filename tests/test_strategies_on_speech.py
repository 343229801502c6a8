"""Strategies at work in a recogniser of real speech; minutes, so marked slow."""

import pytest

from tfspeech import train
from tfspeech.training.callbacks import read_metrics

pytestmark = pytest.mark.slow


def trained(speech_data, run_dir, *flags):
    """Trains on FSDD with its own split; scores, and the accuracy of every epoch."""
    data = f"fsdd:{speech_data / 'fsdd'}"
    config, *_ = train.parse(["--data", data, "--synthetic-per-label", "0", *flags])
    scores = train.run(config, run_dir)
    records = read_metrics(run_dir / "metrics.jsonl")
    epochs = [r["validation"]["accuracy"] for r in records if "validation" in r]
    return scores, epochs


@pytest.fixture(scope="module")
def plain(speech_data, tmp_path_factory):
    """The accuracy without any regularization."""
    return trained(speech_data, tmp_path_factory.mktemp("plain"))[0]["accuracy"]


@pytest.mark.parametrize(
    ("clip", "learns"),
    [
        ("none()", False),
        ("quantile(0.1)", True),
        ("percentile(10)", True),
        ("median(0.2)", True),
    ],
)
def test_ten_times_too_high_a_rate_needs_an_adaptive_threshold(
    clip, learns, speech_data, tmp_path
):
    # With sgd(0.9), a rate of 0.1 reaches 99.5 % without any clipping.
    flags = ["--optimizer", "sgd(0.9)", "--learning-rate", "1", "--epochs", "6"]
    _, epochs = trained(speech_data, tmp_path, *flags, "--clip", clip)
    assert epochs[-1] > 0.9 if learns else epochs[-1] < 0.3


@pytest.mark.parametrize(
    ("regularize", "least_zeros"),
    [("prune(0.8, begin=50, end=250, every=25)", 0.79), ("l1_prox(0.2)", 0.3)],
)
def test_sparse_recognisers_keep_their_accuracy(
    regularize, least_zeros, plain, speech_data, tmp_path
):
    scores, _ = trained(speech_data, tmp_path, "--regularize", regularize)
    assert scores["weights"]["zeros"] > least_zeros
    assert scores["accuracy"] > plain - 0.01 - 1e-9
