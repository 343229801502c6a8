"""A speech model zoo on TensorFlow/Keras with measured clipping and regularization."""

import importlib.util
import os
import sys
from pathlib import Path

__version__ = "0.1.0"


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

# TensorFlow reads this once, when it is imported, and prints start-up notices on
# standard error. `python -m tfspeech.COMMAND` keeps its console to one clean stream;
# a program that imports tfspeech keeps its own settings.
if sys.argv[:1] == ["-m"] and not {"-v", "--verbose"} & set(sys.argv):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
