"""Clipping and regularization, chosen by name and composed freely."""

from tfspeech.strategies.clipping import CLIPPINGS, ClippingChain, parse_clipping
from tfspeech.strategies.gradients import Gradients, densify
from tfspeech.strategies.regularization import (
    REGULARIZATIONS,
    RegularizationChain,
    parse_regularization,
)
from tfspeech.strategies.spec import build_spec
from tfspeech.strategies.variables import VariableInfo, describe_variables

__all__ = [
    "CLIPPINGS",
    "REGULARIZATIONS",
    "ClippingChain",
    "Gradients",
    "RegularizationChain",
    "VariableInfo",
    "build_spec",
    "densify",
    "describe_variables",
    "parse_clipping",
    "parse_regularization",
]
