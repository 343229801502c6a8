"""Files that are written whole or not at all, whatever stops the program.

And files of data that a package ships, which are read.
"""

from __future__ import annotations

import contextlib
import os
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


def read_toml(package: str, name: str) -> dict[str, Any]:
    """Reads a TOML file that lies beside the modules of a package."""
    return tomllib.loads(resources.files(package).joinpath(name).read_text("utf-8"))
