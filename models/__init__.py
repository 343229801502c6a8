"""The model zoo: Keras models that know tensors, and nothing of files or losses."""

from models.attention_tts import AttentionTts, AttentionTtsConfig
from models.clip_discriminator import ClipDiscriminator, ClipDiscriminatorConfig
from models.ctc_recognizer import CtcRecognizer, CtcRecognizerConfig
from models.dense_synthesis import DenseNet, DenseSynthesis, DenseSynthesisConfig
from models.discriminators import DiscriminatorConfig, Discriminators
from models.frame_discriminator import FrameDiscriminator, FrameDiscriminatorConfig
from models.frame_gan import FrameGan, FrameGanConfig
from models.hmm_recognizer import HmmRecognizer, HmmRecognizerConfig
from models.hybrid_recognizer import HybridRecognizer, HybridRecognizerConfig
from models.parallel_tts import ParallelTts
from models.parallel_tts_blocks import ParallelTtsConfig
from models.rnn_recognizer import RnnRecognizer, RnnRecognizerConfig
from models.source_filter import SourceFilter, SourceFilterConfig
from models.wavenet import WaveNet, WaveNetConfig

__all__ = [
    "AttentionTts",
    "AttentionTtsConfig",
    "ClipDiscriminator",
    "ClipDiscriminatorConfig",
    "CtcRecognizer",
    "CtcRecognizerConfig",
    "DenseNet",
    "DenseSynthesis",
    "DenseSynthesisConfig",
    "DiscriminatorConfig",
    "Discriminators",
    "FrameDiscriminator",
    "FrameDiscriminatorConfig",
    "FrameGan",
    "FrameGanConfig",
    "HmmRecognizer",
    "HmmRecognizerConfig",
    "HybridRecognizer",
    "HybridRecognizerConfig",
    "ParallelTts",
    "ParallelTtsConfig",
    "RnnRecognizer",
    "RnnRecognizerConfig",
    "SourceFilter",
    "SourceFilterConfig",
    "WaveNet",
    "WaveNetConfig",
]
