"""Raw samples from a file or from standard input, and the text that comes of them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

_MOST_BYTES = 1 << 16


def read_pcm(source: BinaryIO) -> Iterator[np.ndarray]:
    """Yields 16-bit little-endian samples as float32 [samples], as they come.

    Args:
        source: Buffered; a byte behind the last whole sample is left out.
    """
    rest = b""
    while read := source.read1(_MOST_BYTES):
        read = rest + read
        whole = len(read) // 2 * 2
        rest = read[whole:]
        yield np.frombuffer(read[:whole], "<i2").astype(np.float32) / 2**15


def print_stream(file: Path, read: Callable[[BinaryIO], Iterator[str]]) -> None:
    """Prints what is read from a stream as it comes, in one line.

    Args:
        file: `-` for standard input.
        read: Yields what is added to the text.

    Raises:
        OSError: The file cannot be read.
    """
    with contextlib.ExitStack() as files:
        source = sys.stdin.buffer
        if str(file) != "-":
            source = files.enter_context(file.open("rb"))
        begun = False
        for text in read(source):
            print(text if begun else text.lstrip(), end="", flush=True)
            begun = begun or bool(text.strip())
        print()
