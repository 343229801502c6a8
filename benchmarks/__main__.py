"""`python -m benchmarks`: prints all ratios, or those of the parts that are named."""

from __future__ import annotations

import logging
import sys

from benchmarks.audio import (
    benchmark_features,
    benchmark_pipeline,
    benchmark_workers,
)
from benchmarks.clipped import benchmark_clipped
from benchmarks.dense import benchmark_dense
from benchmarks.serving import benchmark_serving
from benchmarks.strategies import benchmark_strategies
from benchmarks.synthesis import benchmark_synthesis
from benchmarks.training import benchmark_step

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
}

# Each step of a comparison is traced anew, which TensorFlow warns of.
logging.getLogger("tensorflow").setLevel(logging.ERROR)
for name in sys.argv[1:] or PARTS:
    PARTS[name]()
