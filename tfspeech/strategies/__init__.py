"""Clipping and regularization, chosen by name and composed freely."""

from tfspeech.spec import build_spec
from tfspeech.strategies.clipping import (
    CLIPPINGS,
    Clipping,
    ClippingChain,
    parse_clipping,
)
from tfspeech.strategies.gradients import Gradients, densify, vector_norm
from tfspeech.strategies.optimizer import Clipped, StepObserver
from tfspeech.strategies.regularization import (
    REGULARIZATIONS,
    Regularization,
    RegularizationChain,
    Run,
    Update,
    parse_regularization,
)
from tfspeech.strategies.regularized_model import regularize
from tfspeech.strategies.variables import VariableInfo, describe_variables

__all__ = [
    "CLIPPINGS",
    "REGULARIZATIONS",
    "Clipped",
    "Clipping",
    "ClippingChain",
    "Gradients",
    "Regularization",
    "RegularizationChain",
    "Run",
    "StepObserver",
    "Update",
    "VariableInfo",
    "build_spec",
    "densify",
    "describe_variables",
    "parse_clipping",
    "parse_regularization",
    "regularize",
    "vector_norm",
]
