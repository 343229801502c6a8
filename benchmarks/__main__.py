"""`python -m benchmarks`: measures the times that the project promises."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.audio import (
    benchmark_features,
    benchmark_pipeline,
    benchmark_workers,
)
from benchmarks.clipped import benchmark_clipped
from benchmarks.dense import benchmark_dense
from benchmarks.limits import benchmark_limits
from benchmarks.serving import benchmark_serving
from benchmarks.strategies import benchmark_strategies
from benchmarks.synthesis import benchmark_synthesis
from benchmarks.training import benchmark_step
from tfspeech.console import Parser, run_command
from tfspeech.errors import SpecError
from tfspeech.spec import unknown

PARTS = {
    "step": benchmark_step,
    "clipped": benchmark_clipped,
    "strategies": benchmark_strategies,
    "features": benchmark_features,
    "pipeline": benchmark_pipeline,
    "workers": benchmark_workers,
    "synthesis": benchmark_synthesis,
    "dense": benchmark_dense,
    "serving": benchmark_serving,
    "limits": benchmark_limits,
}


def main(arguments: Sequence[str]) -> None:
    """Runs benchmarks one after the other.

    Raises:
        SpecError: There is no such part.
    """
    parser = Parser("bench", "Prints times and ratios of what the project promises.")
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        default=[],
        help=f"some of {', '.join(PARTS)} (default: all)",
    )
    names = parser.parse_args(arguments).parts or list(PARTS)
    for name in names:
        if name not in PARTS:
            raise SpecError(unknown("part", name, PARTS))
    for name in names:
        PARTS[name]()


if __name__ == "__main__":
    run_command(main)
