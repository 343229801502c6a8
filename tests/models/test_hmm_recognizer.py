"""The densities of a recogniser with Gaussian mixtures, and its posteriors."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from models import HmmRecognizer, HmmRecognizerConfig

STATES, GAUSSIANS, DIM = 4, 2, 3


@pytest.fixture
def mixtures():
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(GAUSSIANS), STATES)
    means = rng.normal(size=(STATES, GAUSSIANS, DIM))
    variances = rng.uniform(0.2, 2.0, (STATES, GAUSSIANS, DIM))
    return np.log(weights), means, variances


@pytest.fixture
def model(mixtures):
    model = HmmRecognizer(HmmRecognizerConfig(gaussians=GAUSSIANS), DIM, STATES)
    model.mixtures.set_mixtures(*(each.astype("f4") for each in mixtures))
    model.mixtures.log_scale.assign([np.log(0.3)])
    model.set_priors(np.array([8, 4, 2, 0]))
    return model


def log_densities(mixtures, frames):
    """Scaled log densities of [frames, dim] in every state, [frames, states]."""
    log_weights, means, variances = mixtures
    terms = [
        [
            log_weights[s, g]
            + multivariate_normal(means[s, g], np.diag(variances[s, g])).logpdf(frames)
            for g in range(GAUSSIANS)
        ]
        for s in range(STATES)
    ]
    return 0.3 * logsumexp(terms, axis=1).T


def test_logits_are_densities_with_priors(model, mixtures):
    model.normalization.set_statistics(np.full(DIM, 2.0), np.full(DIM, 4.0))
    model.transform.set_weights([np.diag([1.0, 2.0, 3.0])])
    features = np.random.default_rng(1).normal(2, 4, (2, 9, DIM)).astype("f4")
    features[:, 1::2] = 0.0  # Every second frame is left out.
    features[1, 6:] = np.nan
    with tf.GradientTape() as tape:
        found = model({"features": features, "lengths": np.array([9, 6], "i4")})
        total = tf.reduce_sum(found["logits"])
    for gradient in tape.gradient(total, [v.value for v in model.trainable_variables]):
        assert np.isfinite(gradient).all()
    assert found["logit_lengths"].numpy().tolist() == [5, 3]
    for row, length in ((0, 5), (1, 3)):
        frames = (features[row, : 2 * length : 2] - 2) / 4 * [1, 2, 3]
        priors = np.log(np.array([9, 5, 3, 1]) / 18)
        wanted = log_densities(mixtures, frames) + priors
        np.testing.assert_allclose(found["logits"][row, :length], wanted, rtol=1e-4)
    assert not found["logits"][1, 3:].numpy().any()


def test_likelihoods_are_densities_up_to_a_summand_of_the_frame(model, mixtures):
    features = np.random.default_rng(1).normal(size=(1, 9, DIM)).astype("f4")
    logits = model({"features": features, "lengths": np.array([9], "i4")})["logits"]
    found = model.log_likelihoods(logits, 1.0).numpy()[0]
    wanted = log_densities(mixtures, features[0, ::2])
    difference = found - wanted
    np.testing.assert_allclose(
        difference, difference[:, :1].repeat(STATES, 1), atol=1e-4
    )


def test_a_mixture_is_a_power_of_2():
    with pytest.raises(ValueError, match=r"a power of 2\. Received: gaussians=3"):
        HmmRecognizerConfig(gaussians=3)
