"""A speech model zoo on TensorFlow/Keras with measured clipping and regularization."""

import sys

from tfspeech.console import import_tensorflow

__version__ = "0.1.0"

# `python -m tfspeech.COMMAND` keeps its console to one clean stream; a program that
# imports tfspeech keeps its own settings.
if sys.argv[:1] == ["-m"] and not {"-v", "--verbose"} & set(sys.argv):
    import_tensorflow()
