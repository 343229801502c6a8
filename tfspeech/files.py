"""Files that are written whole or not at all, whatever stops the program.

And folders that one process works in at a time, and files that are read: those that
users name, and data that a package ships.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import shutil
import stat
import tomllib
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from tfspeech.console import say
from tfspeech.errors import RunError, TextError

Value = TypeVar("Value")

LOCK_FILE = ".lock"


def cache_folder() -> Path:
    """Returns $TFSPEECH_CACHE, by default the user's cache folder."""
    return Path(
        os.environ.get("TFSPEECH_CACHE") or platformdirs.user_cache_dir("tfspeech")
    )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lets a partial file take the place of `path` when the block has written it.

    Readers see the old contents or the new, and several writers do not mix. If the
    block fails, `path` stays as it was.

    Args:
        path: The file; its folder must exist.

    Yields:
        The path of the partial file, in the same folder. Its suffix is `.partial`, so
        that patterns such as `*.json` do not match it.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text whole or not at all; see `replacing`."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(path: Path, contents: bytes) -> None:
    """Writes a binary file whole or not at all; see `replacing`."""
    with replacing(path) as partial:
        partial.write_bytes(contents)


@contextlib.contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Keeps other processes that ask for it out of a folder while the block runs.

    The lock is the system's own, on the file `.lock` in the folder: it ends with the
    process, also with one that is killed. The file stays and says who was the last.

    Args:
        folder: Made where it is missing, and removed if the block leaves it empty.
        wait: Wait for a process that works there, and say so.

    Raises:
        RunError: Another process works there, and `wait` is not set.
        OSError: The folder cannot be written.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        holder = path.read_text(errors="replace") or "unknown"
        if not wait:
            raise RunError(
                f"{folder} is in use by another command ({holder}): wait for its end "
                "or choose another folder"
            ) from error
        say(f"waiting for another command in {folder} ({holder})")
        lock.acquire()
    try:
        path.write_text(f"process {os.getpid()} on {platform.node()}")
        yield
    finally:
        # Nothing has come of it, such as by a wrong flag.
        if is_new and [path.name for path in folder.glob("*")] == [LOCK_FILE]:
            shutil.rmtree(folder)
        lock.release()


def parse_json(text: str | bytes) -> Any:
    """Parses JSON, whatever it is.

    Raises:
        ValueError: It is no JSON, no UTF-8, or nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def read_json(path: Path, build: Callable[[Any], Value]) -> Value:
    """Reads a JSON file that this package has written.

    Args:
        path: The file.
        build: Makes what is returned of its contents; raises a `ValueError` where they
            are not what was written.

    Raises:
        RunError: It is damaged.
        OSError: It cannot be read.
    """
    try:
        return build(parse_json(read_file(path)))
    except ValueError as error:
        raise RunError(
            f"{path} is damaged, remove it to have it made again: {error}"
        ) from error


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Loads all arrays of a `.npz` file, whose checksums are looked at.

    Raises:
        ValueError: It is damaged.
        OSError: It cannot be read.
    """
    try:
        # NumPy leaves a file open that is no zip file.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    # A flipped bit may look like encryption, which is a RuntimeError.
    except (
        *(EOFError, KeyError, RuntimeError, ValueError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        raise ValueError(f"it is damaged ({error})") from error


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Reads a file that a user names; see `open_file`."""
    with open_file(path) as file:
        return file.read()


def read_texts(path: Path, whole: bool = False) -> list[str]:
    """Reads a text per line; empty lines are left out.

    Args:
        path: UTF-8.
        whole: Whether the file is one text instead.

    Raises:
        TextError: There is none.
        OSError: The file cannot be read.
    """
    try:
        contents = read_file(path).decode()
    except UnicodeDecodeError as error:
        raise TextError(f"{path} is no UTF-8 text: {error}") from error
    lines = [contents] if whole else contents.splitlines()
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise TextError(f"{path} holds no text")
    return texts


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a file that a user names.

    Raises:
        OSError: It cannot be read, or is no regular file: a pipe or a device may keep
            its reader waiting for ever, or never end.
    """
    try:
        is_regular = stat.S_ISREG(os.stat(path).st_mode)
    except ValueError as error:  # A NUL, or what no file system can encode.
        raise OSError(errno.EINVAL, str(error), path) from error
    if not is_regular:
        raise OSError(errno.EINVAL, "not a regular file", path)
    return Path(path).open("rb")


def read_toml(package: str, name: str) -> dict[str, Any]:
    """Reads a TOML file that lies beside the modules of a package."""
    return tomllib.loads(resources.files(package).joinpath(name).read_text("utf-8"))
