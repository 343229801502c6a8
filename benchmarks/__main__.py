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
from benchmarks.soak import benchmark_soak
from benchmarks.strategies import benchmark_strategies
from benchmarks.synthesis import benchmark_synthesis
from benchmarks.training import benchmark_step
from models.config import between
from tfspeech.config import number
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
    "soak": benchmark_soak,
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
    parser.add_argument(
        "--minutes",
        type=number(float, between(0.1, 1440)),
        metavar="N",
        help="how long the soak lasts (default: 1)",
    )
    given = parser.parse_args(arguments)
    names = given.parts or list(PARTS)
    for name in names:
        if name not in PARTS:
            raise SpecError(unknown("part", name, PARTS))
    options = {"soak": {"minutes": given.minutes}} if "minutes" in given else {}
    for name in names:
        PARTS[name](**options.get(name, {}))


if __name__ == "__main__":
    run_command(main)
