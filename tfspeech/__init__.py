"""A speech model zoo on TensorFlow/Keras with measured clipping and regularization.

Every command, such as `python -m tfspeech.train`, is a module of this package. What
programs and notebooks use is listed in `__all__`; it is imported when it is first asked
for, so that `import tfspeech` itself is quick.
"""

import importlib
import sys
from typing import Any

from tfspeech import errors
from tfspeech.console import import_tensorflow

__version__ = "0.1.0"

# Name -> the module that defines it.
_LAZY = {
    "Clipped": "tfspeech.strategies",
    "Diagnostics": "tfspeech.training.fit",
    "regularize": "tfspeech.strategies",
}

__all__ = ["errors", *_LAZY]

# `python -m tfspeech.COMMAND` keeps its console to one clean stream; a program that
# imports tfspeech keeps its own settings.
if sys.argv[:1] == ["-m"] and not {"-v", "--verbose"} & set(sys.argv):
    import_tensorflow()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
