"""How the models of every kind are built, fed and trained in tests."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from models.ctc import ctc_losses
from models.frame_gan import FrameGanConfig
from models.layers.mu_law import LEVELS, mu_law_classes
from tfspeech.tasks.attention_tts.run import AttentionTtsRun
from tfspeech.tasks.generation.run import GenerationRun
from tfspeech.tasks.parallel_tts.run import DenseSynthesisRun, ParallelTtsRun
from tfspeech.tasks.speech_recognition.run import (
    HmmRecognitionRun,
    HybridRecognitionRun,
    SpeechRecognitionRun,
)
from tfspeech.tasks.vocoding.run import (
    AdversarialVocodingRun,
    VocodingRun,
    WaveNetRun,
)
from tfspeech.tasks.word_recognition.run import WordRecognitionRun

DIM, CHOICES = 13, 5


def recognition_batch(size, length, rng):
    return {
        "features": rng.normal(size=(size, length, DIM)).astype(np.float32),
        "lengths": rng.integers(1, length + 1, size).astype(np.int32),
        "targets": rng.integers(0, CHOICES, size).astype(np.int32),
    }


def recognition_loss(outputs, batch):
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        batch["targets"], outputs["logits"]
    )
    return tf.reduce_mean(losses)


def transcription_batch(size, length, rng):
    frames = -(-length // 4)  # As the default convolutions leave them.
    return recognition_batch(size, length, rng) | {
        "targets": rng.integers(0, CHOICES - 1, (size, 2)).astype(np.int32),
        "classes": rng.integers(0, CHOICES, (size, frames)).astype(np.int32),
    }


def transcription_loss(outputs, batch):
    counts = tf.fill([tf.shape(batch["targets"])[0]], 2)
    losses, fits = ctc_losses(
        outputs["logits"], outputs["logit_lengths"], batch["targets"], counts
    )
    return tf.reduce_sum(losses) / tf.reduce_sum(tf.cast(fits, tf.float32))


def states_batch(size, length, rng):
    frames = -(-length // 2)  # As the default convolutions leave them.
    return recognition_batch(size, length, rng) | {
        "targets": rng.integers(0, CHOICES, (size, frames)).astype(np.int32)
    }


def states_loss(outputs, batch):
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        batch["targets"], outputs["logits"]
    )
    inside = tf.sequence_mask(outputs["logit_lengths"], tf.shape(losses)[1])
    return tf.reduce_mean(tf.boolean_mask(losses, inside))


def synthesis_batch(size, length, rng):
    lengths = rng.integers(1, length + 1, size).astype(np.int32)
    frames = rng.normal(size=(size, length, DIM)).astype(np.float32)
    return {
        "symbols": rng.integers(1, CHOICES, (size, length)).astype(np.int32),
        "symbol_lengths": rng.integers(1, length + 1, size).astype(np.int32),
        "frames": frames * (np.arange(length) < lengths[:, None])[..., None],
        "frame_lengths": lengths,
    }


def synthesis_loss(outputs, batch):
    mask = tf.sequence_mask(batch["frame_lengths"], tf.shape(batch["frames"])[1])
    errors = tf.abs(outputs["frames_refined"] - batch["frames"])
    stop = tf.square(outputs["stop_logits"])
    return tf.reduce_mean(tf.boolean_mask(errors, mask)) + 0.01 * tf.reduce_mean(stop)


def dense_batch(size, length, rng):
    batch = {}
    for name, target, dims in (
        ("frame", "frames", [CHOICES]),
        ("segment", "log_durations", []),
    ):
        lengths = rng.integers(1, length + 1, size).astype(np.int32)
        inside = np.arange(length) < lengths[:, None]
        features = rng.normal(size=(size, length, DIM)) * inside[..., None]
        targets = rng.uniform(-1, 1, (size, length, *dims))
        batch |= {
            f"{name}_features": features.astype(np.float32),
            f"{name}_lengths": lengths,
            target: (targets.T * inside.T).T.astype(np.float32),
        }
    return batch


def dense_loss(outputs, batch):
    return sum(
        tf.reduce_mean(tf.square(outputs[name] - batch[name]))
        for name in ("frames", "log_durations")
    )


def parallel_batch(size, length, rng):
    """Segments of 0 to 3 frames, in as many frames as the longest has."""
    lengths = rng.integers(1, length + 1, size).astype(np.int32)
    inside = np.arange(length) < lengths[:, None]
    durations = rng.integers(0, 4, (size, length)).astype(np.int32) * inside
    durations[:, 0] += 1
    frame_lengths = durations.sum(1).astype(np.int32)
    frames = np.arange(frame_lengths.max())
    valid = frames < frame_lengths[:, None]
    places = (durations.cumsum(1)[:, None, :] <= frames[:, None]).sum(2) * valid

    def normal(mask, *dims):
        return (rng.normal(size=(*mask.shape, *dims)).T * mask.T).T.astype(np.float32)

    return {
        "segments": rng.integers(1, CHOICES, (size, length)).astype(np.int32) * inside,
        "segment_features": normal(inside, DIM),
        "segment_lengths": lengths,
        "durations": durations,
        "log_durations": np.log1p(durations).astype(np.float32),
        "prosody": normal(inside, 2),
        "frame_segments": places.astype(np.int32),
        "frames": normal(valid, CHOICES),
        "frame_lengths": frame_lengths,
    }


def parallel_loss(outputs, batch):
    prosody = tf.reduce_mean(tf.square(outputs["prosody"] - batch["prosody"]))
    return dense_loss(outputs, batch) + prosody


def vocoding_batch(size, length, rng):
    lengths = rng.integers(1, length + 1, size).astype(np.int32)
    sources = rng.normal(size=(2, size, length, CHOICES)).astype(np.float32)
    inside = (np.arange(length) < lengths[:, None] - 1)[..., None]
    return {
        "frames": rng.normal(size=(size, length, DIM)).astype(np.float32),
        "frame_lengths": lengths,
        "pulses": sources[0],
        "noise": sources[1],
        "waveform": 0.5 * sources[0] * inside,
    }


def vocoding_loss(outputs, batch):
    return tf.reduce_mean(tf.abs(outputs["waveform"] - batch["waveform"]))


def wavenet_batch(size, length, rng):
    batch = vocoding_batch(size, length, rng)
    names = ("frames", "frame_lengths", "waveform")
    inside = (
        np.arange(CHOICES * length) < CHOICES * (batch["frame_lengths"] - 1)[:, None]
    )
    classes = mu_law_classes(batch["waveform"].reshape(size, -1)).numpy()
    return {**{name: batch[name] for name in names}, "classes": classes * inside}


def wavenet_loss(outputs, batch):
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(
            batch["classes"], outputs["logits"]
        )
    )


def generation_batch(size, length, rng):
    """Windows, which are of one length."""
    config = FrameGanConfig()
    return {
        "latent": rng.normal(size=(size, config.latent_dim)).astype(np.float32),
        "frames": rng.normal(size=(size, config.window_frames, CHOICES)).astype("f4"),
        "inside": np.ones((size, config.window_frames), np.float32),
    }


def generation_loss(outputs, batch):
    return sum(
        tf.reduce_mean(tf.square(outputs[name] - batch[name]))
        for name in ("frames", "inside")
    )


@dataclasses.dataclass(frozen=True)
class Kind:
    """How models of a kind are built and fed.

    `keras_losses` has those of `fit`: output -> its target in a batch, and its loss,
    with the `learning_rate`; `options` make large models smaller, and `fixed` are the
    inputs without a length.
    """

    sizes: tuple[int, ...]
    batch: Callable
    loss: Callable
    output: str
    dim: int
    learns_to: float
    keras_losses: dict[str, tuple[str, object]]
    options: dict[str, int] = dataclasses.field(default_factory=dict)
    learning_rate: float = 3e-3
    fixed: tuple[str, ...] = ()


VOCODING = Kind(
    *((DIM, CHOICES), vocoding_batch, vocoding_loss, "waveform", CHOICES, 0.5),
    {"waveform": ("waveform", "mean_absolute_error")},
)
STATES = Kind(
    *((DIM, CHOICES), states_batch, states_loss, "logits", CHOICES, 0.5),
    {
        "logits": (
            "targets",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    },
)
KINDS = {
    WordRecognitionRun: Kind(
        *((DIM, CHOICES), recognition_batch, recognition_loss, "logits", CHOICES, 0.3),
        {
            "logits": (
                "targets",
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
        },
    ),
    SpeechRecognitionRun: Kind(
        *((DIM, CHOICES - 1), transcription_batch, transcription_loss),
        *("logits", CHOICES, 0.5),
        {
            "logits": (
                "classes",
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
        },
    ),
    HybridRecognitionRun: STATES,
    # Its random Gaussians, which no Baum-Welch has trained, are slow to move.
    HmmRecognitionRun: dataclasses.replace(STATES, learns_to=0.7, learning_rate=0.1),
    DenseSynthesisRun: Kind(
        *((DIM, CHOICES), dense_batch, dense_loss, "frames", CHOICES, 0.7),
        {name: (name, "mean_squared_error") for name in ("frames", "log_durations")},
    ),
    ParallelTtsRun: Kind(
        *((CHOICES, DIM, CHOICES), parallel_batch, parallel_loss, "frames"),
        *(CHOICES, 0.7),
        {
            name: (name, "mean_squared_error")
            for name in ("frames", "log_durations", "prosody")
        },
        {"units": 64, "encoder_layers": 2, "attention_layers": 1, "body_layers": 2},
    ),
    AttentionTtsRun: Kind(
        *((CHOICES, DIM), synthesis_batch, synthesis_loss, "frames_refined", DIM, 0.9),
        {"frames_refined": ("frames", "mean_absolute_error")},
    ),
    GenerationRun: Kind(
        *((CHOICES,), generation_batch, generation_loss, "frames", CHOICES, 0.7),
        {name: (name, "mean_squared_error") for name in ("frames", "inside")},
        fixed=("latent",),
    ),
    VocodingRun: VOCODING,
    AdversarialVocodingRun: VOCODING,
    WaveNetRun: Kind(
        *((DIM, CHOICES), wavenet_batch, wavenet_loss, "logits", LEVELS, 0.9),
        {
            "logits": (
                "classes",
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
        },
        {"dilations": 5},
    ),
}
