"""Our training step against Keras `fit`."""

from __future__ import annotations

import statistics

import keras

from benchmarks.subjects import RECOGNIZER, Runner
from benchmarks.timing import interleaved, print_table, ratios

ROUNDS = 25


def keras_steps(steps_per_execution: int) -> Runner:
    """Returns a function that runs as many steps of Keras `fit`, jit off as ours is."""
    keras.utils.set_random_seed(0)
    model = RECOGNIZER.build()
    model.compile(
        keras.optimizers.Adam(1e-3),
        {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        steps_per_execution=steps_per_execution,
        jit_compile=False,
    )
    steps = RECOGNIZER.steps
    data = RECOGNIZER.batches().map(lambda b: (b, {"logits": b["targets"]}))
    return lambda: model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)


def benchmark_step() -> None:
    """Prints the time of our step as a share of that of `fit`."""
    steps = RECOGNIZER.steps
    seconds = interleaved(
        {
            "Keras fit": keras_steps(1),
            f"Keras fit, steps_per_execution={steps}": keras_steps(steps),
            f"ours, {steps} steps per call": RECOGNIZER.our_steps(),
        },
        ROUNDS,
    )
    base = statistics.median(seconds["Keras fit"]) / steps * 1000
    rows = {
        name: f"{ratio:6.3f}" for name, ratio in ratios(seconds, "Keras fit").items()
    }
    print_table(
        f"Training step, time against Keras fit ({base:.1f} ms per step; "
        f"{RECOGNIZER.title}, Adam)",
        rows,
    )
