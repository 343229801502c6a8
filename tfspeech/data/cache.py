"""The cache folder, and arrays in it that are too large for memory."""

from __future__ import annotations

import abc
import contextlib
import os
import re
import shutil
import tempfile
import time
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import tensorflow as tf

from tfspeech.console import say
from tfspeech.errors import CorpusError

Entry = TypeVar("Entry")

_LEFTOVER_AGE_S = 24 * 3600


class Arrays(abc.ABC):
    """Arrays of rows of float32.

    Attributes:
        lengths: The rows of each array, integer [arrays].
        row_shape: () for rows that are numbers, (dim,) for vectors.
    """

    lengths: np.ndarray
    row_shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.lengths)

    @abc.abstractmethod
    def __getitem__(self, index: int) -> np.ndarray:
        """Returns one array, float32 [rows, *row_shape], read-only."""

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


class JoinedArrays(Arrays):
    """Arrays of two kinds, the second after the first.

    Args of the constructor:
        first: Any.
        second: Their rows have the same shape.
    """

    def __init__(self, first: Arrays, second: Arrays) -> None:
        self.lengths = np.concatenate([first.lengths, second.lengths])
        self.row_shape = first.row_shape
        self._first, self._second = first, second

    def __getitem__(self, index: int) -> np.ndarray:
        """Returns one array, float32 [rows, *row_shape], read-only."""
        count = len(self._first)
        return self._first[index] if index < count else self._second[index - count]


class ArrayStore(Arrays):
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
        mode = os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY
        self._file = os.open(path, mode)
        closing = weakref.finalize(self, os.close, self._file)
        closing.atexit = False  # Threads of `tf.data` may read until the process ends.

    def __getitem__(self, index: int) -> np.ndarray:
        """Returns one array, float32 [rows, *row_shape], read-only.

        Raises:
            CorpusError: The file is shorter than it was.
        """
        contents = self._read(index)
        if len(contents) < self._size(index):
            raise CorpusError(
                f"the cache is damaged: {self._path} is cut short; delete its folder"
            )
        return self._array(contents)

    def _size(self, index: int) -> int:
        """The bytes of an array."""
        return int(self.lengths[index]) * self._row_bytes

    def _offset(self, index: int) -> int:
        """The place of an array in the file, in bytes."""
        return int(self._starts[index]) * self._row_bytes

    def _read(self, index: int) -> bytes:
        """The bytes of an array, fewer where the file is cut short."""
        return os.pread(self._file, self._size(index), self._offset(index))

    def _array(self, contents: bytes) -> np.ndarray:
        return np.frombuffer(contents, np.float32).reshape(-1, *self.row_shape)


