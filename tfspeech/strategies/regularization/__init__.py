"""Regularization strategies: what keeps weights small, bounded or few."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfspeech.spec import build_spec
from tfspeech.strategies.regularization.base import (
    ActivationPenalty,
    Regularization,
    Reparameterization,
    Run,
    Update,
)
from tfspeech.strategies.regularization.budget import Budget
from tfspeech.strategies.regularization.chain import RegularizationChain, substituted
from tfspeech.strategies.regularization.constraints import (
    Box,
    L1Ball,
    L2Ball,
    MaxNorm,
    Spectral,
)
from tfspeech.strategies.regularization.penalties import (
    L1,
    L1L2,
    L2,
    KLGaussian,
    KLSparsity,
    Orthogonal,
)
from tfspeech.strategies.regularization.pruning import Prune
from tfspeech.strategies.regularization.reparameterization import (
    HardConcreteL0,
    KLMeanField,
)
from tfspeech.strategies.regularization.updates import (
    GroupLasso,
    L1Prox,
    WeightDecay,
)

__all__ = [
    "REGULARIZATIONS",
    "ActivationPenalty",
    "Regularization",
    "RegularizationChain",
    "Reparameterization",
    "Run",
    "Update",
    "parse_regularization",
    "substituted",
]


@dataclasses.dataclass(frozen=True)
class NoRegularization(Regularization):
    """Leaves loss and weights as they are."""


REGULARIZATIONS: dict[str, type[Regularization]] = {
    "none": NoRegularization,
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "kl_gaussian": KLGaussian,
    "kl_sparsity": KLSparsity,
    "orthogonal": Orthogonal,
    "weight_decay": WeightDecay,
    "l1_prox": L1Prox,
    "group_lasso": GroupLasso,
    "box": Box,
    "max_norm": MaxNorm,
    "l2_ball": L2Ball,
    "l1_ball": L1Ball,
    "spectral": Spectral,
    "prune": Prune,
    "kl_mean_field": KLMeanField,
    "hard_concrete_l0": HardConcreteL0,
    "budget": Budget,
}
"""The names users write, and the strategies behind them."""


def parse_regularization(specs: Sequence[str]) -> list[Regularization]:
    """Builds regularization strategies from specs such as `["l2(1e-4)"]`.

    Raises:
        SpecError: A spec does not parse.
    """
    noun = "regularization strategy"
    return [build_spec(spec, REGULARIZATIONS, noun, Regularization) for spec in specs]
