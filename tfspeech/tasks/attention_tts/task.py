"""Synthesis of speech from text by attention: loss, speaking, scores."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.config import check_choices, option
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import VOCODERS, Vocoder
from tfspeech.data.batches import BatchPlan
from tfspeech.data.pipeline import Batch, feature_statistics
from tfspeech.strategies import build_spec
from tfspeech.tasks.attention_tts.data import TAIL_STEPS, SynthesisData
from tfspeech.tasks.attention_tts.evaluation import evaluate_synthesis
from tfspeech.tasks.attention_tts.losses import guided_attention_loss, stop_loss
from tfspeech.tasks.attention_tts.server import SynthesisServer
from tfspeech.tasks.speech.scores import (
    alignment_path,
    attention_scores,
    mel_cepstral_distortion,
)
from tfspeech.tasks.speech.task import SpeechTask
from tfspeech.text.front_end import TextFrontEnd

FRAME_LOSSES = {"l1": (1.0, 0.0), "l2": (0.0, 1.0), "l1_l2": (1.0, 1.0)}
"""Name -> what the absolute and the squared error count."""

STATISTICS_UTTERANCES = 2000


@dataclasses.dataclass(frozen=True)
class SynthesisConfig:
    """Synthesis."""

    frame_loss: str = option(
        "l1_l2", "error of the frames, in standard deviations", choices=FRAME_LOSSES
    )
    stop_weight: float = option(0.2, "weight of the stop token's cross-entropy")
    guide_weight: float = option(1.0, "weight of the guided attention loss")
    guide_width: float = option(
        0.2, "how far attention may be from the diagonal, as a share of the text"
    )
    vocoder: str = option(
        "griffin_lim()", f"{' or '.join(VOCODERS)}, with arguments", metavar="SPEC"
    )
    frames_per_symbol: float = option(
        30.0, "longest speech: where free synthesis is cut off", unit="frames"
    )
    validation_sentences: int = option(32, "sentences spoken at every validation")

    def __post_init__(self) -> None:
        check_choices(self)
        for name, valid, wanted in (
            ("stop_weight", self.stop_weight >= 0, "0 or more"),
            ("guide_weight", self.guide_weight >= 0, "0 or more"),
            ("guide_width", self.guide_width > 0, "above 0"),
            ("frames_per_symbol", self.frames_per_symbol > 0, "above 0"),
            ("validation_sentences", self.validation_sentences > 0, "at least 1"),
        ):
            if not valid:
                raise ValueError(
                    f"{name} must be {wanted}. Received: {getattr(self, name)}"
                )


@dataclasses.dataclass(frozen=True)
class Speech:
    """One utterance as it was synthesised.

    Attributes:
        frames: Log-mels and what follows them, float32 [frames, frame_dim].
        alignment: Weights, float32 [decoder steps, symbols].
        stopped: Whether the model itself found the end.
    """

    frames: np.ndarray
    alignment: np.ndarray
    stopped: bool


class Synthesis(SpeechTask):
    """What a synthesiser with attention is trained for.

    Args of the constructor:
        model: Symbols to `frames`.
        config: Of the task.
        features: The frames that the model was built for.
        front_end: What reads texts.

    Attributes:
        monitor: The score by which models are chosen.
        higher_is_better: Whether more of it is better.
        vocoder: From frames to waveforms.
    """

    monitor = "mcd_db"
    higher_is_better = False

    def __init__(
        self,
        model: keras.Model,
        config: SynthesisConfig,
        features: AcousticConfig,
        front_end: TextFrontEnd,
    ) -> None:
        vocoder = build_spec(config.vocoder, vocoders(features), "vocoder")
        super().__init__(model, vocoder, features, front_end)
        self._config = config

    @property
    def reduction_factor(self) -> int:
        """Frames per decoder step."""
        return self.model.config.reduction_factor

    def loss(self, outputs: dict[str, tf.Tensor], batch: Batch) -> tf.Tensor:
        """The weighted sum of all losses, a scalar, as means over frames.

        That of the frames is the mean error before the postnet plus that after it. See
        `stop_loss` and `guided_attention_loss` for the others.
        """
        config = self._config
        total = self._frame_loss(outputs["frames"], batch)
        if self.model.postnet is not None:
            total += self._frame_loss(outputs["frames_refined"], batch)
        steps = batch["frame_lengths"] // self.reduction_factor
        if config.stop_weight:
            total += config.stop_weight * stop_loss(outputs["stop_logits"], steps)
        if config.guide_weight:
            total += config.guide_weight * guided_attention_loss(
                outputs["alignment"], steps, batch["symbol_lengths"], config.guide_width
            )
        return total

    def _frame_loss(self, frames: tf.Tensor, batch: Batch) -> tf.Tensor:
        absolute, squared = FRAME_LOSSES[self._config.frame_loss]
        # Both are 0 beyond the lengths.
        error = (frames - batch["frames"]) / self.model.normalization.std
        errors = absolute * tf.abs(error) + squared * tf.square(error)
        return tf.reduce_sum(tf.reduce_mean(errors, 2)) / self.weight(batch)

    def speak(self, texts: Sequence[str]) -> list[Speech]:
        """Speaks texts freely, as one batch.

        Raises:
            TextError: A text has a symbol that is unknown, or none at all.
        """
        encoded = [self.front_end.encode(text) for text in texts]
        lengths = np.array([len(symbols) for symbols in encoded], np.int32)
        symbols = np.zeros((len(encoded), lengths.max()), np.int32)
        for row, each in enumerate(encoded):
            symbols[row, : len(each)] = each
        spoken = self.synthesize(tf.constant(symbols), tf.constant(lengths))
        frames, frame_lengths, alignment, stopped = (
            spoken[name].numpy()
            for name in ("frames", "frame_lengths", "alignment", "stopped")
        )
        return [
            Speech(
                frames[row, :count],
                alignment[row, : count // self.reduction_factor, : lengths[row]],
                bool(stopped[row]),
            )
            for row, count in enumerate(frame_lengths)
        ]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None], tf.int32),
        ]
    )
    def synthesize(
        self, symbols: tf.Tensor, lengths: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Speaks symbols freely; see `AttentionTts.synthesize`.

        Args:
            symbols: int32 [batch, symbols].
            lengths: int32 [batch].
        """
        longest = tf.cast(lengths, tf.float32) * self._config.frames_per_symbol
        return self.model.synthesize(symbols, lengths, tf.cast(longest, tf.int32))

    def attention(
        self, texts: Sequence[str], speech: Sequence[Speech]
    ) -> dict[str, Any]:
        """Scores how some utterances attended to their texts.

        Returns:
            The means of `attention_scores`, with lost words as shares of all words,
            and `stopped`, the share that stopped by itself.
        """
        words = [self.front_end.words(text) for text in texts]
        each = [
            attention_scores(s.alignment, w) for s, w in zip(speech, words, strict=True)
        ]
        count = sum(int(w.max()) + 1 for w in words)
        return {
            "stopped": float(np.mean([s.stopped for s in speech])),
            **{
                name: float(np.mean([scores[name] for scores in each]))
                for name in ("focus", "diagonality", "monotonic_coverage")
            },
            **{
                name: sum(scores[name] for scores in each) / count
                for name in ("skipped_words", "repeated_words")
            },
        }

    def evaluate_split(self, data: SynthesisData, split: str) -> dict[str, Any]:
        """Scores the model on one split of a corpus; see `evaluate_synthesis`.

        Raises:
            CorpusError: The split is empty.
        """
        return evaluate_synthesis(self, data, data.corpus.indices(split))

    def server(self) -> SynthesisServer:
        """The module that is exported."""
        return SynthesisServer(
            self.model, self.synthesize, self.vocoder, self.front_end, self.features
        )


