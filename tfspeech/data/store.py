"""Decodes a corpus once, into a cache of float32 samples on disk."""

from __future__ import annotations

import collections
import contextlib
import functools
import hashlib
import importlib.metadata
import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfspeech.audio.codecs import load_codecs
from tfspeech.audio.decode import decode_audio, read_audio
from tfspeech.audio.resample import resample
from tfspeech.console import progress, say
from tfspeech.data.cache import CheckedStore, checksum, open_or_make
from tfspeech.data.checks import MEASUREMENTS, Problem, Report, check
from tfspeech.data.joined import JoinedAudio, files_of, read_part
from tfspeech.data.manifest import Corpus
from tfspeech.data.spoken import SpokenAudio
from tfspeech.errors import AudioError, CorpusError
from tfspeech.files import cache_folder, load_arrays
from tfspeech.text.espeak import NATIVE_RATE_HZ

TELEPHONE_RATE_HZ = 8000
SPEECH_RATE_HZ = 16000
MAX_SECONDS = 30.0

_FORMAT_VERSION = 3  # Of the cache; a change of decoding or resampling must raise it.
_ENGINES = ("espeakng-loader", "py-nanotts")  # Packages that speak.
_RATE_PROBES = 100
_SECONDS_BETWEEN_LINES = 5.0
_FULL_SCALE = 0.999
_PARTS_IN_MEMORY = 1024  # Decoded words, which occur in many strings.
_SAMPLES, _INDEX = "samples.f32", "index.npz"


class AudioStore(CheckedStore):
    """The waveforms of a corpus at one rate, in the order of its utterances.

    Args of the constructor:
        folder: Of the cache.
        fingerprint: Its name there.
        make: Makes the waveform of an index again, float32 [samples].

    Attributes:
        fingerprint: Another one for other waveforms.
        sample_rate_hz: The rate of all waveforms.
        measurements: `MEASUREMENTS` [utterances], most of them before resampling.
        lengths: The samples of each waveform, int64 [utterances].
    """

    def __init__(
        self, folder: Path, fingerprint: str, make: Callable[[int], np.ndarray]
    ) -> None:
        self.fingerprint = fingerprint
        arrays = load_arrays(folder / _INDEX)
        self.sample_rate_hz = int(arrays["rate_hz"])
        self.measurements = arrays["measurements"]
        columns = (self.measurements[n] for n in ("offset", "length", "checksum"))
        super().__init__(folder / _SAMPLES, *columns, make)


def prepare(
    corpus: Corpus,
    sample_rate_hz: int = 0,
    *,
    max_seconds: float = MAX_SECONDS,
    labels: Collection[str] | None = None,
    split: str | None = None,
    sentences: bool = False,
) -> tuple[AudioStore, Report]:
    """Decodes, resamples and checks a corpus, or finds that in the cache.

    The cache is the folder $TFSPEECH_CACHE, by default the user's own cache folder. A
    corpus is found there as long as its files keep their sizes and times of
    modification. It is not kept there while some of its audio cannot be read.

    Args:
        corpus: The corpus.
        sample_rate_hz: The rate of the waveforms; 0: that of most files (of most of
            100 probes, in fact) decides, 8,000 Hz up to that rate, else 16,000 Hz.
        max_seconds: Audio is cut to this length.
        labels: The only texts allowed (see `check`).
        split: Report the problems of this split alone.
        sentences: Texts are what is to be said, not labels (see `check`).

    Returns:
        The waveforms and all problems. The waveforms are of no use where the report
        has fatal problems; `Report.raise_if_fatal` raises them.

    Raises:
        CorpusError: The cache cannot be written.
        SpecError: An engine lacks a voice of the corpus.
    """
    rate_hz = sample_rate_hz or _suitable_rate_hz(corpus)
    fingerprint = _fingerprint(corpus, rate_hz, max_seconds)
    unread: dict[int, Problem] = {}

    def fill(folder: Path) -> bool:
        unread.update(_fill(folder, corpus, rate_hz, max_seconds))
        return not unread

    def decode_again(index: int) -> np.ndarray:
        return _decode_one(corpus, index, rate_hz, max_seconds)

    store = open_or_make(
        cache_folder() / fingerprint,
        lambda folder: AudioStore(folder, fingerprint, decode_again),
        fill,
    )
    return store, check(
        *(corpus, store.measurements, unread, max_seconds, labels, split, sentences)
    )