class CheckedStore(ArrayStore):
    """The arrays of an entry of the cache, compared with checksums at their first use.

    A damaged one is made again, and its entry is removed, so that the next command
    makes all of it again.

    Args of the constructor:
        path, starts, lengths, row_shape: As of `ArrayStore`.
        checksums: `checksum` of each array, integer [arrays].
        make: Makes the array of an index again, float32 [rows, *row_shape].

    Raises:
        ValueError: The file has another size than all arrays together.
    """

    def __init__(
        self,
        path: Path,
        starts: np.ndarray,
        lengths: np.ndarray,
        checksums: np.ndarray,
        make: Callable[[int], np.ndarray],
        row_shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__(path, starts, lengths, row_shape)
        self._checksums = checksums
        self._make = make
        self._checked = np.zeros(len(lengths), bool)
        self._damaged = False
        wanted = int((starts + lengths).max(initial=0)) * self._row_bytes
        size = os.fstat(self._file).st_size
        if size != wanted:
            raise ValueError(f"{path.name} has {size} bytes instead of {wanted}")

    def __getitem__(self, index: int) -> np.ndarray:
        """Returns one array, float32 [rows, *row_shape], read-only.

        Raises:
            CorpusError: It is damaged, and cannot be made again as it was.
        """
        contents = self._read(index)
        if len(contents) < self._size(index):
            # Writing will fill the file up with zeros, where others were.
            self._checked[:] = False
            contents = self._make_again(index)
        elif not self._checked[index]:
            if checksum(contents) == self._checksums[index]:
                self._checked[index] = True
            else:
                contents = self._make_again(index)
        return self._array(contents)

    def check(self) -> None:
        """Compares all arrays that were not used yet with their checksums."""
        for index in np.flatnonzero(~self._checked):
            self[index]

    def _make_again(self, index: int) -> bytes:
        if not self._damaged:
            self._damaged = True
            say(f"{self._path.parent} in the cache is damaged; it is made again")
            shutil.rmtree(self._path.parent, ignore_errors=True)
        contents = np.asarray(self._make(index), np.float32).tobytes()
        if len(contents) != self._size(index):
            raise CorpusError(
                f"{self._path.parent} in the cache is damaged, and its corpus has "
                "changed meanwhile: start again"
            )
        # Where the file cannot be written, it is made again at every use.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, contents, self._offset(index))
            self._checked[index] = True
        return contents


class ArrayWriter:
    """Writes the arrays of a `CheckedStore` one after the other.

    Args of the constructor:
        file: Where to.
        count: How many there will be.

    Attributes:
        columns: The `starts`, `lengths` and `checksums` of the store, int64 [arrays].
    """

    def __init__(self, file: BinaryIO, count: int) -> None:
        self._file = file
        self._written = 0
        self.columns = {
            name: np.zeros(count, np.int64)
            for name in ("starts", "lengths", "checksums")
        }

    def write(self, index: int, array: np.ndarray) -> None:
        """Writes the array of an index, float32 [rows, ...]."""
        contents = array.tobytes()
        values = self._written, len(array), checksum(contents)
        for column, value in zip(self.columns.values(), values, strict=True):
            column[index] = value
        self._written += len(array)
        self._file.write(contents)


def checksum(contents: bytes) -> int:
    """The checksum of an array's bytes, CRC-32: it finds accidents, not forgeries."""
    return zlib.crc32(contents)


def read_arrays(store: Arrays, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads arrays in `tf.data`.

    Args:
        store: Where they are.
        indices: Which ones, integer [batch].

    Returns:
        As `Arrays.batch`.
    """
    arrays, lengths = tf.numpy_function(store.batch, [indices], [tf.float32, tf.int32])
    arrays = tf.ensure_shape(arrays, [None, None, *store.row_shape])
    return arrays, tf.ensure_shape(lengths, [None])


@contextlib.contextmanager
def reading_arrays() -> Iterator[None]:
    """Raises the `CorpusError` of an array that cannot be read in `tf.data`.

    TensorFlow makes an error of its own of it, whose message has the name and text.
    """
    try:
        yield
    except tf.errors.OpError as error:
        reason = re.search(rf"{CorpusError.__name__}: (.*)", error.message)
        if reason is None:
            raise
        raise CorpusError(reason[1]) from error


def open_or_make(
    folder: Path, open_entry: Callable[[Path], Entry], make: Callable[[Path], bool]
) -> Entry:
    """Opens an entry of the cache, or makes it where it is missing or damaged.

    Args:
        folder: Of the entry.
        open_entry: Opens it in a folder, and raises what a damaged file raises.
        make: Writes it to a folder, and says whether it is to be kept in the cache.

    Raises:
        CorpusError: The cache cannot be written.
    """
    try:
        return open_entry(folder)
    except (OSError, ValueError, LookupError) as error:
        if folder.exists():
            say(f"{folder} in the cache is damaged; it is made again ({error})")
            shutil.rmtree(folder, ignore_errors=True)
    with partial_folder(folder) as partial:
        keep = make(partial)
        entry = open_entry(partial)
        if keep:
            _publish(partial, folder)
    return entry


@contextlib.contextmanager
def partial_folder(folder: Path) -> Iterator[Path]:
    """Makes a folder to be filled, and removes it and what killed runs have left.

    Args:
        folder: Where it is put when it is complete, if at all.

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


def _publish(partial: Path, folder: Path) -> None:
    """Gives a filled folder its name.

    Nothing is to be done where another process was faster, or has removed the cache:
    what is open stays open.
    """
    try:
        partial.rename(folder)
    except OSError:
        if partial.exists() and not folder.is_dir():
            raise
