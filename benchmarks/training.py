"""Our training step against Keras `fit`, and the cost of the strategies."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import interleaved, print_table, ratios
from models import RnnRecognizer, RnnRecognizerConfig
from tfspeech.strategies import parse_clipping
from tfspeech.training.step import TrainingStep

BATCH, FRAMES, FEATURES, CLASSES = 64, 50, 40, 10
STEPS = 25
ROUNDS = 25

STRATEGIES = (
    "value(0.01)",
    "inverse_sqrt_dim()",
    "norm(1.0)",
    "global_norm(5.0)",
    "global_norm(0.01)",
)


def batches() -> tf.data.Dataset:
    """The same few batches over and over, from memory."""
    rng = np.random.default_rng(0)
    shape = (8, BATCH, FRAMES, FEATURES)
    data = {
        "features": rng.normal(size=shape).astype(np.float32),
        "lengths": rng.integers(FRAMES // 2, FRAMES + 1, shape[:2]).astype(np.int32),
        "targets": rng.integers(0, CLASSES, shape[:2]).astype(np.int32),
    }
    return tf.data.Dataset.from_tensor_slices(data).cache().repeat().prefetch(2)


def build_model() -> RnnRecognizer:
    """The default recogniser, with the same weights every time."""
    keras.utils.set_random_seed(0)
    return RnnRecognizer(RnnRecognizerConfig(), FEATURES, CLASSES)


def our_steps(clip: tuple[str, ...] = ()) -> Callable[[], object]:
    """Returns a function that runs `STEPS` of our steps."""

    def loss(outputs: dict[str, tf.Tensor], batch: dict[str, tf.Tensor]) -> tf.Tensor:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            batch["targets"], outputs["logits"]
        )
        return tf.reduce_mean(losses)

    optimizer = keras.optimizers.Adam(1e-3)
    step = TrainingStep(build_model(), loss, optimizer, parse_clipping(clip))
    iterator = iter(batches())
    count = tf.constant(STEPS)
    return lambda: step.run(iterator, count).numpy()


def keras_steps(steps_per_execution: int, **clipping: float) -> Callable[[], object]:
    """Returns a function that runs as many steps of Keras `fit`, jit off as ours is."""
    model = build_model()
    model.compile(
        keras.optimizers.Adam(1e-3, **clipping),
        {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        steps_per_execution=steps_per_execution,
        jit_compile=False,
    )
    data = batches().map(lambda b: (b, {"logits": b["targets"]}))
    return lambda: model.fit(data, steps_per_epoch=STEPS, shuffle=False, verbose=0)


def benchmark_step() -> None:
    """Prints the time of our step as a share of that of `fit`."""
    seconds = interleaved(
        {
            "Keras fit": keras_steps(1),
            f"Keras fit, steps_per_execution={STEPS}": keras_steps(STEPS),
            f"ours, {STEPS} steps per call": our_steps(),
        },
        ROUNDS,
    )
    base = statistics.median(seconds["Keras fit"]) / STEPS * 1000
    rows = {
        name: f"{ratio:6.3f}" for name, ratio in ratios(seconds, "Keras fit").items()
    }
    print_table(
        f"Training step, time against Keras fit ({base:.1f} ms per step; the default "
        f"recogniser, batch {BATCH}, {FRAMES} frames, Adam)",
        rows,
    )


def benchmark_strategies() -> None:
    """Prints what each clipping strategy adds to a step without any."""
    candidates = {"none()": our_steps(("none()",))}
    candidates |= {spec: our_steps((spec,)) for spec in STRATEGIES}
    found = ratios(interleaved(candidates, ROUNDS), "none()")
    rows = {name: f"{ratio - 1:+7.1%}" for name, ratio in found.items()}
    print_table("Clipping, time added to a step with none() (norms are measured)", rows)
