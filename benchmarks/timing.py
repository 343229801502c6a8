"""Times that can be compared although the machine is shared and noisy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Times functions in turn, so that a busy moment meets all of them alike.

    Args:
        candidates: What to time, by name; each is called once before it counts.
        rounds: How often each is timed.

    Returns:
        The seconds of every round, by name.
    """
    for function in candidates.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        # Every other round backwards: whoever comes first has the colder cache.
        order = list(candidates.items())[:: 1 if number % 2 else -1]
        for name, function in order:
            started = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratios(seconds: Mapping[str, list[float]], base: str) -> dict[str, float]:
    """The median over the rounds of each one's time against that of `base`."""
    return {
        name: statistics.median(
            a / b for a, b in zip(times, seconds[base], strict=True)
        )
        for name, times in seconds.items()
    }


def print_table(title: str, rows: Mapping[str, str]) -> None:
    """Prints names and figures under a title."""
    print(f"\n{title}")
    for name, figure in rows.items():
        print(f"  {name:<62} {figure}", flush=True)
