"""Every exported model, called in process with the requests it is warmed up with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.timing import print_table
from tfspeech.audio.decode import decode_wav
from tfspeech.serving.description import read_description
from tfspeech.serving.settings import exported_models, latest_version
from tfspeech.serving.warmup import read_warmup

SAVED_MODELS = Path("saved_models")
CALLS = 100

Tensors = Mapping[str, tf.Tensor]
Signature = Callable[..., Tensors]
Answer = tuple[float, dict[str, np.ndarray]]


def benchmark_serving() -> None:
    """Prints latencies, rates and real-time factors of what is in `saved_models`."""
    names = exported_models(SAVED_MODELS)
    if not names:
        print(f"\nServing: no model in {SAVED_MODELS}; tfspeech export RUN_DIR")
    for name in names:
        version = latest_version(SAVED_MODELS / name)
        rows = {"first request": f"{_first_request_ms(version, warm=False):8.1f} ms"}
        ms = _first_request_ms(version, warm=True)
        rows["first request after the warm-up"] = f"{ms:8.1f} ms"
        description = read_description(version)
        served = tf.saved_model.load(str(version)).signatures
        for signature, inputs in _distinct(version, description):
            size = len(next(iter(inputs.values())))
            found = _measure(served[signature], inputs, description)
            rows[f"{signature}, {size} at a time"] = found
        print_table(f"Serving {name}, version {version.name}, {CALLS} calls each", rows)


def _requests(version: Path) -> Iterator[tuple[str, dict[str, tf.Tensor]]]:
    for request in read_warmup(version):
        arrays = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        inputs = {name: tf.constant(array) for name, array in arrays.items()}
        yield request.model_spec.signature_name, inputs


def _distinct(
    version: Path, description: dict[str, Any]
) -> Iterator[tuple[str, dict[str, tf.Tensor]]]:
    """The requests for speech, each signature's under one of its names."""
    first = {}
    for name, signature in description["signatures"].items():
        if name not in ("symbol_table", "limits"):
            first.setdefault(str(signature), name)
    for name, inputs in _requests(version):
        if name in first.values():
            yield name, inputs


def _first_request_ms(version: Path, warm: bool) -> float:
    """How long the first request takes that a client makes, in ms."""
    served = tf.saved_model.load(str(version)).signatures
    requests = list(_requests(version))
    for name, inputs in requests * warm:
        served[name](**inputs)
    name, inputs = requests[0]
    return 1000 * _seconds(served[name], inputs)[0]


def _seconds(function: Signature, inputs: Tensors) -> Answer:
    started = time.perf_counter()
    outputs = {name: value.numpy() for name, value in function(**inputs).items()}
    return time.perf_counter() - started, outputs


def _measure(function: Signature, inputs: Tensors, description: dict[str, Any]) -> str:
    _, outputs = _seconds(function, inputs)
    seconds = [_seconds(function, inputs)[0] for _ in range(CALLS)]
    audio_s = _audio_seconds({**inputs, **outputs}, description)
    median_s = statistics.median(seconds)
    return (
        f"{1 / statistics.fmean(seconds):8.1f} requests per second, median "
        f"{1000 * median_s:7.1f} ms, 99th percentile "
        f"{1000 * np.percentile(seconds, 99):7.1f} ms, real-time factor "
        f"{median_s / audio_s:.4f}"
    )


def _audio_seconds(tensors: Tensors, description: dict[str, Any]) -> float:
    """How much speech all rows of a request or its answer are."""
    rate_hz = description["sample_rate_hz"]
    if "waveform_length" in tensors:
        return float(np.sum(tensors["waveform_length"])) / rate_hz
    if "frame_length" in tensors:
        hops = float(np.sum(tensors["frame_length"]))
        return hops * description["hop_length"] / rate_hz
    files = [decode_wav(contents) for contents in tensors["audio_bytes"]]
    return sum(len(waveform) / int(file_hz) for waveform, file_hz in files)
