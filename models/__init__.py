"""The model zoo: Keras models that know tensors, and nothing of files or losses."""

from models.attention_tts import AttentionTts, AttentionTtsConfig
from models.ctc_recognizer import CtcRecognizer, CtcRecognizerConfig
from models.dense_synthesis import DenseNet, DenseSynthesis, DenseSynthesisConfig
from models.rnn_recognizer import RnnRecognizer, RnnRecognizerConfig

__all__ = [
    "AttentionTts",
    "AttentionTtsConfig",
    "CtcRecognizer",
    "CtcRecognizerConfig",
    "DenseNet",
    "DenseSynthesis",
    "DenseSynthesisConfig",
    "RnnRecognizer",
    "RnnRecognizerConfig",
]
