"""A speech model zoo on TensorFlow/Keras with measured clipping and regularization.

Every command, such as `python -m tfspeech.train`, is a module of this package. What
programs and notebooks use is listed in `__all__`; it is imported when it is first asked
for, so that `import tfspeech` itself is quick.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from tfspeech import errors

__version__ = "0.1.0"

# Name -> the module that defines it.
_LAZY = {
    "Clipped": "tfspeech.strategies",
    "Diagnostics": "tfspeech.training.fit",
    "TrainingRun": "tfspeech.training_run",
    "load_run": "tfspeech.api",
    "regularize": "tfspeech.strategies",
    "train_model": "tfspeech.api",
}

__all__ = ["errors", *_LAZY]


def _check_models() -> None:
    """Refuses to start where another package called models would be imported.

    `python -m` looks for packages in the working directory first.
    """
    spec = importlib.util.find_spec("models")
    places = (spec.submodule_search_locations or [spec.origin]) if spec else ()
    for found in map(Path, places):
        if found.parent != Path(__file__).parents[1]:
            message = (
                f"{found} hides the package models of tfspeech: start in another "
                "folder, use the command tfspeech, or rename it"
            )
            if sys.argv[:1] != ["-m"]:
                raise ImportError(message)
            print(f"error: {message}", file=sys.stderr)
            sys.exit(2)


_check_models()

# `python -m tfspeech.COMMAND` keeps its console to one clean stream; a program that
# imports tfspeech keeps its own settings. `python -m tfspeech` need not wait for it.
if (
    sys.argv[:1] == ["-m"]
    and "tfspeech" not in sys.orig_argv
    and not {"-v", "--verbose"} & set(sys.argv)
):
    importlib.import_module("tfspeech.console").import_tensorflow()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
