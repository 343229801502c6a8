"""Synthesis by the dense model, text to waveform, by stage."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import interleaved, print_table
from tfspeech.audio.trajectory import most_likely_trajectory
from tfspeech.tasks.parallel_tts.task import ParallelSynthesis
from tfspeech.tasks.registry import build_task, default_config
from tfspeech.text.linguistic import (
    encode_segments,
    frame_features,
    segment_features,
)

RATE_HZ, ROUNDS = 22_050, 15
BATCHES_SPOKEN = (1, 16)
TEXT = "The old man closed the door of the white house, and the red bird sang."
FRAMES_PER_SEGMENT = 5
"""As in `reader`, whose frames are 12.5 ms apart; an untrained model has no idea."""


def build() -> ParallelSynthesis:
    """The default model, untrained, with the same weights every time."""
    keras.utils.set_random_seed(0)
    config = default_config("dense_synthesis")
    features = dataclasses.replace(config.features, sample_rate_hz=RATE_HZ)
    return build_task(dataclasses.replace(config, features=features))


def benchmark_dense() -> None:
    """Prints real-time factors: the whole, and its parts."""
    task = build()
    features = task.features
    rows = {}
    for size in BATCHES_SPOKEN:
        stages = _stages(task, size)
        segments = encode_segments(task.front_end, TEXT)
        frames = size * len(segments) * FRAMES_PER_SEGMENT
        spoken_s = frames * features.hop_length / features.sample_rate_hz
        for name, times in interleaved(stages, ROUNDS).items():
            factor = statistics.median(times) / spoken_s
            rows[f"{name}, batch {size}"] = f"{factor:8.5f}"
    print_table(f"Dense synthesis: real-time factor, {spoken_s / size:.1f} s", rows)


def _stages(task: ParallelSynthesis, size: int) -> dict[str, Callable[[], object]]:
    """The whole of synthesis and its stages, each of what the one before has made."""
    model, dim = task.model, task.linguistic.linguistic_dim
    one = encode_segments(task.front_end, TEXT)
    segments = tf.tile(one[np.newaxis], [size, 1])
    lengths = tf.fill([size], len(one))
    durations = tf.fill([size, len(one)], FRAMES_PER_SEGMENT)
    compiled = {
        "features of segments": tf.function(
            lambda: segment_features(segments, lengths, dim)
        ),
        "features of frames": tf.function(
            lambda: frame_features(segments, lengths, durations, dim)[0]
        ),
    }
    of_segments, of_frames = (stage() for stage in compiled.values())
    frame_lengths = tf.reduce_sum(durations, axis=1)
    inputs = {
        "segment_features": of_segments,
        "segment_lengths": lengths,
        "frame_features": of_frames,
        "frame_lengths": frame_lengths,
    }
    predicted = model.predict_frames(inputs)
    compiled["both dense nets"] = tf.function(
        lambda: (
            model.predict_log_durations(inputs),
            model.predict_frames(inputs),
        )[1]
    )
    compiled["most likely trajectory"] = tf.function(
        lambda: most_likely_trajectory(
            predicted, tf.square(model.prediction_std), frame_lengths
        )
    )
    frames, _ = task.frames(segments, lengths, durations, task.neutral)

    def whole() -> np.ndarray:
        for _ in range(size):
            encode_segments(task.front_end, TEXT)
        task.durations(segments, lengths, task.neutral)
        spoken, counts = task.frames(segments, lengths, durations, task.neutral)
        return task.vocoder(spoken, counts)[0].numpy()

    return {
        "text to waveform": whole,
        "phonemes, by eSpeak NG": lambda: [
            encode_segments(task.front_end, TEXT) for _ in range(size)
        ],
        **{
            name: lambda stage=stage: stage().numpy()
            for name, stage in compiled.items()
        },
        "vocoder": lambda: task.vocoder(frames, frame_lengths)[0].numpy(),
    }
