"""The classifier of a recogniser, fitted to a few recordings of a new speaker."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

PENALTY = 1.0
"""Chosen on two speakers left out of training on two others."""


def refit(
    kernel: np.ndarray,
    bias: np.ndarray,
    embeddings: np.ndarray,
    targets: np.ndarray,
    penalty: float = PENALTY,
) -> tuple[np.ndarray, np.ndarray]:
    """Fits a softmax classifier to new examples without leaving its old weights far.

    The weights V minimise sum_n -log p(targets_n | V) + penalty / 2 |V - V_0|^2, a
    convex problem, which L-BFGS solves: logistic regression with the old weights V_0 as
    the mean of a Gaussian prior. Words without an example keep their weights, and p is
    that among the others: what is never said would be less probable after every step.

    Args:
        kernel: [channels, words], of the old weights.
        bias: [words].
        embeddings: What the classifier is given, [examples, channels].
        targets: The word of each example, int [examples].
        penalty: How much the old weights hold.

    Returns:
        The new kernel and bias.
    """
    said, classes = np.unique(targets, return_inverse=True)
    weights = np.vstack([kernel, bias]).astype(np.float64)
    old = weights[:, said]
    inputs = np.column_stack([embeddings, np.ones(len(embeddings))]).astype(np.float64)
    rows = np.arange(len(classes))

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        moved = flat.reshape(old.shape)
        log_shares = log_softmax(inputs @ (old + moved), axis=1)
        errors = np.exp(log_shares)
        errors[rows, classes] -= 1.0
        loss = -log_shares[rows, classes].sum() + penalty / 2 * np.sum(moved**2)
        return loss, (inputs.T @ errors + penalty * moved).ravel()

    found = minimize(objective, np.zeros(old.size), jac=True, method="L-BFGS-B")
    weights[:, said] += found.x.reshape(old.shape)
    new = weights.astype(kernel.dtype)
    return new[:-1], new[-1]
