"""Good and hostile requests, mixed, to a server of exported models, for long."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import random
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks.serving import SAVED_MODELS
from benchmarks.timing import print_table
from tfspeech.audio.encode import encode_wav
from tfspeech.errors import ServerError
from tfspeech.serving.client.connection import MAX_ANSWER_BYTES
from tfspeech.serving.client.grpc_transport import GrpcTransport
from tfspeech.serving.client.rest_transport import RestTransport
from tfspeech.serving.client.transport import Signature, StatusError, Transport
from tfspeech.serving.settings import exported_models, latest_version
from tfspeech.serving.warmup import read_warmup

SERVER = Path(__file__).parents[1] / "tests" / "conformance" / "model_server.py"
REQUESTS_PER_S = 4.0
TIMEOUT_S = 60.0

_SENDERS = 4
_HOSTILE_SHARE = 0.6
_REST_SHARE = 0.5
_TOLERANCE, _ENERGY_TOLERANCE = 1e-3, 0.05
_PITCHED = ("parallel_tts", "waveform")
_LARGEST_REST = 50_000
_REFUSALS = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND")
_NUMBERS = (np.nan, np.inf, -np.inf, 1e30, -1e30, -1.0, 0.0)
_INTEGERS = (-(2**31), -1, 0, 1000, 2**31 - 1)
_TEXTS = (
    *(b"", b" ", b"\xff\xfe", b"\x00", b"...", "ʌ\u202e\U0001f600".encode()),
    *(b"9" * 20_000, b"a" * 100_000, b"the red box. " * 2_000, b"(" * 5_000),
)
_RATES_HZ = (0, 1, 3999, 192_001, 100_000_000, 2**31 - 1, 2**32 - 1)
_SENTENCES = (b"the red box.", b"the old bird.", b"the white door.", b"the green hat.")

Arrays = Mapping[str, np.ndarray]


class Request(NamedTuple):
    """A request.

    Attributes:
        kind: `good`, or what is hostile about it.
        model: The model's name.
        signature: The signature.
        inputs: Name -> batch; texts are bytes, in arrays of objects.
        answer: The right one, name -> array; None for a hostile request.
    """

    kind: str
    model: str
    signature: Signature
    inputs: Arrays
    answer: Arrays | None


@dataclasses.dataclass
class Tally:
    """Outcome of the requests of a kind.

    Attributes:
        answered: How many had an answer, a right one where one is known.
        refused: How many were refused with a reason.
        failures: What went wrong, a line each.
        longest_s: How long the slowest took.
    """

    answered: int = 0
    refused: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    longest_s: float = 0.0

    def __str__(self) -> str:
        count = self.answered + self.refused + len(self.failures)
        return (
            f"{count:6d}: {self.answered} answered, {self.refused} refused, "
            f"{len(self.failures)} failures; longest {self.longest_s:.2f} s"
        )


Tallies = dict[str, Tally]


def benchmark_soak(minutes: float = 1.0) -> None:
    """Prints what a server of `saved_models` makes of requests, and its memory.

    The server is the stand-in for TF Serving of the tests.

    Args:
        minutes: How long they are sent.

    Raises:
        ServerError: Some of them failed, or the server has ended.
    """
    if not exported_models(SAVED_MODELS):
        print(f"\nSoak: no model in {SAVED_MODELS}; tfspeech export RUN_DIR")
        return
    requests = good_requests(SAVED_MODELS)
    with _serve(SAVED_MODELS) as (process, ports), Memory(process.pid) as memory:
        tallies = send(requests, ports, 60 * minutes, REQUESTS_PER_S)
        alive = process.poll() is None
    rows = {kind: str(tally) for kind, tally in sorted(tallies.items())}
    rows["server at the end"] = "alive" if alive else f"ended: {process.returncode}"
    rows["its resident memory"] = str(memory)
    names = ", ".join(exported_models(SAVED_MODELS))
    print_table(f"Soak of {minutes:g} minutes: {names}", rows)
    failures = [line for tally in tallies.values() for line in tally.failures]
    if failures or not alive:
        first = failures[0] if failures else "the server has ended"
        raise ServerError(f"{len(failures)} requests failed: {first}")


def good_requests(folder: Path) -> list[Request]:
    """Requests for all signatures of exported models, with their answers.

    They are those of the warm-up and some like them; the answers are those of the
    SavedModel in this process.
    """
    found = []
    for name in exported_models(folder):
        version = latest_version(folder / name)
        served = tf.saved_model.load(str(version)).signatures
        for request in read_warmup(version):
            inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
            if len(next(iter(inputs.values()))) > 1:
                continue
            function = served[request.model_spec.signature_name]
            signature = Signature(
                request.model_spec.signature_name,
                {k: tf.as_dtype(v.dtype) for k, v in request.inputs.items()},
                {k: v.dtype for k, v in function.structured_outputs.items()},
            )
            for like in _like(inputs):
                with contextlib.suppress(tf.errors.InvalidArgumentError):
                    # Not all models know all words.
                    answer = function(**{k: tf.constant(v) for k, v in like.items()})
                    arrays = {k: _decoded(v.numpy()) for k, v in answer.items()}
                    found.append(Request("good", name, signature, like, arrays))
    return found


def _like(inputs: Arrays) -> Iterator[Arrays]:
    """A request of the warm-up, and others of its signature."""
    yield inputs
    rng = np.random.default_rng(0)
    for sentence in _SENTENCES:
        if "text" in inputs:
            yield {**inputs, "text": np.array([sentence], object)}
        noise = rng.normal(0, 0.1, rng.integers(2000, 12_000)).astype(np.float32)
        if "waveform" in inputs:
            length = np.array([len(noise)], np.int32)
            yield {"waveform": noise[np.newaxis], "waveform_length": length}
        if "audio_bytes" in inputs:
            contents = encode_wav(noise, int(rng.choice([8000, 11_025, 44_100])))
            yield {"audio_bytes": np.array([contents], object)}


def _decoded(array: np.ndarray) -> np.ndarray:
    """An array as clients return it, whose texts are `str`."""
    if array.dtype != object:
        return array
    texts = [text.decode() for text in array.flat]
    return np.array(texts, object).reshape(array.shape)


def spoil(request: Request, rng: random.Random) -> Request:
    """Makes a hostile request of a good one."""
    name = rng.choice(sorted(request.inputs))
    value = request.inputs[name]
    kind = rng.choice(["rows", "shapes", "lengths", "values", "values", "values"])
    inputs = {**request.inputs}
    if kind == "rows":
        rows = rng.choice([0, 17, 40])
        inputs = {k: np.resize(v, (rows, *v.shape[1:])) for k, v in inputs.items()}
    elif kind == "lengths" and value.ndim > 1:
        size = rng.choice([401, 20_000, 700_000])
        inputs[name] = np.resize(value, (1, size))
    elif kind != "values":
        kind = "shapes"
        others = [np.concatenate([value, value]), value[..., np.newaxis]]
        inputs[name] = rng.choice([*others, np.array(value[0], value.dtype)])
    else:
        kind, inputs[name] = _with_other_value(name, value, rng)
    return request._replace(kind=f"hostile {kind}", inputs=inputs, answer=None)


def _with_other_value(
    name: str, value: np.ndarray, rng: random.Random
) -> tuple[str, np.ndarray]:
    """Returns the name of a fault, and an input with it in one of its values."""
    changed = value.copy()
    place = rng.randrange(value.size)
    if name == "audio_bytes":
        kind, other = "wav files", _hostile_wav(value.flat[place], rng)
    elif value.dtype == object:
        kind, other = "texts", rng.choice(_TEXTS)
    else:
        numbers = _NUMBERS if value.dtype.kind == "f" else _INTEGERS
        kind, other = "numbers", rng.choice(numbers)
    changed.flat[place] = other
    return kind, changed


def _hostile_wav(contents: bytes, rng: random.Random) -> bytes:
    """A wav file with a header that lies, changed bytes, or an end that is missing."""
    data = bytearray(contents)
    choice = rng.choice(["rate", "channels", "bits", "size", "bytes", "cut", "long"])
    if choice == "rate":
        struct.pack_into("<I", data, 24, rng.choice(_RATES_HZ))
    elif choice == "channels":
        struct.pack_into("<H", data, 22, rng.choice([0, 2, 65_535]))
    elif choice == "bits":
        struct.pack_into("<H", data, 34, rng.choice([0, 1, 24, 64]))
    elif choice == "size":
        struct.pack_into("<I", data, 40, rng.choice([0, 1, 2**31, 2**32 - 1]))
    elif choice == "bytes":
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(min(60, len(data)))] = rng.randrange(256)
    elif choice == "cut":
        del data[rng.randrange(len(data)) :]
    else:
        data += bytes(2_000_000)
        struct.pack_into("<I", data, 40, len(data) - 44)
        struct.pack_into("<I", data, 4, len(data) - 8)
    return bytes(data)


def judge(request: Request, answer: Arrays) -> str:
    """Says what is wrong with an answer; empty where nothing is."""
    for name, array in answer.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"{name} is not finite"
    for name, expected in (request.answer or {}).items():
        found = answer[name]
        same = found.shape == expected.shape and (
            _is_near((request.model, name) == _PITCHED, found, expected)
            if expected.dtype.kind == "f"
            else (found == expected).all()
        )
        if not same:
            return f"{name} is wrong"
    return ""


def _is_near(by_energy: bool, found: np.ndarray, expected: np.ndarray) -> bool:
    """Compares values, or energies where phases add up rounding of the pitch."""
    if not by_energy:
        return np.allclose(found, expected, atol=_TOLERANCE)
    difference = np.linalg.norm(found - expected)
    return difference <= _ENERGY_TOLERANCE * np.linalg.norm(expected)


def send(
    requests: Sequence[Request],
    ports: Mapping[str, int],
    seconds: float,
    requests_per_s: float,
    seed: int = 0,
) -> Tallies:
    """Sends good requests and hostile ones made of them, several at a time.

    Args:
        requests: The good ones.
        ports: Those of the server for `rest` and `grpc`.
        seconds: How long.
        requests_per_s: How many at most.
        seed: Of what is chosen by chance.

    Returns:
        What has become of the requests, by their kind.
    """
    until = time.monotonic() + seconds
    tallies: Tallies = collections.defaultdict(Tally)
    lock = threading.Lock()

    def run(number: int) -> None:
        rng = random.Random(f"{seed}/{number}")  # noqa: S311 -- No secret.
        while (started := time.monotonic()) < until:
            request = rng.choice(requests)
            if rng.random() < _HOSTILE_SHARE:
                request = spoil(request, rng)
            problem, refused = _send(request, ports, rng)
            taken_s = time.monotonic() - started
            with lock:
                tally = tallies[request.kind]
                tally.longest_s = max(tally.longest_s, taken_s)
                if problem:
                    tally.failures.append(problem)
                elif refused:
                    tally.refused += 1
                else:
                    tally.answered += 1
            time.sleep(max(0.0, _SENDERS / requests_per_s - taken_s))

    with ThreadPoolExecutor(_SENDERS) as pool:
        list(pool.map(run, range(_SENDERS)))
    return dict(tallies)


def _send(
    request: Request, ports: Mapping[str, int], rng: random.Random
) -> tuple[str, bool]:
    """Says what is wrong with an answer, and whether the request was refused."""
    arrays = request.inputs.values()
    # By rows, and of texts no more than one each.
    by_rows = len({a.shape[:1] for a in arrays}) == 1 and all(
        a.ndim and 0 < a.size <= _LARGEST_REST and (a.dtype != object or a.ndim == 1)
        for a in arrays
    )
    over_rest = by_rows and rng.random() < _REST_SHARE
    scheme, port = ("http", "rest") if over_rest else ("grpc", "grpc")
    make = RestTransport if over_rest else GrpcTransport
    url = f"{scheme}://127.0.0.1:{ports[port]}"
    transport: Transport = make(url, request.model, None, MAX_ANSWER_BYTES)
    inputs = {
        name: list(value) if value.dtype == object and over_rest else value
        for name, value in request.inputs.items()
    }
    outputs = tuple(request.signature.outputs)
    described = f"{request.model}, {request.signature.name}, {scheme}"
    try:
        answer = transport.predict(request.signature, inputs, outputs, TIMEOUT_S)
    except StatusError as error:
        if error.code in _REFUSALS and request.answer is None:
            return "", True
        return f"{described}: {error.code}: {str(error)[:200]}", False
    finally:
        transport.close()
    problem = judge(request, answer)
    return problem and f"{described}: {problem}", False


@contextlib.contextmanager
def _serve(folder: Path) -> Iterator[tuple[subprocess.Popen, dict[str, int]]]:
    """Runs the stand-in for TF Serving; yields its process and its ports."""
    command = [sys.executable, str(SERVER), str(folder.resolve())]
    with subprocess.Popen(  # noqa: S603 -- Its own code.
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process, json.loads(process.stdout.readline())
        process.stdin.close()


class Memory:
    """Watches the resident memory of a process; a context manager.

    Args of the constructor:
        pid: Of the process.
    """

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/status")
        self._samples_mb: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            with contextlib.suppress(OSError, LookupError):  # It has ended.
                words = self._path.read_text().partition("VmRSS:")[2].split()
                self._samples_mb.append(int(words[0]) / 1024)

    def __str__(self) -> str:
        samples_mb = np.array(self._samples_mb)
        parts_mb = [np.median(part) for part in np.array_split(samples_mb, 10)]
        return (
            f"{parts_mb[0]:.0f} MB in the first tenth of the time, "
            f"{parts_mb[1]:.0f} in the second, {parts_mb[-1]:.0f} in the last, "
            f"at most {max(samples_mb):.0f}"
        )
