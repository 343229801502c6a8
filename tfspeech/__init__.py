"""A speech model zoo on TensorFlow/Keras with measured clipping and regularization."""

import importlib
import os
import sys
from typing import Any

__version__ = "0.1.0"

# TensorFlow reads this once, when it is imported, and prints start-up notices on
# standard error. `python -m tfspeech.COMMAND` keeps its console to one clean stream;
# a program that imports tfspeech keeps its own settings.
if sys.argv[:1] == ["-m"] and not {"-v", "--verbose"} & set(sys.argv):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_LAZY = {
    "Clipped": "tfspeech.strategies",
    "Diagnostics": "tfspeech.training.fit",
    "regularize": "tfspeech.strategies",
}
"""Names of this package -> the modules that have them; most import TensorFlow."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
