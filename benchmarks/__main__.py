"""`python -m benchmarks`: prints all ratios, or those of the parts that are named."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from benchmarks.audio import (
    benchmark_features,
    benchmark_pipeline,
    benchmark_workers,
)
from benchmarks.dense import benchmark_dense
from benchmarks.serving import benchmark_serving
from benchmarks.strategies import benchmark_strategies
from benchmarks.synthesis import benchmark_synthesis
from benchmarks.training import benchmark_step
from tfspeech.console import Parser, run_command

PARTS = {
    "step": benchmark_step,
    "strategies": benchmark_strategies,
    "features": benchmark_features,
    "pipeline": benchmark_pipeline,
    "workers": benchmark_workers,
    "synthesis": benchmark_synthesis,
    "dense": benchmark_dense,
    "serving": benchmark_serving,
}


def main(arguments: Sequence[str]) -> None:
    """Runs the parts that are named, or all."""
    parser = Parser("benchmarks", "Prints ratios of times and of memory.")
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        type=_part,
        help=f"of {', '.join(PARTS)} (default: all)",
    )
    # Each step of a comparison is traced anew, which TensorFlow warns of.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for name in vars(parser.parse_args(arguments)).get("parts") or PARTS:
        PARTS[name]()


def _part(name: str) -> str:
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"one of {', '.join(PARTS)} was expected")
    return name


if __name__ == "__main__":
    run_command(main)
