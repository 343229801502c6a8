"""Says while a run goes on that a synthesiser does not find its place in the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfspeech.console import say
from tfspeech.training.callbacks import read_metrics
from tfspeech.training.loop import LoopState

FOUND, LOST = 0.8, 0.5
"""The monotonic coverage above which attention has been found, and below which lost."""
PATIENCE = 0.3
"""The share of a run in which it should come."""


class AttentionWatchdog:
    """Watches `monotonic_coverage` in the validations of a run.

    Args of the constructor:
        metrics: The `metrics.jsonl` of the run, with what was seen before a stop.
    """

    def __init__(self, metrics: Path) -> None:
        before = [
            record["validation"]["monotonic_coverage"]
            for record in read_metrics(metrics)
            if "validation" in record
        ]
        self._found = any(coverage >= FOUND for coverage in before)
        self._complained = False

    def on_epoch(self, state: LoopState, record: dict[str, Any]) -> None:
        """Complains once when attention is lost, or does not come."""
        coverage = record["validation"]["monotonic_coverage"]
        found = coverage >= FOUND
        if found:
            self._found, self._complained = True, False
        elif not self._complained and self._found and coverage < LOST:
            self._complained = True
            say(
                f"attention is lost: it moves on over {coverage:.0%} of the symbols, "
                "after it had been found; lower --learning-rate or clip harder (--clip)"
            )
        elif (
            not self._complained
            and not self._found
            and state.step >= PATIENCE * state.total_steps
        ):
            self._complained = True
            say(
                f"attention does not come: after {state.step} of {state.total_steps} "
                f"steps it moves on over {coverage:.0%} of the symbols; try shorter "
                "sentences, a larger --reduction-factor or a larger --guide-weight"
            )