def usual_rate_hz(corpus: Corpus) -> int:
    """Returns the commonest rate of at most 100 of a corpus's files, in Hz.

    It is eSpeak NG's own, 22,050 Hz, where there is no file that can be read.
    """
    first = [files_of(each.audio)[:1] for each in corpus.utterances]
    files = [file for found in first for file in found if file.is_file()]
    probes = files[:: math.ceil(len(files) / _RATE_PROBES)] if files else []
    rates_hz = collections.Counter[int]()
    if probes:
        decoded = _read_files(dict(enumerate(probes))).ignore_errors()
        rates_hz.update(int(rate_hz) for _, _, rate_hz in decoded.as_numpy_iterator())
    usual = rates_hz.most_common(1)
    return usual[0][0] if usual else NATIVE_RATE_HZ


def _fingerprint(corpus: Corpus, rate_hz: int, max_seconds: float) -> str:
    """Hashes whatever the samples in the cache depend on."""
    engines = tuple(map(importlib.metadata.version, _ENGINES))
    codecs = load_codecs().name
    digest = hashlib.sha256(
        repr((_FORMAT_VERSION, rate_hz, max_seconds, engines, codecs)).encode()
    )
    for each in corpus.utterances:
        digest.update(repr(_identity(each.audio)).encode())
    return digest.hexdigest()[:32]


def _identity(audio: Path | SpokenAudio | JoinedAudio) -> object:
    """Returns all that the samples of an utterance depend on."""
    if isinstance(audio, JoinedAudio):
        return tuple(map(_identity, audio.parts)), audio.gaps_ms, audio.gain_db
    if not isinstance(audio, Path):
        return audio
    path = os.path.abspath(audio)
    with contextlib.suppress(OSError):  # Missing; the checks will say so.
        stat = audio.stat()
        return path, stat.st_size, stat.st_mtime_ns
    return path


def _fill(
    folder: Path, corpus: Corpus, rate_hz: int, max_seconds: float
) -> dict[int, Problem]:
    """Writes the cache of a corpus, and returns what could not be read."""
    measurements = np.zeros(len(corpus.utterances), MEASUREMENTS)
    found = set()
    files, joined = len(_files(corpus)), _count(corpus, JoinedAudio)
    spoken = _count(corpus, SpokenAudio)
    kinds = {
        "recordings": files,
        "by synthetic voices": spoken,
        "joined": joined,
    }
    counts = " and ".join(f"{n:,} {kind}" for kind, n in kinds.items() if n)
    say(f"decoding utterances of {corpus.name}, once, to the cache: {counts}")
    said = time.monotonic()
    with (
        (folder / _SAMPLES).open("wb") as file,
        progress(len(measurements), "Decoding", "file") as bar,
    ):
        for index, audio in _decode(corpus, rate_hz, max_seconds):
            samples = audio.pop("samples")
            for name, value in audio.items():
                measurements[index][name] = value
            measurements[index]["offset"] = file.tell() // samples.itemsize
            measurements[index]["length"] = len(samples)
            contents = samples.tobytes()
            measurements[index]["checksum"] = checksum(contents)
            file.write(contents)
            found.add(index)
            bar.update()
            if bar.disable and time.monotonic() - said > _SECONDS_BETWEEN_LINES:
                say(f"decoded {len(found):,} of {len(measurements):,}")
                said = time.monotonic()
    np.savez(folder / _INDEX, measurements=measurements, rate_hz=rate_hz)
    return {
        index: _diagnose(each.audio)
        for index, each in enumerate(corpus.utterances)
        if index not in found
    }


