"""The worst request of every model under its limits: peak memory and time."""

from __future__ import annotations

import dataclasses
import functools
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from benchmarks.timing import print_table
from tfspeech.audio.encode import encode_wav
from tfspeech.serving.graph import guarded
from tfspeech.tasks.parallel_tts.server import ParallelTtsServer
from tfspeech.tasks.registry import build_task, default_config
from tfspeech.tasks.task import Task
from tfspeech.text.phonemes import PHONEMES

SPEECH_HZ, WORD_HZ = 22_050, 16_000
ODD_HZ = 191_999  # It has no divisor in common with a usual rate.
TEXT = "the red box."
LABELS = tuple("abcdefghij")
ANSWERS = ("frames", "scores", "transcript")
"""The main output of a model is the first of these that it has."""

Request = Callable[[], Mapping[str, tf.Tensor]]


def benchmark_limits() -> None:
    """Prints what the largest requests take that default limits allow."""
    rows = {}
    for name in WORST:
        # The peak is that of a process, which is to do nothing else.
        code = f"from benchmarks.limits import measure; print(measure({name!r}))"
        done = subprocess.run(  # noqa: S603 -- Its own code.
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
        )
        rows[name] = done.stdout.strip()
    print_table("Worst requests under the default limits, untrained models", rows)


def measure(name: str) -> str:
    """Measures a request of `WORST`; this process must have done nothing else."""
    small, worst = WORST[name]()
    small()
    before_mb = _peak_mb()
    started = time.perf_counter()
    answer = worst()
    seconds = time.perf_counter() - started
    shape = next(answer[n] for n in ANSWERS if n in answer).shape.as_list()
    return (
        f"{_peak_mb() - before_mb:8.0f} MB above a small request's {before_mb:.0f} MB, "
        f"{seconds:6.1f} s, answer {shape}"
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _build(model: str, rate_hz: int, **fields: object) -> Task:
    config = default_config(model)
    features = dataclasses.replace(config.features, sample_rate_hz=rate_hz)
    return build_task(dataclasses.replace(config, features=features, **fields))


def _waveforms(model: str, **fields: object) -> tuple[Request, Request]:
    task = _build(model, WORD_HZ, **fields)
    recognize = guarded(task.server().signatures["serving_default"], task.limits)
    samples = int(task.limits.max_seconds * WORD_HZ)

    def request(rows: int, samples: int) -> Mapping[str, tf.Tensor]:
        noise = 0.1 * tf.random.normal([rows, samples])
        return recognize(waveform=noise, waveform_length=tf.fill([rows], samples))

    return (
        lambda: request(1, WORD_HZ),
        lambda: request(task.limits.max_rows, samples),
    )


def _files() -> tuple[Request, Request]:
    task = _build("rnn_recognizer", WORD_HZ, labels=LABELS)
    transcribe = guarded(task.server().signatures["transcribe_bytes"], task.limits)

    def request(rows: int, seconds: float) -> Mapping[str, tf.Tensor]:
        contents = encode_wav(np.zeros(int(seconds * ODD_HZ), np.float32), ODD_HZ)
        return transcribe(audio_bytes=tf.fill([rows], contents))

    return (
        lambda: request(1, 0.1),
        lambda: request(task.limits.max_rows, task.limits.max_seconds),
    )


def _attention() -> tuple[Request, Request]:
    task = _build("attention_tts", SPEECH_HZ)
    (bias,) = (
        v for v in task.model.variables if v.path.endswith("decoder/output/bias")
    )
    bias.assign(np.append(bias.numpy()[:-1], -50.0))  # It never finds the end.
    speak = guarded(task.server().signatures["synthesize"], task.limits)
    longest = ("a " * task.limits.max_text_bytes)[: task.limits.max_text_bytes - 1]
    rows = task.limits.max_rows
    return (
        lambda: speak(text=tf.constant(["a"])),
        lambda: speak(text=tf.constant([f"{longest}b"] * rows)),
    )


def _dense() -> tuple[Request, Request]:
    task = _build("dense_synthesis", SPEECH_HZ)
    limits, features = task.limits, task.features
    frames = 0.95 * limits.max_spoken_seconds * SPEECH_HZ / features.hop_length
    # All phonemes are as long as makes the most of both limits.
    mean = np.log1p(frames / limits.max_symbols)
    task.model.duration_normalization.set_statistics(np.array([mean]), np.array([1e-6]))
    server = ParallelTtsServer(task, task.durations, task.frames, [TEXT])
    speak = guarded(server.signatures["synthesize_phonemes"], limits)
    phonemes = [
        number
        for number in task.front_end.encode(TEXT)
        if task.front_end.symbols[number] in PHONEMES
    ]

    def request(rows: int, count: int) -> Mapping[str, tf.Tensor]:
        symbols = np.resize(phonemes, [rows, count]).astype(np.int32)
        return speak(
            symbols=tf.constant(symbols),
            symbols_length=tf.fill([rows], count),
            rate=tf.ones([rows]),
            semitones=tf.zeros([rows]),
        )

    return (
        lambda: request(1, 10),
        lambda: request(limits.max_rows, limits.max_symbols - 1),
    )


WORST: dict[str, Callable[[], tuple[Request, Request]]] = {
    "rnn_recognizer, serving_default": functools.partial(
        _waveforms, "rnn_recognizer", labels=LABELS
    ),
    "rnn_recognizer, transcribe_bytes": _files,
    "ctc_recognizer, serving_default": functools.partial(
        _waveforms, "ctc_recognizer", symbol_names=LABELS
    ),
    "attention_tts, synthesize": _attention,
    "dense_synthesis, synthesize_phonemes": _dense,
}
"""Name -> what builds a small request and the worst one."""
