"""Training of the attention TTS against Keras `fit`, and synthesis by stage."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import interleaved, print_table, ratios
from models import AttentionTts, AttentionTtsConfig
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.strategies import parse_clipping
from tfspeech.tasks.attention_tts.task import (
    AttentionSynthesis,
    AttentionSynthesisConfig,
)
from tfspeech.tasks.registry import default_config
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.training.group import Group
from tfspeech.training.step import TrainingStep

BATCH, FRAMES, SYMBOLS = 32, 200, 40
STEPS, ROUNDS = 5, 9
FEATURES = AcousticConfig(sample_rate_hz=22_050)
BATCHES_SPOKEN = (1, 16)


def build_task() -> AttentionSynthesis:
    """The default model, untrained, with the same weights every time."""
    keras.utils.set_random_seed(0)
    front_end = TextFrontEnd()
    model = AttentionTts(
        AttentionTtsConfig(), len(front_end.symbols), FEATURES.frame_dim
    )
    return AttentionSynthesis(model, AttentionSynthesisConfig(), FEATURES, front_end)


def batches(task: AttentionSynthesis) -> tf.data.Dataset:
    """Repeats a few batches from memory."""
    rng = np.random.default_rng(0)
    count = 4
    shape = (count, BATCH)
    data = {
        "symbols": rng.integers(1, 30, (*shape, SYMBOLS)).astype(np.int32),
        "symbol_lengths": np.full(shape, SYMBOLS, np.int32),
        "frames": rng.normal(size=(*shape, FRAMES, FEATURES.frame_dim)).astype("f4"),
        "frame_lengths": np.full(shape, FRAMES, np.int32),
    }
    return tf.data.Dataset.from_tensor_slices(data).cache().repeat().prefetch(2)


def our_steps() -> Callable[[], object]:
    """Returns a function that runs `STEPS` of our steps with the recipe's clipping."""
    task = build_task()
    clip = default_config("attention_tts").training.clip
    optimizer = keras.optimizers.Adam(1e-3)
    group = Group([task.model], optimizer, parse_clipping(clip))
    step = TrainingStep({"model": group}, task.losses, weight=task.weight)
    iterator = iter(batches(task))
    return lambda: step.run(iterator, STEPS)


def keras_steps() -> Callable[[], object]:
    """Returns a function that runs as many steps of Keras `fit`, jit off as ours is."""
    task = build_task()

    class Fitted(keras.Model):
        """Returns the model with its loss, in the form that `fit` takes."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = task.model

        def call(
            self, inputs: dict[str, tf.Tensor], training: bool = False
        ) -> dict[str, tf.Tensor]:
            """Calls the model."""
            return self.inner(inputs, training=training)

        def compute_loss(self, x: dict, y: None, y_pred: dict, *_: object) -> tf.Tensor:
            """The loss of the task."""
            return task.losses_of(y_pred, x).total

    model = Fitted()
    model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        steps_per_execution=STEPS,
        jit_compile=False,
    )
    data = batches(task)
    return lambda: model.fit(data, steps_per_epoch=STEPS, shuffle=False, verbose=0)


def benchmark_synthesis() -> None:
    """Prints the training rate, and the real-time factors of decoder and vocoder."""
    seconds = interleaved({"Keras fit": keras_steps(), "ours": our_steps()}, ROUNDS)
    frames = STEPS * BATCH * FRAMES
    rows = {
        name: f"{frames / statistics.median(times):8,.0f} frames per second"
        for name, times in seconds.items()
    }
    rows["time of ours against fit"] = f"{ratios(seconds, 'Keras fit')['ours']:6.3f}"
    print_table(f"Attention TTS, training, batch {BATCH} of {FRAMES} frames", rows)
    task = build_task()
    # It is untrained: told never to stop, it speaks for as long as it may.
    stop = task.model.decoder.output_layer.bias
    stop.assign(tf.concat([stop.value[:-1], [-100.0]], axis=0))
    rows = {}
    for size in BATCHES_SPOKEN:
        stages = _stages(task, size)
        spoken_s = size * FRAMES * FEATURES.hop_length / FEATURES.sample_rate_hz
        for name, times in interleaved(stages, ROUNDS).items():
            factor = statistics.median(times) / spoken_s
            rows[f"{name}, batch {size}"] = f"{factor:7.4f}"
    print_table("Attention TTS, synthesis: real-time factor by stage", rows)


def _stages(task: AttentionSynthesis, size: int) -> dict[str, Callable[[], object]]:
    symbols = tf.random.stateless_uniform([size, SYMBOLS], (0, 1), 1, 30, tf.int32)
    lengths = tf.fill([size], SYMBOLS)
    spoken = task.model.synthesize(symbols, lengths, tf.constant(FRAMES))
    # Silence with a little noise: the vocoder works as hard on it as on speech.
    frames = tf.random.stateless_normal(spoken["frames"].shape, (0, 2)) - 3.0
    counts = tf.fill([size], FRAMES)
    return {
        "encoder, attention and decoder": lambda: task.model.synthesize(
            symbols, lengths, tf.constant(FRAMES)
        )["frames"].numpy(),
        "vocoder": lambda: task.vocoder(frames, counts)[0].numpy(),
    }
