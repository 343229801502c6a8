"""Unconditional generation of isolated words: losses, drawing and scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.config import Options, between, option
from models.layers.random import normal
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import LpcSynthesis, Vocoder
from tfspeech.data.pipeline import Batch
from tfspeech.errors import CorpusError, SpecError
from tfspeech.tasks.adversarial import LOSSES, DiscriminatorTraining
from tfspeech.tasks.conditions import SEED, TEMPERATURE
from tfspeech.tasks.generation.data import EVALUATION_BATCH_SIZE, Windows
from tfspeech.tasks.generation.scores import (
    coarse_shapes,
    frechet_distance,
    nearest_distances,
    word_scores,
)
from tfspeech.tasks.generation.server import GenerationServer
from tfspeech.tasks.speech.data import RecordingData
from tfspeech.tasks.speech.task import compiled_vocoder, vocode
from tfspeech.tasks.task import GroupSpec, Listener, Task
from tfspeech.training.callbacks import Monitor
from tfspeech.training.config import OptimizationConfig
from tfspeech.training.step import Losses

SHORTEST_FRAMES = 2
"""Frames of the shortest clip: one alone is between no samples."""


@dataclasses.dataclass(frozen=True)
class GenerationConfig(Options):
    """Generation."""

    gradient_penalty: float = option(
        0.0,
        "weight of the squared gradient of the discriminator's scores of recordings "
        "(R1), 0 for none",
    )
    clips: int = option(
        500,
        "clips that validations and evaluations draw",
        between(2, 10_000),
    )


class WordGeneration(Task):
    """Generation of words by a network that a discriminator teaches.

    I. Goodfellow et al., "Generative Adversarial Nets", 2014: the discriminator learns
    to tell recordings from what the generator makes of noise, and the generator learns
    to be taken for them. Neither knows which word a recording is of.

    Args of the constructor:
        model: Noise to normalised frames; see `FrameGan`.
        discriminator: Of these; see `ClipDiscriminator`.
        config: Of the task.
        adversary: Of the discriminator.
        features: The frames, with a sample rate.
        settings: How the discriminator is moved.

    Attributes:
        features: The frames.
        vocoder: From frames to waveforms, compiled.
        vocoder_variables: Of the vocoder's model, if it has one.
        recognizer: Says in evaluations which words it hears; None for none.
    """

    generates = True
    conditions = (dataclasses.replace(TEMPERATURE, default=1.0), SEED)
    monitor = Monitor("frechet", higher_is_better=False)
    recognizer: Listener | None = None

    def __init__(
        self,
        model: keras.Model,
        discriminator: keras.Model,
        config: GenerationConfig,
        adversary: DiscriminatorTraining,
        features: AcousticConfig,
        settings: OptimizationConfig,
    ) -> None:
        super().__init__(model=model, discriminator=discriminator)
        self.model = model
        self.discriminator = discriminator
        self.features = features
        self._config = config
        self._loss = LOSSES[adversary.adversarial_loss]
        self.groups = {
            "discriminator": GroupSpec(("discriminator",), settings),
            "model": GroupSpec(("model",)),
        }
        self.set_vocoder(LpcSynthesis(features))
        specs = [tf.TensorSpec([None], tf.int64), tf.TensorSpec([None])]
        self._generate = tf.function(self.generate, specs)
        self._terms = tf.function(self._measured_terms, reduce_retracing=True)

    def set_vocoder(
        self, vocoder: Vocoder, variables: Sequence[keras.Variable] = ()
    ) -> None:
        """Has another vocoder make the waveforms; see `SpeechTask.set_vocoder`."""
        self.vocoder = compiled_vocoder(vocoder, self.features)
        self.vocoder_variables = tuple(variables)

    @property
    def predicted(self) -> slice:
        """Which of the values of a frame the model predicts; the others are 0."""
        return slice(self.features.num_mels, self.features.frame_dim)

    def losses(self, group: str, batch: Batch, training: bool = True) -> Losses:
        """The terms of a group's loss, means over a batch.

        Those of the discriminator are `real`, `fake` and, if wanted, `gradient`, with
        the share of clips that it tells, `accuracy`, which has no weight. The generator
        has `adversarial`.
        """
        latent = self._latent(batch["seeds"], f"{group}/latent")
        made = self.model({"latent": latent}, training=training)
        if group == "model":
            score = self.discriminator(made, training=training)["score"]
            return Losses({"adversarial": tf.reduce_mean(self._loss.taken(score))})
        made = tf.nest.map_structure(tf.stop_gradient, made)
        fake = self.discriminator(made, training=training)["score"]
        frames = self.model.normalization(batch["frames"])
        inside = tf.sequence_mask(
            batch["frame_lengths"], frames.shape[1], dtype=tf.float32
        )
        with tf.GradientTape() as tape:
            tape.watch(frames)
            recordings = {"frames": frames, "inside": inside}
            real = self.discriminator(recordings, training=training)["score"]
            total = tf.reduce_sum(real)
        terms = {
            "real": tf.reduce_mean(self._loss.real(real)),
            "fake": tf.reduce_mean(self._loss.fake(fake)),
            "accuracy": _accuracy(real, fake),
        }
        weights = {"accuracy": 0.0}
        if self._config.gradient_penalty:
            # L. Mescheder, A. Geiger, S. Nowozin, "Which Training Methods for GANs do
            # actually Converge?", 2018.
            squares = tf.square(tape.gradient(total, frames))
            terms["gradient"] = tf.reduce_mean(tf.reduce_sum(squares, axis=[1, 2]))
            weights["gradient"] = self._config.gradient_penalty
        return Losses(terms, weights)

    def weight(self, batch: Batch) -> tf.Tensor:
        """The clips of a batch, a float32 scalar."""
        return tf.cast(tf.shape(batch["seeds"])[0], tf.float32)

    def _latent(self, seeds: tf.Tensor, name: str = "latent") -> tf.Tensor:
        """Noise of rows, float32 [batch, latent_dim]."""
        return normal(seeds, [self.model.config.latent_dim], name)

    def generate(
        self, seeds: tf.Tensor, temperature: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes the frames of clips, each by its own seed.

        Args:
            seeds: int64 [batch].
            temperature: Factor of the noise, float32 [batch].

        Returns:
            As of `acoustic_frames`: float32 [batch, window_frames, frame_dim], 0 beyond
            the valid ones, and the number of these, int32 [batch].
        """
        latent = self._latent(seeds) * temperature[:, tf.newaxis]
        made = self.model({"latent": latent})
        frames = self.model.normalization(made["frames"], invert=True)
        within = tf.cast(made["inside"] >= 0.5, tf.int32)
        lengths = tf.reduce_sum(tf.math.cumprod(within, axis=1), axis=1)
        lengths = tf.maximum(lengths, SHORTEST_FRAMES)
        valid = tf.sequence_mask(lengths, frames.shape[1])[:, :, tf.newaxis]
        before = [[0, 0], [0, 0], [self.predicted.start, 0]]
        return tf.pad(tf.where(valid, frames, 0.0), before), lengths

    def draw_frames(
        self, count: int, seed: float = 0, temperature: float = 1.0
    ) -> list[np.ndarray]:
        """Makes the frames of clips, each [frames, frame_dim]; see `draw`."""
        if count < 1:
            raise SpecError(f"count must be at least 1. Received: {count}")
        for condition, value in (
            (TEMPERATURE, temperature),
            (SEED, seed),
            (SEED, seed + count - 1),
        ):
            condition.check(value)
        clips: list[np.ndarray] = []
        for start in range(0, count, EVALUATION_BATCH_SIZE):
            stop = min(start + EVALUATION_BATCH_SIZE, count)
            seeds = int(seed) + tf.range(start, stop, dtype=tf.int64)
            factors = tf.fill([stop - start], float(temperature))
            frames, lengths = self._generate(seeds, factors)
            rows = zip(frames.numpy(), lengths.numpy(), strict=True)
            clips += [row[:length] for row, length in rows]
        return clips

    def draw(
        self, count: int, seed: float = 0, temperature: float = 1.0
    ) -> list[np.ndarray]:
        """Makes clips, each float32 [samples].

        Args:
            count: How many.
            seed: Of the first one, a whole number; the next has the next, and so on.
            temperature: Factor of the noise; below 1 clips are more alike.

        Raises:
            SpecError: The number, a seed or the temperature is out of range.
        """
        return self.waveforms(self.draw_frames(count, seed, temperature))

    def waveforms(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Makes waveforms, each float32 [samples], of frames [frames, frame_dim]."""
        starts = range(0, len(clips), EVALUATION_BATCH_SIZE)
        batches = (clips[start : start + EVALUATION_BATCH_SIZE] for start in starts)
        return [w for batch in batches for w in vocode(self.vocoder, batch)]

    def windows(self, data: RecordingData, indices: np.ndarray) -> Windows:
        """Prepares the recordings at some places for training or evaluation.

        Raises:
            CorpusError: There is only one, or most are longer than the window, or the
                cache cannot be written.
        """
        if len(indices) < 2:
            raise CorpusError(
                f"{data.corpus.name} has a split of one recording: distances between "
                "recordings and clips need two at least"
            )
        size = self.model.config.window_frames
        window_s = (size - 1) * self.features.hop_length / self.features.sample_rate_hz
        median_s = float(np.median(data.store.measurements["seconds"][indices]))
        if median_s > window_s:
            raise CorpusError(
                f"most recordings of {data.corpus.name} are longer than a clip of "
                f"{window_s:.2f} s, beyond which they are cut off, their median is "
                f"{median_s:.2f} s: choose a corpus of isolated words, or give more "
                "--first-frames"
            )
        return Windows(data, indices, size, self.predicted)

    def contours(self, clips: Sequence[np.ndarray]) -> np.ndarray:
        """Brings clips to a common form in which they are compared.

        Args:
            clips: Of each its frames, [frames, frame_dim].

        Returns:
            float32 [clips, window_frames, values]: what of a frame the model predicts,
            in standard deviations from the mean of the training set, and 1; all of it 0
            beyond the end of a clip.
        """
        normalization = self.model.normalization
        mean, std = normalization.mean.numpy(), normalization.std.numpy()
        shape = len(clips), self.model.config.window_frames, len(mean) + 1
        contours = np.zeros(shape, np.float32)
        for contour, clip in zip(contours, clips, strict=True):
            contour[: len(clip), :-1] = (clip[:, self.predicted] - mean) / std
            contour[: len(clip), -1] = 1.0
        return contours

    def measure(self, windows: Windows) -> dict[str, float]:
        """Compares clips with recordings, without a recogniser.

        Args:
            windows: The recordings.

        Returns:
            `loss`, what the generator minimises; `discriminator_accuracy`, the share of
            clips and recordings that the discriminator tells; `frechet`, the Frechet
            distance of their coarse shapes: of each value of `contours` the first six
            coefficients of the cosine transform over time. It needs no trained network,
            and has to do with voices, sounds, their order and lengths.
        """
        loss = accuracy = 0.0
        for batch in windows.batches():
            found = [float(term) for term in self._terms(batch)]
            share = len(batch["frames"]) / len(windows)
            loss, accuracy = loss + share * found[0], accuracy + share * found[1]
        clips = self.draw_frames(self._config.clips)
        shapes = (
            coarse_shapes(self.contours(each)) for each in (clips, windows.clips())
        )
        return {
            "loss": loss,
            "discriminator_accuracy": accuracy,
            "frechet": frechet_distance(*shapes),
        }

    def _measured_terms(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """The generator's loss and the discriminator's accuracy on a batch."""
        told = self.losses("discriminator", batch, training=False)
        return self.losses("model", batch, training=False).total, told.terms["accuracy"]

    def evaluate_split(self, data: RecordingData, split: str) -> dict[str, Any]:
        """Compares clips with the recordings of one split of a corpus.

        Args:
            data: The corpus, with the recordings of the training.
            split: The split.

        Returns:
            `clips` and `recordings`, their numbers; the figures of `measure`, and
            `recording_frechet`, that distance of training recordings, as many as
            `clips`; `nearest`, the median over the clips of the root mean square
            difference of `contours` from those of the nearest training recording, and
            `recording_nearest`, that of the recordings of the split. With a
            `recognizer`, for each of `COLUMNS` the figures of `word_scores`, and
            `embedding_frechet`, the Frechet distance of its embeddings from those of
            the training recordings, of as many clips as the split has recordings.

        Raises:
            CorpusError: The split or the training split is empty.
        """
        indices, train = data.corpus.indices(split), data.corpus.indices("train")
        held_out = self.windows(data, indices)
        known = self.contours(self.windows(data, train).clips())
        clips = self.draw_frames(self._config.clips)
        subjects = {"": clips, "recording_": held_out.clips()}
        contours = {prefix: self.contours(each) for prefix, each in subjects.items()}
        chosen = np.unique(np.linspace(0, len(known) - 1, len(clips)).astype(int))
        shapes = coarse_shapes(known[chosen]), coarse_shapes(contours["recording_"])
        return {
            "clips": len(clips),
            "recordings": len(indices),
            **self.measure(held_out),
            "recording_frechet": frechet_distance(*shapes),
            **{
                f"{prefix}nearest": float(np.median(nearest_distances(each, known)))
                for prefix, each in contours.items()
            },
            **(self._heard(data, indices, train, subjects) if self.recognizer else {}),
        }

    def _heard(
        self,
        data: RecordingData,
        indices: np.ndarray,
        train: np.ndarray,
        frames: Mapping[str, Sequence[np.ndarray]],
    ) -> dict[str, Any]:
        """The scores of `evaluate_split` for which words are heard.

        Args:
            data: The corpus.
            indices: Places of the recordings.
            train: Places of the training recordings.
            frames: Of the clips and of the recordings, by their prefixes.
        """
        recognizer, rate_hz = self.recognizer, self.features.sample_rate_hz
        known = recognizer([data.store[i] for i in train], rate_hz).embeddings
        subjects = {
            "": self.waveforms(frames[""]),
            "recording_": [data.store[i] for i in indices],
            "vocoded_": self.waveforms(frames["recording_"]),
        }
        scores: dict[str, Any] = {}
        for prefix, clips in subjects.items():
            heard = recognizer(clips, rate_hz)
            found = word_scores(heard.probabilities, recognizer.labels)
            near = frechet_distance(heard.embeddings[: len(indices)], known)
            found["embedding_frechet"] = near
            scores |= {f"{prefix}{name}": value for name, value in found.items()}
        return scores

    def server(self) -> GenerationServer:
        """The module that is exported."""
        return GenerationServer(self)


def _accuracy(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """The share of scores on the right side of the middle between their means.

    Scores have no zero of their own under every loss.
    """
    middle = (tf.reduce_mean(real) + tf.reduce_mean(fake)) / 2.0
    right = tf.concat([real > middle, fake <= middle], axis=0)
    return tf.reduce_mean(tf.cast(right, tf.float32))
