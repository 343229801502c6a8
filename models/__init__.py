"""The model zoo: Keras models that know tensors, and nothing of files or losses."""

from __future__ import annotations

from models.rnn_recognizer import RnnRecognizer, RnnRecognizerConfig

CATALOGUE = {
    "rnn_recognizer": (RnnRecognizer, RnnRecognizerConfig),
}
"""Name -> (model class, its configuration dataclass)."""

__all__ = ["CATALOGUE", "RnnRecognizer", "RnnRecognizerConfig"]
