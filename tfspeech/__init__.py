"""A speech model zoo on TensorFlow/Keras with measured clipping and regularization."""

import os
import sys

__version__ = "0.1.0"

# TensorFlow reads this once, when it is imported, and prints start-up notices on
# standard error. `python -m tfspeech.COMMAND` keeps its console to one clean stream;
# a program that imports tfspeech keeps its own settings.
if sys.argv[:1] == ["-m"] and not {"-v", "--verbose"} & set(sys.argv):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
