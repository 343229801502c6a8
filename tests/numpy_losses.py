"""Adversarial losses of scores in NumPy, to compare those of tasks with."""

import numpy as np

NUMPY_LOSSES = {
    "hinge": (
        lambda s: np.maximum(0, 1 - s),
        lambda s: np.maximum(0, 1 + s),
        np.negative,
    ),
    "least_squares": (
        lambda s: (s - 1) ** 2,
        lambda s: s**2,
        lambda s: (s - 1) ** 2,
    ),
    "wasserstein": (np.negative, np.positive, np.negative),
}
"""Name -> losses of real and of fake scores, and of those that are to be taken."""
