"""Acoustic frames on disk: analysed once, and read in every epoch.

frames = frame_store(audio, indices, config)  # An `ArrayStore` of [frames, dim].
values, lengths = read_arrays(frames, rows)  # In `tf.data`; rows of `indices`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.console import progress, say
from tfspeech.data.cache import (
    ArrayStore,
    ArrayWriter,
    CheckedStore,
    open_or_make,
    read_arrays,
)
from tfspeech.data.pipeline import Batch, ordered_rows
from tfspeech.data.store import AudioStore
from tfspeech.files import cache_folder, load_arrays

_FORMAT_VERSION = 2  # Of the cache; a change of the analysis must raise it.
# More need more memory and, beyond the processor's cache, half as much time again.
_ANALYSED_AT_ONCE = 4  # Their spectra are large, and more take no less time.
_FRAMES, _INDEX = "frames.f32", "index.npz"


class FrameChange(Protocol):
    """Another version of the frames of utterances.

    Attributes:
        fingerprint: Of all that it depends on besides the frames.
    """

    fingerprint: str

    def __call__(self, index: int, frames: np.ndarray) -> np.ndarray:
        """Returns the changed frames of an utterance.

        Args:
            index: Its place in the store of waveforms.
            frames: As analysed, float32 [frames, frame_dim].
        """


def frame_store(
    store: AudioStore,
    indices: np.ndarray,
    config: AcousticConfig,
    change: FrameChange | None = None,
) -> ArrayStore:
    """Analyses utterances, or finds their frames in the cache.

    Args:
        store: Their waveforms, at the rate of `config`.
        indices: Places of the utterances in it. The frames of another set of them, such
            as another split, are another entry of the cache.
        config: The frames.
        change: Made of the frames before they are kept; None for none.

    Returns:
        The frames of each, float32 [frames, frame_dim], in the order of `indices`.

    Raises:
        CorpusError: The cache cannot be written.
    """

    def open_entry(folder: Path) -> ArrayStore:
        arrays = load_arrays(folder / _INDEX)
        columns = [arrays[name] for name in ("starts", "lengths", "checksums")]
        return CheckedStore(folder / _FRAMES, *columns, make, (config.frame_dim,))

    def make(row: int) -> np.ndarray:
        waveform = store[indices[row]]
        frames, _ = acoustic_frames(waveform[np.newaxis], [waveform.size], config)
        frames = frames[0].numpy()
        return change(int(indices[row]), frames) if change else frames

    def fill(folder: Path) -> bool:
        _fill(folder, store, indices, config, change)
        return True

    name = _fingerprint(store, indices, config, change)
    folder = cache_folder() / f"frames-{name}"
    return open_or_make(folder, open_entry, fill)


def _fingerprint(
    store: AudioStore,
    indices: np.ndarray,
    config: AcousticConfig,
    change: FrameChange | None,
) -> str:
    """Hashes whatever the frames depend on."""
    digest = hashlib.sha256(repr((_FORMAT_VERSION, store.fingerprint, config)).encode())
    digest.update(np.asarray(indices, np.int64).tobytes())
    if change:
        digest.update(change.fingerprint.encode())
    return digest.hexdigest()[:32]


def _fill(
    folder: Path,
    store: AudioStore,
    indices: np.ndarray,
    config: AcousticConfig,
    change: FrameChange | None,
) -> None:
    """Writes the frames, the shortest utterances first, and which rows are whose."""

    def load(rows: tf.Tensor) -> Batch:
        waveforms, samples = read_arrays(store, tf.gather(indices, rows))
        frames, lengths = acoustic_frames(waveforms, samples, config)
        return {"rows": rows, "frames": frames, "lengths": lengths}

    say(f"analysing {len(indices)} utterances to the cache")
    batches = ordered_rows(store.lengths[indices], _ANALYSED_AT_ONCE, load)
    with (
        (folder / _FRAMES).open("wb") as file,
        progress(len(indices), "Analysing", "sentence") as bar,
    ):
        writer = ArrayWriter(file, len(indices))
        for batch in batches.as_numpy_iterator():
            for row, frames, length in zip(*batch.values(), strict=True):
                kept = frames[:length]
                if change:
                    kept = change(int(indices[row]), kept)
                writer.write(row, kept)
            bar.update(len(batch["rows"]))
    np.savez(folder / _INDEX, **writer.columns)