def _decode(
    corpus: Corpus, rate_hz: int, max_seconds: float
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yields the index, the measures and the resampled `samples` of all good audio."""

    # AutoGraph would take a second to read the sources.
    @tf.autograph.experimental.do_not_convert
    def measure(
        index: tf.Tensor, waveform: tf.Tensor, original_hz: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return index, _measure(waveform, original_hz, rate_hz, max_seconds)

    files = _files(corpus)
    if files:
        decoded = _read_files(files).map(measure, num_parallel_calls=tf.data.AUTOTUNE)
        decoded = decoded.ignore_errors().prefetch(tf.data.AUTOTUNE)
        for index, audio in decoded.as_numpy_iterator():
            yield int(index), audio
    read = functools.lru_cache(_PARTS_IN_MEMORY)(read_part)
    for index, each in enumerate(corpus.utterances):
        if isinstance(each.audio, Path):
            continue
        try:
            rendered = _render(each.audio, read)
        except (AudioError, OSError):
            continue
        audio = _measure(*rendered, rate_hz, max_seconds)
        yield index, {name: value.numpy() for name, value in audio.items()}


def _decode_one(
    corpus: Corpus, index: int, rate_hz: int, max_seconds: float
) -> np.ndarray:
    """The waveform of one utterance, as `_decode` yields it.

    Raises:
        CorpusError: Its audio cannot be read any more.
    """
    audio = corpus.utterances[index].audio
    try:
        decoded = read_audio(audio) if isinstance(audio, Path) else _render(audio)
    except (AudioError, OSError) as error:
        raise CorpusError(
            f"the cache is damaged, and {audio} cannot be decoded again: {error}"
        ) from error
    return _measure(*decoded, rate_hz, max_seconds)["samples"].numpy()


def _render(
    audio: SpokenAudio | JoinedAudio,
    read: Callable[[Path | SpokenAudio], tuple[np.ndarray, int]] = read_part,
) -> tuple[np.ndarray, int]:
    """Speaks or joins; `read` reads what is joined."""
    return audio.render(read) if isinstance(audio, JoinedAudio) else audio.render()


def _files(corpus: Corpus) -> dict[int, Path]:
    """Utterances with a file; a pipe or a device might never come to an end."""
    return {
        index: each.audio
        for index, each in enumerate(corpus.utterances)
        if isinstance(each.audio, Path) and each.audio.is_file()
    }


def _count(corpus: Corpus, kind: type) -> int:
    """The utterances whose audio is of a kind."""
    return sum(isinstance(each.audio, kind) for each in corpus.utterances)


def _read_files(chosen: Mapping[int, Path]) -> tf.data.Dataset:
    """Returns index, waveform and rate of files, with an error for a broken one."""
    paths = [os.fsencode(path) for path in chosen.values()]
    files = tf.data.Dataset.from_tensor_slices((list(chosen), paths))

    # AutoGraph would take a second to read the sources.
    @tf.autograph.experimental.do_not_convert
    def decode(index: tf.Tensor, path: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return index, *decode_audio(tf.io.read_file(path))

    return files.map(decode, num_parallel_calls=tf.data.AUTOTUNE)


@tf.function(
    input_signature=(
        tf.TensorSpec([None]),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([], tf.float64),
    ),
    autograph=False,
)
def _measure(
    waveform: tf.Tensor,
    original_hz: tf.Tensor,
    rate_hz: tf.Tensor,
    max_seconds: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Returns the `MEASUREMENTS` of a waveform, and its `samples` at `rate_hz`."""
    level = tf.abs(waveform)
    finite = tf.reduce_all(tf.math.is_finite(waveform))
    original = tf.cast(original_hz, tf.float64)
    longest = tf.cast(original * max_seconds, tf.int32)
    return {
        "rate_hz": original_hz,
        "seconds": tf.cast(tf.size(waveform), tf.float64) / original,
        "peak": tf.where(finite, tf.reduce_max(level), np.nan),
        "clipped_share": tf.reduce_mean(tf.cast(level >= _FULL_SCALE, tf.float32)),
        "digest": tf.strings.to_hash_bucket_fast(
            tf.io.serialize_tensor(waveform), np.iinfo(np.int64).max
        ),
        "samples": resample(waveform[:longest], original_hz, rate_hz),
    }


def _suitable_rate_hz(corpus: Corpus) -> int:
    """Returns the speech rate nearest to the commonest of a corpus."""
    is_narrow = usual_rate_hz(corpus) <= TELEPHONE_RATE_HZ
    return TELEPHONE_RATE_HZ if is_narrow else SPEECH_RATE_HZ


def _diagnose(audio: Path | SpokenAudio | JoinedAudio) -> Problem:
    """Says why audio could not be read."""
    found = map(_diagnose_file, files_of(audio))
    once = Problem("unreadable", str(audio), "it could not be read a first time")
    return next(filter(None, found), once)


def _diagnose_file(path: Path) -> Problem | None:
    """Says why a file cannot be read; None where it can."""
    if not path.exists():
        return Problem("missing", str(path), "no such file")
    if path.is_file() and not path.stat().st_size:
        return Problem("empty", str(path), "the file has 0 bytes")
    try:
        read_audio(path)
    except (AudioError, OSError) as error:
        return Problem("unreadable", str(path), str(error).removeprefix(f"{path}: "))
    return None
