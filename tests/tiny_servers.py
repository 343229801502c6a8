"""Untrained models of every kind that are small and quick to build, with limits."""

import dataclasses
import io

import numpy as np
import soundfile
import tensorflow as tf

from models import (
    AttentionTts,
    AttentionTtsConfig,
    DenseSynthesis,
    DenseSynthesisConfig,
    RnnRecognizer,
    RnnRecognizerConfig,
)
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.features import FeatureConfig
from tfspeech.serving.client.transport import Signature, StatusError
from tfspeech.serving.graph import guarded
from tfspeech.tasks.attention_tts.task import (
    AttentionSynthesis,
    AttentionSynthesisConfig,
)
from tfspeech.tasks.parallel_tts.config import ParallelSynthesisConfig, target_values
from tfspeech.tasks.parallel_tts.task import ParallelSynthesis
from tfspeech.tasks.word_recognition.task import RecognitionConfig, WordRecognition
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.text.linguistic import LinguisticConfig

LABELS = ("high", "low", "middle")
RATE_HZ = 8000


def served(task, **limits):
    """The signatures of a task as they are exported, with some limits changed."""
    task.limits = dataclasses.replace(task.limits, **limits)
    functions = {**task.server().signatures, "limits": task.limits.signature()}
    return {name: guarded(each, task.limits) for name, each in functions.items()}


class Local:
    """A connection to the signatures of a model that is here."""

    def __init__(self, functions):
        self.functions = functions

    def signatures(self, timeout_s):
        found = {}
        for name, function in self.functions.items():
            _, inputs = function.structured_input_signature
            types = [
                {key: spec.dtype for key, spec in specs.items()}
                for specs in (inputs, function.structured_outputs)
            ]
            found[name] = Signature(name, *types)
        return found

    def predict(self, signature, inputs, outputs, timeout_s):
        given = {key: tf.constant(value) for key, value in inputs.items()}
        try:
            answer = self.functions[signature.name](**given)
        except tf.errors.InvalidArgumentError as error:
            raise StatusError("INVALID_ARGUMENT", error.message) from error
        return {name: _as_answer(answer[name].numpy()) for name in outputs}

    def close(self):
        pass


def _as_answer(array):
    decode = np.vectorize(bytes.decode, otypes=[object])
    return decode(array) if array.dtype == object else array


def recognition():
    features = FeatureConfig(sample_rate_hz=RATE_HZ)
    architecture = RnnRecognizerConfig(units=4, conv_filters=4)
    model = RnnRecognizer(architecture, features.feature_dim, len(LABELS))
    return WordRecognition(model, RecognitionConfig(), features, LABELS)


def attention(stop_bias):
    """A synthesiser that stops at once with a high bias, never with a low one."""
    front_end = TextFrontEnd()
    features = AcousticConfig(sample_rate_hz=RATE_HZ, num_mels=16, hop_length_ms=12.5)
    architecture = AttentionTtsConfig(
        encoder="lstm", encoder_layers=1, encoder_units=8, attention_units=8,
        decoder_units=8, prenet_units=8,
    )  # fmt: skip
    model = AttentionTts(architecture, len(front_end.symbols), features.frame_dim)
    (bias,) = (v for v in model.variables if v.path.endswith("decoder/output/bias"))
    bias.assign(np.append(bias.numpy()[:-1], stop_bias))
    config = AttentionSynthesisConfig(vocoder="griffin_lim(2)")
    return AttentionSynthesis(model, config, features, front_end)


def dense(frames_per_phoneme):
    """A synthesiser whose phonemes are all about as long."""
    features = AcousticConfig(
        sample_rate_hz=RATE_HZ, num_mels=16, lpc_order=8, pitch=True, hop_length_ms=12.5
    )
    config, linguistic = ParallelSynthesisConfig(), LinguisticConfig(linguistic_dim=90)
    targets = target_values(config, features)
    architecture = DenseSynthesisConfig(hidden_units=(8,), duration_units=(8,))
    target_dim = 2 * (targets.stop - targets.start)  # With their differences.
    model = DenseSynthesis(architecture, linguistic.linguistic_dim, target_dim)
    mean, std = np.log1p(frames_per_phoneme), 1e-3
    model.duration_normalization.set_statistics(np.array([mean]), np.array([std]))
    front_end = TextFrontEnd(TextConfig("phonemes"))
    return ParallelSynthesis(
        *(model, config, features, linguistic, front_end), lambda: ["the red box."]
    )


def wav(samples, rate_hz=RATE_HZ, subtype="PCM_16"):
    """A wav file whose header may state any rate."""
    contents = io.BytesIO()
    soundfile.write(contents, samples, 8000, format="WAV", subtype=subtype)
    data = bytearray(contents.getvalue())
    start = data.index(b"fmt ") + 12
    data[start : start + 4] = rate_hz.to_bytes(4, "little")
    return bytes(data)
