"""Duration-based synthesis: durations, then frames, each from linguistic features."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models import DenseSynthesis, FrameDiscriminator, ParallelTts
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import VOCODERS
from tfspeech.data.pipeline import Batch
from tfspeech.errors import TextError
from tfspeech.tasks.parallel_tts.config import (
    VOCODER_OF,
    ParallelSynthesisConfig,
    target_values,
)
from tfspeech.tasks.parallel_tts.data import (
    ParallelTtsData,
    SpokenSentences,
    TimedUtterances,
)
from tfspeech.tasks.parallel_tts.losses import (
    AdversarialLoss,
    SynthesisLoss,
    latent_loss,
)
from tfspeech.tasks.parallel_tts.prediction import Prediction, conditions_of
from tfspeech.tasks.parallel_tts.server import ParallelTtsServer
from tfspeech.tasks.parallel_tts.statistics import (
    measure_stds,
    predicts_deltas,
    root_mean_square,
)
from tfspeech.tasks.speech.data import EVALUATION_BATCH_SIZE
from tfspeech.tasks.speech.evaluation import (
    OTHER_VOICE,
    Column,
    compare_with_recordings,
    comparison_table,
)
from tfspeech.tasks.speech.lite import LiteSpeech
from tfspeech.tasks.speech.phrases import Phrase, encode_phrases, spread_prosody
from tfspeech.tasks.speech.scores import frame_pairs
from tfspeech.tasks.speech.task import Speech, SpeechTask
from tfspeech.tasks.task import GroupSpec
from tfspeech.text.front_end import TextFrontEnd, pad_symbols
from tfspeech.text.linguistic import LinguisticConfig, encode_segments
from tfspeech.text.phonemes import PHONEMES
from tfspeech.training.callbacks import Monitor
from tfspeech.training.step import Losses

DISCRIMINATOR = "discriminator"
"""The discriminator among the models of the task, and its group."""

COLUMNS = {
    "aligned_": Column("true durations", frame_pairs),
    "": Column("own durations"),
    "vocoder_": Column("vocoder", frame_pairs),
    OTHER_VOICE: Column("other voice"),
}
"""Prefix of a score -> what it was measured on: the model with the durations of the
recording; the model with its own; the vocoder with the frames of the recording; and
another voice that reads the same text."""


class ParallelSynthesis(SpeechTask):
    """Duration-based speech synthesis.

    Args of the constructor:
        model: From segments to `log_durations` and `frames`, with differences where
            it predicts twice as many values as there are targets. Its `signature`
            names what it reads, and it has `predict_log_durations`, `predict_frames`,
            `set_statistics` and the normalizations of `DenseSynthesis`.
        config: Of the task.
        features: The frames, with a sample rate.
        linguistic: The features.
        front_end: What reads texts, as phonemes.
        read_texts: Returns the texts whose words an exported model is to know.
        discriminator: Of the first values of frames that are targets, for an
            adversarial loss; None for none.

    Attributes:
        targets: Which of the values of a frame are predicted.
        durations: Predicts durations; see `Prediction`.
        frames: Predicts frames; see `Prediction`.
        neutral: The conditions that change nothing, by name, each float32 [1, 1].
    """

    monitor = Monitor("aligned_mcd_db", higher_is_better=False)
    speaks_phrases = True

    def __init__(
        self,
        model: DenseSynthesis | ParallelTts,
        config: ParallelSynthesisConfig,
        features: AcousticConfig,
        linguistic: LinguisticConfig,
        front_end: TextFrontEnd,
        read_texts: Callable[[], Sequence[str]],
        discriminator: FrameDiscriminator | None = None,
    ) -> None:
        vocoder = VOCODERS[VOCODER_OF[config.target]](features)
        super().__init__(model, vocoder, features, front_end)
        self._adversary = None
        if discriminator is not None:
            self.models[DISCRIMINATOR] = discriminator
            self.groups[DISCRIMINATOR] = GroupSpec((DISCRIMINATOR,))
            self._adversary = AdversarialLoss(discriminator, model.normalization)
        self.conditions = conditions_of(model.signature, config.target)
        self.neutral = {c.name: tf.fill([1, 1], c.default) for c in self.conditions}
        self.config = config
        self.linguistic = linguistic
        self.targets = target_values(config, features)
        self._read_texts = read_texts
        self._is_phoneme = np.array([name in PHONEMES for name in front_end.symbols])
        self._deltas = predicts_deltas(model, self.targets)
        values = self.targets.stop - self.targets.start
        self._loss = SynthesisLoss(model, config, values, self._deltas)
        self._prediction = Prediction(
            *(model, config, features, linguistic.linguistic_dim, self._is_phoneme),
            self.conditions,
        )
        self.durations = self._prediction.durations
        self.frames = self._prediction.frames

    def losses(self, group: str, batch: Batch, training: bool = True) -> Losses:
        """The terms of the loss of the model, see `losses_of`, or the discriminator's.

        With a latent variable, the model has the term `kl`, too, in nats per frame;
        with a discriminator, the term `adversarial`.
        """
        count = self.weight(batch)
        if group == DISCRIMINATOR:
            predicted = self.model(batch, training=training)["frames"]
            predicted = tf.stop_gradient(predicted)
            terms = {
                "recorded": self._adversary(batch["frames"], 1.0, batch) / count,
                "predicted": self._adversary(predicted, 0.0, batch) / count,
            }
            return Losses(terms)
        found = super().losses(group, batch, training)
        more, outputs = {}, found.outputs
        if "latent_mean" in outputs:
            more["kl"] = latent_loss(outputs, batch, self.config)
        if self._adversary is not None:
            error = self._adversary(outputs["frames"], 1.0, batch)
            more["adversarial"] = error, self.config.adversarial_weight
        terms = {name: total / count for name, (total, _) in more.items()}
        weights = {name: weight for name, (_, weight) in more.items()}
        return found._replace(
            terms={**found.terms, **terms}, weights={**found.weights, **weights}
        )

    @property
    def predicted(self) -> slice:
        """Which of the values of a frame the model predicts: the targets."""
        return self.targets

    def losses_of(self, outputs: dict[str, tf.Tensor], batch: Batch) -> Losses:
        """The errors of `frames`, `durations` and, if predicted, `prosody`, per frame.

        See `SynthesisLoss`.
        """
        count = self.weight(batch)
        terms = self._loss(outputs, batch)
        terms = {name: total / count for name, total in terms.items()}
        weights = dict.fromkeys(set(terms) - {"frames"}, self.config.segment_weight)
        return Losses(terms, outputs=outputs, weights=weights)

    def distillation(
        self,
        outputs: dict[str, tf.Tensor],
        taught: dict[str, tf.Tensor],
        batch: Batch,
        temperature: float,
    ) -> tf.Tensor:
        """The loss with the teacher's outputs as targets; see `losses_of`."""
        return self.losses_of(outputs, {**batch, **taught}).total

    def synthesize_texts(
        self, texts: Sequence[str], rate: float = 1.0, **prosody: float
    ) -> list[Speech]:
        """Speaks texts with predicted durations, as one batch; see `speak`.

        Args:
            texts: English.
            rate: 2 is twice as fast as the speaker.
            **prosody: The other conditions.

        Raises:
            TextError: A text has an unknown symbol or none, or its speech is too long.
        """
        encoded = [encode_segments(self.front_end, text) for text in texts]
        values = {
            name: np.full([len(texts), 1], value, np.float32)
            for name, value in {"rate": rate, **prosody}.items()
        }
        return self._speak_segments(*pad_symbols(encoded), values)

    def speak_phrases(self, phrases: Sequence[Phrase]) -> Speech:
        """Speaks phrases, each under its own conditions, as one utterance.

        Args:
            phrases: With all conditions of the model, in range.

        Raises:
            TextError: See `encode_phrases`; or the speech is too long.
        """
        symbols, places = encode_phrases(self.front_end, phrases)
        self.limits.check("max_symbols", len(symbols), TextError)
        prosody = spread_prosody(phrases, places)
        values = {name: each[np.newaxis] for name, each in prosody.items()}
        (speech,) = self._speak_segments(*pad_symbols([symbols]), values)
        return speech

    def _speak_segments(
        self,
        segments: np.ndarray,
        lengths: np.ndarray,
        conditions: Mapping[str, np.ndarray],
    ) -> list[Speech]:
        """Speaks segments under conditions, each float32 [batch, segments or 1]."""
        durations = self.durations(segments, lengths, conditions)
        frames = int(tf.reduce_max(tf.reduce_sum(durations, axis=1)))
        seconds = frames * self.features.hop_length / self.features.sample_rate_hz
        self.limits.check("max_spoken_seconds", seconds, TextError)
        return self.speak_timed(segments, lengths, durations, conditions)

    def speak_timed(
        self,
        segments: tf.Tensor,
        lengths: tf.Tensor,
        durations: tf.Tensor,
        conditions: Mapping[str, np.ndarray] | None = None,
    ) -> list[Speech]:
        """Speaks segments with given durations.

        Args:
            segments: int32 [batch, segments].
            lengths: int32 [batch].
            durations: In frames, int32 [batch, segments], 0 beyond the lengths.
            conditions: By name, each float32 [batch, segments or 1], by default
                neutral.

        Returns:
            Speech whose alignment is 1 where a frame is of a segment, else 0; values of
            frames that are no target are 0.
        """
        values = {**self.neutral, **(conditions or {})}
        frames, frame_lengths = self.frames(segments, lengths, durations, values)
        rows = (frames, frame_lengths, lengths, durations)
        return [
            Speech(
                each[:count],
                np.repeat(np.eye(length, dtype=np.float32), timing[:length], axis=0),
            )
            for each, count, length, timing in zip(*map(np.array, rows), strict=True)
        ]

    def aligned_frames(self, data: ParallelTtsData, index: int) -> np.ndarray:
        """Predicts frames for the durations of a recording.

        Args:
            data: The corpus.
            index: Place of the recording.

        Returns:
            float32 [frames, frame_dim], as many as the recording has.

        Raises:
            CorpusError: It has no phoneme times, or those of another text.
        """
        segments, durations = (each[np.newaxis] for each in data.segments(index))
        lengths = np.full(1, segments.size, np.int32)
        (speech,) = self.speak_timed(segments, lengths, durations)
        return speech.frames

    def measure_stds(self, batches: tf.data.Dataset) -> None:
        """Has the model carry errors of its predictions; see `measure_stds`."""
        measure_stds(self.model, batches, self._is_phoneme, self._deltas)

    def duration_errors(
        self, segments: tf.Tensor, wanted: tf.Tensor, found: tf.Tensor
    ) -> np.ndarray:
        """The errors of the durations of phonemes, without pauses.

        Args:
            segments: int32 [batch, segments].
            wanted: Their durations, in frames, int32 [batch, segments].
            found: Likewise.

        Returns:
            In frames, int32 [phonemes].
        """
        audible = tf.gather(self._is_phoneme, segments)
        return tf.boolean_mask(found - wanted, audible).numpy()

    def timed(
        self,
        data: ParallelTtsData,
        indices: np.ndarray,
        spoken: SpokenSentences | None = None,
    ) -> TimedUtterances:
        """Prepares the utterances at some places, and what is spoken, for training.

        Raises:
            CorpusError: An utterance has no phoneme times, or those of another text.
        """
        return TimedUtterances(
            *(data, indices, self.targets, self.linguistic.linguistic_dim),
            inputs=self.model.signature,
            deltas=self._deltas,
            spoken=spoken,
        )

    def evaluate_split(self, data: ParallelTtsData, split: str) -> dict[str, Any]:
        """Speaks one split of a corpus and compares with its recordings.

        Args:
            data: The corpus.
            split: The split.

        Returns:
            `loss`; `sentences`, their number; the figures of `compare_with_recordings`
            for `COLUMNS`; and `duration_rmse_frames` of the phonemes.

        Raises:
            CorpusError: The split is empty, or phoneme times are missing.
        """
        indices = data.corpus.indices(split)
        utterances = self.timed(data, indices)
        errors: list[np.ndarray] = []

        def spoken() -> Iterator[dict[str, np.ndarray]]:
            # In batches, so that what waits for its turn fits in memory.
            for start in range(0, len(indices), EVALUATION_BATCH_SIZE):
                rows = np.arange(start, len(indices))[:EVALUATION_BATCH_SIZE]
                segments, lengths, durations = utterances.segments(rows)
                own = self.durations(segments, lengths, self.neutral)
                errors.append(self.duration_errors(segments, durations, own))
                pairs = [
                    self.speak_timed(segments, lengths, each)
                    for each in (durations, own)
                ]
                for row, aligned, free in zip(rows, *pairs, strict=True):
                    yield {
                        "aligned_": self.waveform(aligned.frames),
                        "": self.waveform(free.frames),
                        "vocoder_": self.waveform(utterances.frames[row]),
                    }

        compared = compare_with_recordings(data, indices, COLUMNS, spoken(), self.judge)
        return {
            "sentences": len(indices),
            "loss": self.mean_loss(utterances.batches()),
            "duration_rmse_frames": root_mean_square(np.concatenate(errors)),
            **compared,
        }

    def server(self) -> ParallelTtsServer:
        """The module that is exported."""
        return ParallelTtsServer(self, self.durations, self.frames, self._read_texts())

    def lite(self) -> LiteSpeech:
        """The part that TFLite runs: segments to `frames`, and `durations` of each."""

        def predict(
            symbols: tf.Tensor,
            rate: tf.Tensor,
            semitones: tf.Tensor | None = None,
            pitch_range: tf.Tensor | None = None,
            energy: tf.Tensor | None = None,
        ) -> dict[str, tf.Tensor]:
            given = {"rate": rate, "semitones": semitones}
            given |= {"pitch_range": pitch_range, "energy": energy}
            conditions = {
                name: tf.expand_dims(value, 1)
                for name, value in given.items()
                if value is not None
            }
            inputs = symbols, tf.shape(symbols)[1:]
            durations = self._prediction.predict_durations(*inputs, conditions)
            frames, _ = self._prediction.predict_frames(*inputs, durations, conditions)
            return {"frames": frames, "durations": durations}

        encode = functools.partial(encode_segments, self.front_end)
        return LiteSpeech(self, predict, encode)


def describe_scores(scores: Mapping[str, Any]) -> str:
    """The scores of `ParallelSynthesis.evaluate_split` as text."""
    return (
        f"{scores['sentences']} sentences, loss {scores['loss']:.4f}, duration RMSE "
        f"{scores['duration_rmse_frames']:.2f} frames\n\n"
        + comparison_table(scores, COLUMNS)
    )
