"""`Clipped` in Keras's `fit` against the clipping that Keras optimizers bring."""

from __future__ import annotations

import dataclasses
import statistics

import keras

from benchmarks.subjects import (
    CLASSES,
    FEATURES,
    LAYERS,
    RECOGNIZER,
    STACK,
    UNITS,
    Batch,
    Runner,
    Subject,
)
from benchmarks.timing import interleaved, print_table, ratios
from tfspeech import Clipped

ROUNDS = 25
OWN, KERAS = "Clipped(Adam, global_norm(5))", "Adam(global_clipnorm=5)"


class _Stack(keras.Model):
    """Dense layers and a classifier, whose outputs `fit` takes."""

    def __init__(self, layers: int, units: int) -> None:
        super().__init__(name="stack")
        self.hidden = [keras.layers.Dense(units, "relu") for _ in range(layers)]
        self.classifier = keras.layers.Dense(CLASSES)

    def call(self, inputs: Batch, training: bool = False) -> Batch:
        """Returns `logits`."""
        hidden = inputs["features"]
        for layer in self.hidden:
            hidden = layer(hidden)
        return {"logits": self.classifier(hidden)}


SUBJECTS = (
    Subject("one layer of 64 units", lambda: _Stack(1, 64), (FEATURES,), steps=100),
    RECOGNIZER,
    dataclasses.replace(STACK, build=lambda: _Stack(LAYERS, UNITS)),
)


def _fit(subject: Subject, optimizer: keras.optimizers.Optimizer) -> Runner:
    """Returns a function that runs steps of `fit`."""
    keras.utils.set_random_seed(0)
    model = subject.build()
    model.compile(
        optimizer,
        {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        jit_compile=False,
    )

    data = subject.batches().map(lambda b: (b, {"logits": b["targets"]}))
    steps = subject.steps
    return lambda: model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)


def benchmark_clipped() -> None:
    """Prints the time of a step in `fit` as a share of that with `global_clipnorm`."""
    for subject in SUBJECTS:
        optimizers = {
            KERAS: keras.optimizers.Adam(1e-3, global_clipnorm=5.0),
            OWN: Clipped(keras.optimizers.Adam(1e-3), "global_norm(5.0)"),
            "Clipped(Adam, quantile())": Clipped(
                keras.optimizers.Adam(1e-3), "quantile()"
            ),
            "Adam, which does not clip": keras.optimizers.Adam(1e-3),
        }
        runners = {name: _fit(subject, o) for name, o in optimizers.items()}
        seconds = interleaved(runners, ROUNDS)
        step_ms = statistics.median(seconds[KERAS]) / subject.steps * 1000
        rows = {name: f"{ratio:6.3f}" for name, ratio in ratios(seconds, KERAS).items()}
        title = f"Steps in fit, time against global_clipnorm ({step_ms:.2f} ms)"
        print_table(f"{title}: {subject.title}", rows)
