"""Acoustic frames on disk: analysed once, and read in every epoch.

frames = frame_store(audio, indices, config)  # An `ArrayStore` of [frames, dim].
values, lengths = read_arrays(frames, rows)  # In `tf.data`; rows of `indices`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.console import progress, say
from tfspeech.data.cache import (
    ArrayStore,
    cache_folder,
    partial_folder,
    publish,
    read_arrays,
)
from tfspeech.data.pipeline import Batch, ordered_rows
from tfspeech.data.store import AudioStore

_FORMAT_VERSION = 1  # Of the cache; a change of the analysis must raise it.
# More need more memory and, beyond the processor's cache, half as much time again.
_ANALYSED_AT_ONCE = 4  # Their spectra are large, and more take no less time.
_FRAMES, _ROWS = "frames.f32", "rows.npy"


def frame_store(
    store: AudioStore, indices: np.ndarray, config: AcousticConfig
) -> ArrayStore:
    """Analyses utterances, or finds their frames in the cache.

    Args:
        store: Their waveforms, at the rate of `config`.
        indices: Places of the utterances in it. The frames of another set of them, such
            as another split, are another entry of the cache.
        config: The frames.

    Returns:
        The frames of each, float32 [frames, frame_dim], in the order of `indices`.

    Raises:
        CorpusError: The cache cannot be written.
    """
    folder = cache_folder() / f"frames-{_fingerprint(store, indices, config)}"
    if folder.is_dir():
        return _open(folder, config.frame_dim)
    with partial_folder(folder) as partial:
        _fill(partial, store, indices, config)
        frames = _open(partial, config.frame_dim)
        publish(partial, folder)
    return frames


def _fingerprint(store: AudioStore, indices: np.ndarray, config: AcousticConfig) -> str:
    """Hashes whatever the frames depend on."""
    digest = hashlib.sha256(repr((_FORMAT_VERSION, store.fingerprint, config)).encode())
    digest.update(np.asarray(indices, np.int64).tobytes())
    return digest.hexdigest()[:32]


def _open(folder: Path, dim: int) -> ArrayStore:
    starts, lengths = np.load(folder / _ROWS)
    return ArrayStore(folder / _FRAMES, starts, lengths, (dim,))


def _fill(
    folder: Path, store: AudioStore, indices: np.ndarray, config: AcousticConfig
) -> None:
    """Writes the frames, the shortest utterances first, and which rows are whose."""

    def load(rows: tf.Tensor) -> Batch:
        waveforms, samples = read_arrays(store, tf.gather(indices, rows))
        frames, lengths = acoustic_frames(waveforms, samples, config)
        return {"rows": rows, "frames": frames, "lengths": lengths}

    say(f"analysing {len(indices)} utterances to the cache")
    places = np.zeros([2, len(indices)], np.int64)
    batches = ordered_rows(store.lengths[indices], _ANALYSED_AT_ONCE, load)
    written = 0
    with (
        (folder / _FRAMES).open("wb") as file,
        progress(len(indices), "Analysing", "sentence") as bar,
    ):
        for batch in batches.as_numpy_iterator():
            for row, frames, length in zip(*batch.values(), strict=True):
                places[:, row] = written, length
                written += length
                file.write(frames[:length].tobytes())
            bar.update(len(batch["rows"]))
    np.save(folder / _ROWS, places)
