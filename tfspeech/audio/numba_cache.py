"""librosa, whose compiled functions one process at a time writes to their cache."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from pathlib import Path
from types import ModuleType

from tfspeech.files import cache_folder, locked


@functools.cache
def import_librosa(module: str) -> ModuleType:
    """Imports a module of librosa while no other process of ours does.

    Numba compiles librosa's universal functions when they are imported, and keeps each
    in two files. Two processes that do so at once may leave two that do not match, with
    which every later process crashes (numba issue 10128). Hence the lock, and a folder
    that no other program writes, in our cache unless `NUMBA_CACHE_DIR` names one. Where
    that cannot be written, Numba looks for another.

    Args:
        module: Its name, such as `filters`.
    """
    folder = os.environ.get("NUMBA_CACHE_DIR") or str(cache_folder() / "numba")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(Path(folder), wait=True))
            os.environ["NUMBA_CACHE_DIR"] = folder
        except OSError:
            pass
        return importlib.import_module(f"librosa.{module}")
