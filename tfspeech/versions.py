"""The versions of the programs that make runs and exports."""

from __future__ import annotations

import platform
import re

import keras
import tensorflow as tf

import tfspeech


def current_versions() -> dict[str, str]:
    """The versions of this process, by the name of the program."""
    return {
        "tfspeech": tfspeech.__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
    }


def is_newer(versions: object) -> bool:
    """Whether versions, of whatever JSON says, are of a newer tfspeech than this."""
    version = versions.get("tfspeech") if isinstance(versions, dict) else None
    return _numbers(str(version)) > _numbers(tfspeech.__version__)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version."""
    found = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
