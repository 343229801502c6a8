"""The cache folder, and arrays in it that are too large for memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import platformdirs
import tensorflow as tf

from tfspeech.errors import CorpusError

_LEFTOVER_AGE_S = 24 * 3600


class ArrayStore:
    """Arrays of rows of float32 that lie one after the other in a file.

    They are read when they are asked for, from any thread: a memory map's pages would
    count as memory of the process. The file stays open, whatever becomes of its name.

    Args of the constructor:
        path: The file.
        starts: The first row of each array, in rows from the beginning of the file.
        lengths: The rows of each array, integer [arrays].
        row_shape: () for rows that are numbers, (dim,) for vectors.

    Attributes:
        lengths, row_shape: As given.
    """

    def __init__(
        self,
        path: Path,
        starts: np.ndarray,
        lengths: np.ndarray,
        row_shape: tuple[int, ...] = (),
    ) -> None:
        self.lengths = lengths
        self.row_shape = row_shape
        self._starts = starts
        self._row_bytes = np.dtype(np.float32).itemsize * int(np.prod(row_shape))
        self._path = path
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> np.ndarray:
        """Returns one array, float32 [rows, *row_shape], read-only.

        Raises:
            CorpusError: The file is shorter than it was.
        """
        size = int(self.lengths[index]) * self._row_bytes
        offset = int(self._starts[index]) * self._row_bytes
        contents = os.pread(self._file, size, offset)
        if len(contents) < size:
            raise CorpusError(
                f"the cache is damaged: {self._path} is cut short; delete its folder"
            )
        return np.frombuffer(contents, np.float32).reshape(-1, *self.row_shape)

    def batch(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Returns arrays side by side.

        Args:
            indices: Which ones, int [batch].

        Returns:
            float32 [batch, rows of the longest, *row_shape], padded with zeros, and
            their lengths in rows, int32 [batch].
        """
        lengths = self.lengths[indices].astype(np.int32)
        shape = len(lengths), lengths.max(initial=0), *self.row_shape
        arrays = np.zeros(shape, np.float32)
        for row, index in enumerate(indices):
            arrays[row, : lengths[row]] = self[index]
        return arrays, lengths


def read_arrays(store: ArrayStore, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads arrays in `tf.data`.

    Args:
        store: Where they are.
        indices: Which ones, integer [batch].

    Returns:
        As `ArrayStore.batch`.
    """
    arrays, lengths = tf.numpy_function(store.batch, [indices], [tf.float32, tf.int32])
    arrays = tf.ensure_shape(arrays, [None, None, *store.row_shape])
    return arrays, tf.ensure_shape(lengths, [None])


def cache_folder() -> Path:
    """Returns $TFSPEECH_CACHE, by default the user's cache folder."""
    return Path(
        os.environ.get("TFSPEECH_CACHE") or platformdirs.user_cache_dir("tfspeech")
    )


@contextlib.contextmanager
def partial_folder(folder: Path) -> Iterator[Path]:
    """Makes a folder to be filled, and removes it and what killed runs have left.

    Args:
        folder: Where `publish` is to put it.

    Raises:
        CorpusError: The cache cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for leftover in folder.parent.glob("partial-*"):
            if time.time() - leftover.stat().st_mtime > _LEFTOVER_AGE_S:
                shutil.rmtree(leftover, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder.parent))
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise CorpusError(
            f"cannot write the cache in {folder.parent}: {error.strerror}; make room "
            "or set $TFSPEECH_CACHE to another folder"
        ) from error


def publish(partial: Path, folder: Path) -> None:
    """Gives a filled folder its name, unless another process was faster."""
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