class SynthesisTraining:
    """The data of a training run, in the form in which its loop asks for them.

    Args of the constructor:
        synthesis: The model and its task.
        data: Of the run.
        batch_size: Utterances per batch.
        batches_per_step: Batches that one step takes.
        seed: Of the order of the data.
        validation_sentences: How many sentences every validation speaks.

    Raises:
        CorpusError: There is no training or no validation split.
    """

    def __init__(
        self,
        synthesis: Synthesis,
        data: SynthesisData,
        batch_size: int,
        batches_per_step: int,
        seed: int,
        validation_sentences: int,
    ) -> None:
        self._synthesis = synthesis
        self._data = data
        self._batches_per_step = batches_per_step
        self._train = data.corpus.indices("train")
        self._plan = BatchPlan(
            data.store.lengths[self._train], batch_size, batches_per_step, seed
        )
        steps = synthesis.reduction_factor
        validation = data.corpus.indices("validation")
        self._validation = data.batches(validation, steps, tail=TAIL_STEPS).cache()
        spread = np.linspace(0, len(validation) - 1, validation_sentences)
        spoken = validation[np.unique(spread.astype(int))]
        self.spoken_texts = data.texts(spoken)
        self.spoken_frames = utterance_frames(data, spoken)
        self._spoken = spoken

    @property
    def examples(self) -> int:
        """Utterances of the training set."""
        return len(self._train)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every utterance of the corpus comes at least once."""
        return self._plan.batches_per_epoch // self._batches_per_step

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Endless batches, from those of step `first_step` on."""
        return self._data.batches(
            self._train,
            self._synthesis.reduction_factor,
            tail=TAIL_STEPS,
            plan=self._plan,
            first_batch=first_step * self._batches_per_step,
        )

    def recording(self, number: int) -> np.ndarray:
        """The waveform, float32 [samples], of one of the texts that are spoken."""
        return self._data.store[self._spoken[number]]

    def validate(self) -> dict[str, Any]:
        """Loss under teacher forcing, and scores of sentences that are spoken freely.

        `mcd_db` is measured on the predicted frames themselves, without a vocoder.
        """
        task = self._synthesis
        self.speech = task.speak(self.spoken_texts)
        mels = task.features.num_mels
        distortions = []
        for true, speech in zip(self.spoken_frames, self.speech, strict=True):
            pair = true[:, :mels], speech.frames[:, :mels]
            distortions.append(mel_cepstral_distortion(*pair, alignment_path(*pair)))
        return {
            "loss": task.mean_loss(self._validation),
            "mcd_db": float(np.mean(distortions)),
            **task.attention(self.spoken_texts, self.speech),
        }

    def set_statistics(self) -> None:
        """Has the model normalise by the training utterances."""
        shuffled = np.random.default_rng(0).permutation(self._train)
        chosen = np.sort(shuffled[:STATISTICS_UTTERANCES])
        batches = self._data.batches(chosen, self._synthesis.reduction_factor)
        statistics = feature_statistics(batches, "frames", "frame_lengths")
        self._synthesis.model.normalization.set_statistics(*statistics)


def utterance_frames(data: SynthesisData, indices: np.ndarray) -> list[np.ndarray]:
    """The frames of recordings, each float32 [frames, frame_dim], in their order."""
    frames: list[np.ndarray] = [np.empty(0)] * len(indices)
    for batch in data.batches(indices, 1).as_numpy_iterator():
        for row, each, length in zip(
            batch["rows"], batch["frames"], batch["frame_lengths"], strict=True
        ):
            frames[row] = each[:length]
    return frames


def vocoders(features: AcousticConfig) -> dict[str, Callable[..., Vocoder]]:
    """What builds vocoders for these frames, by name."""
    return {name: functools.partial(v, features) for name, v in VOCODERS.items()}
