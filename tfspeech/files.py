"""Files that are written whole or not at all, whatever stops the program.

And files that are read: those that users name, and data that a package ships.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tomllib
import uuid
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any


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


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Reads a file that a user names.

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
    return Path(path).read_bytes()


def read_toml(package: str, name: str) -> dict[str, Any]:
    """Reads a TOML file that lies beside the modules of a package."""
    return tomllib.loads(resources.files(package).joinpath(name).read_text("utf-8"))
