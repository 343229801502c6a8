"""Clipping strategies: what is done to a gradient before the optimizer sees it."""

from __future__ import annotations

from collections.abc import Sequence

from tfspeech.spec import build_spec
from tfspeech.strategies.clipping.base import Clipping, ClippingChain
from tfspeech.strategies.clipping.feedback import FEEDBACK
from tfspeech.strategies.clipping.fixed import FIXED
from tfspeech.strategies.clipping.history import HISTORY

__all__ = ["CLIPPINGS", "Clipping", "ClippingChain", "parse_clipping"]

CLIPPINGS: dict[str, type[Clipping]] = {**FIXED, **HISTORY, **FEEDBACK}
"""The names users write, and the strategies behind them."""


def parse_clipping(specs: Sequence[str]) -> list[Clipping]:
    """Builds clipping strategies from specs such as `["global_norm(5.0)"]`.

    Raises:
        SpecError: A spec does not parse.
    """
    noun = "clipping strategy"
    return [build_spec(spec, CLIPPINGS, noun, Clipping) for spec in specs]
