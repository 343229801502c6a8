"""Recognition of connected speech: loss, scores and decoding."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.beam_search import BeamSearch
from models.ctc import Symbols, ctc_losses, log_probabilities, read_best_path
from tfspeech.audio.blocks import Piece, cut_at_pauses
from tfspeech.audio.features import FeatureConfig, extract_features
from tfspeech.audio.resample import resample
from tfspeech.audio.samples import check_samples
from tfspeech.data.pipeline import Batch
from tfspeech.errors import AudioError, RunError
from tfspeech.tasks.limits import RecognitionLimits
from tfspeech.tasks.reliability import reliability
from tfspeech.tasks.soft_targets import soft_divergence
from tfspeech.tasks.speech_recognition.data import SpeechData, symbol_counts
from tfspeech.tasks.speech_recognition.language_model import (
    GRID,
    LanguageModel,
    Reader,
    read_language_model,
)
from tfspeech.tasks.speech_recognition.lite import LiteTranscriber
from tfspeech.tasks.speech_recognition.scores import transcript_scores
from tfspeech.tasks.speech_recognition.server import TranscriptionServer
from tfspeech.tasks.speech_recognition.streaming import Streaming
from tfspeech.tasks.speech_recognition.text import Segment, Text, TimedWord
from tfspeech.tasks.speech_recognition.transcripts import Transcriber
from tfspeech.tasks.task import ModelTask
from tfspeech.training.callbacks import Monitor
from tfspeech.training.step import Losses

SEGMENT_S = 12.0
"""The longest stretch of audio that a model transcribes at once."""


class SpeechRecognition(ModelTask):
    """Recognition of connected speech.

    Args of the constructor:
        model: Features to `logits` and `logit_lengths`.
        features: What the model was built for.
        transcriber: Of the symbols that the model's classes are, but for the blank.

    Attributes:
        grid: What a language model is tried with.
        ngram_order: Symbols of its longest n-grams, where nothing else is asked for.
        term: The name of the loss.
    """

    monitor = Monitor("wer", higher_is_better=False)
    recognizes = True
    takes_blocks = True
    takes_stream = True
    takes_language_model = True
    limits = RecognitionLimits()
    grid = GRID
    ngram_order = 5
    term = "ctc"

    def __init__(
        self, model: keras.Model, features: FeatureConfig, transcriber: Transcriber
    ) -> None:
        super().__init__(model)
        self.features = features
        self.transcriber = transcriber
        self.set_reader(self.plain_reader())

    def plain_reader(self) -> Reader:
        """Returns what reads texts without a language model."""
        return read_best_path

    def search(self, language_model: LanguageModel) -> BeamSearch:
        """Returns what reads texts with a language model.

        Raises:
            TextError: It is not for the symbols, or too large.
        """
        return language_model.search(self.transcriber)

    def set_reader(self, reader: Reader) -> None:
        """Has texts read from logits by a function, and traces what depends on it."""
        self._reader = reader
        # AutoGraph would take seconds to read the sources.
        waveform = tf.TensorSpec([1, None], tf.float32)
        self._read = tf.function(self._read_waveform, [waveform], autograph=False)
        batch = [
            tf.TensorSpec([None, None, self.features.feature_dim], tf.float32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
        ]
        self._measure = tf.function(self._measure_batch, batch, autograph=False)

    def use_language_model(self, folder: Path) -> None:
        """Searches for texts with a language model from now on.

        Args:
            folder: What the command `language_model` has written.

        Raises:
            TextError: The language model is damaged, or not for the symbols.
            OSError: It cannot be read.
        """
        self.set_reader(self.search(read_language_model(folder)))

    def losses_of(self, outputs: dict[str, tf.Tensor], batch: Batch) -> Losses:
        """The loss in nats per target, and the share of the targets that have none.

        An utterance that augmentation has made shorter than its symbols need has a loss
        of 0; `unaligned` is their share, and has no weight.
        """
        losses, fits = self.row_losses(outputs, batch["targets"])
        counts = tf.cast(self.counts(batch["targets"]), tf.float32)
        total = tf.reduce_sum(counts)
        unaligned = tf.reduce_sum(tf.where(fits, 0.0, counts))
        # A replica may have no target at all.
        terms = {
            self.term: tf.math.divide_no_nan(tf.reduce_sum(losses), total),
            "unaligned": tf.math.divide_no_nan(unaligned, total),
        }
        return Losses(terms, {"unaligned": 0.0}, outputs=outputs)

    def row_losses(
        self, outputs: dict[str, tf.Tensor], targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss of each utterance.

        Args:
            outputs: Of the model.
            targets: Of `SpeechData.targets`.

        Returns:
            In nats, float32 [batch], 0 where it has none; and where it has one, bool
            [batch].
        """
        logits, lengths = outputs["logits"], outputs["logit_lengths"]
        return ctc_losses(logits, lengths, targets, self.counts(targets))

    def counts(self, targets: tf.Tensor) -> tf.Tensor:
        """The targets of each utterance, int32 [batch]: its symbols."""
        return symbol_counts(targets)

    def distillation(
        self,
        outputs: dict[str, tf.Tensor],
        taught: dict[str, tf.Tensor],
        batch: Batch,
        temperature: float,
    ) -> tf.Tensor:
        """The divergence of all frames in nats per symbol; see `soft_divergence`."""
        frames = soft_divergence(outputs["logits"], taught["logits"], temperature)
        valid = tf.sequence_mask(outputs["logit_lengths"], tf.shape(frames)[1])
        return tf.reduce_sum(tf.where(valid, frames, 0.0)) / self.weight(batch)

    def weight(self, batch: Batch) -> tf.Tensor:
        """The targets of a batch, a float32 scalar."""
        return tf.cast(tf.reduce_sum(self.counts(batch["targets"])), tf.float32)

    def decode(
        self, logits: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[Symbols, tf.Tensor]:
        """Reads texts from what `score` returns.

        Returns:
            Their symbols, and their confidences: their probabilities, float32 [batch].
        """
        read = self._reader(logits, lengths)
        return read, tf.exp(log_probabilities(logits, lengths, read.numbers))

    def score(
        self, waveforms: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores the frames of audio at the model's rate.

        Args:
            waveforms: float32 [batch, samples] in [-1, 1].
            lengths: int32 [batch], in samples; what is beyond has no influence.

        Returns:
            Logits, float32 [batch, frames, symbols + 1], of the symbols and the blank,
            and their lengths in frames, int32 [batch].
        """
        features, frames = extract_features(waveforms, lengths, self.features)
        outputs = self.model({"features": features, "lengths": frames}, training=False)
        return outputs["logits"], outputs["logit_lengths"]

    def transcribe(self, samples: np.ndarray, rate_hz: int) -> Text:
        """Recognises what is said; see `transcribe_blocks`.

        Args:
            samples: float32 [samples] in [-1, 1], of any length.
            rate_hz: Their rate.

        Raises:
            AudioError: The rate is beyond a limit, or a sample is not finite.
        """
        check_samples(samples)
        return self.transcribe_blocks([samples], rate_hz)

    def text_of(self, samples: np.ndarray, rate_hz: int) -> str:
        """The text of a recording, empty where nothing is said; see `transcribe`."""
        return self.transcribe(samples, rate_hz).text

    def transcribe_blocks(self, blocks: Iterable[np.ndarray], rate_hz: int) -> Text:
        """Recognises what is said in a recording that need not fit into memory.

        The model gets stretches of at most 12 s, which end in pauses.

        Args:
            blocks: Samples one after the other, float32 [samples] in [-1, 1].
            rate_hz: Their rate.

        Raises:
            AudioError: The rate is beyond a limit.
        """
        self.limits.check("min_rate_hz", rate_hz, AudioError)
        self.limits.check("max_rate_hz", rate_hz, AudioError)
        pieces = cut_at_pauses(blocks, rate_hz, SEGMENT_S)
        found = [self._transcribe_piece(piece, rate_hz) for piece in pieces]
        return Text(
            " ".join(each.text for each in found if each.text),
            float(np.prod([each.confidence for each in found])),
            tuple(each for each in found if each.text),
        )

    def _transcribe_piece(self, piece: Piece, rate_hz: int) -> Segment:
        samples = tf.constant(piece.samples)
        waveform = resample(samples, rate_hz, self.features.sample_rate_hz)
        read, confidence, frames = self._read(waveform[tf.newaxis])
        start_s, length_s = piece.start / rate_hz, len(piece.samples) / rate_hz
        return Segment(
            round(start_s, 3),
            round(start_s + length_s, 3),
            self.transcriber.decode(read.numbers[0].numpy()),
            float(confidence[0]),
            self._words(read, start_s, length_s / int(frames[0])),
        )

    def _read_waveform(
        self, waveform: tf.Tensor
    ) -> tuple[Symbols, tf.Tensor, tf.Tensor]:
        """Returns the text of one waveform, its probability, and a number of frames."""
        logits, frames = self.score(waveform, tf.shape(waveform)[1:])
        return *self.decode(logits, frames), frames

    def _words(
        self, read: Symbols, start_s: float, frame_s: float
    ) -> tuple[TimedWord, ...]:
        """The words of the first row of what was read, with their times."""
        words: list[TimedWord] = []
        inside = False
        rows = (ragged[0].numpy().tolist() for ragged in read)
        for number, first, end in zip(*rows, strict=True):
            symbol = self.transcriber.symbols[number]
            begin_s, end_s = (round(start_s + n * frame_s, 3) for n in (first, end))
            if symbol == " ":
                inside = False
                continue
            if inside:
                begun = words.pop()
                words.append(TimedWord(begun.word + symbol, begun.start_s, end_s))
            else:
                words.append(TimedWord(symbol, begin_s, end_s))
            inside = not self.transcriber.separator
        return tuple(words)

    def logits(
        self, batches: tf.data.Dataset
    ) -> list[tuple[tf.Tensor, tf.Tensor, np.ndarray]]:
        """Scores the frames of batches of `SpeechData.evaluation_set`.

        Returns:
            Of each batch the logits, float32 [batch, frames, symbols + 1], their
            lengths, int32 [batch], and the `rows`.
        """
        scored = []
        for batch in batches:
            inputs = {name: batch[name] for name in ("features", "lengths")}
            outputs = self.model(inputs, training=False)
            rows = batch["rows"].numpy()
            scored.append((outputs["logits"], outputs["logit_lengths"], rows))
        return scored

    def transcribe_stream(self, chunks: Iterable[np.ndarray]) -> Iterator[str]:
        """Recognises what is said while it is said; see `Streaming.read`.

        Args:
            chunks: float32 [samples] in [-1, 1], of any size, at the model's rate.

        Raises:
            RunError: The model needs to hear the whole.
        """
        if self._streaming is None:
            raise RunError(
                "the recogniser hears later frames, too, and cannot transcribe speech "
                "while it is spoken: train one with --causal"
            )
        return self._streaming.read(chunks)

    @functools.cached_property
    def _streaming(self) -> Streaming | None:
        """The recogniser of chunks; None where the model is not causal."""
        if not getattr(self.model.config, "causal", False):
            return None
        strides = self.model.config.conv_strides
        symbols, separator = self.transcriber.symbols, self.transcriber.separator
        return Streaming(self.model, self.features, strides, symbols, separator)

    def evaluate(
        self,
        batches: tf.data.Dataset,
        references: Sequence[str],
        speakers: Sequence[str],
        names: Sequence[str],
    ) -> dict[str, Any]:
        """Scores the model on batches of `SpeechData.evaluation_set`.

        Args:
            batches: The evaluation set.
            references: What is said in its utterances, in the order of their `rows`.
            speakers: Of the utterances.
            names: Of the utterances.

        Returns:
            What `transcript_scores` and `reliability` return; `loss` in nats per
            target; and `unaligned`, how many utterances have none, because their text
            needs more frames than there are.
        """
        transcripts = [""] * len(references)
        confidences = np.zeros(len(references))
        sums = np.zeros(3)
        for batch in batches:
            numbers, confidence, *measured = self._measure(
                batch["features"], batch["lengths"], batch["targets"]
            )
            sums += np.array([float(each) for each in measured])
            rows = batch["rows"].numpy()
            confidences[rows] = confidence.numpy()
            for row, read in zip(rows, numbers.to_list(), strict=True):
                transcripts[row] = self.transcriber.decode(read)
        losses, symbols, unaligned = sums
        pairs = zip(transcripts, references, strict=True)
        right = np.array([one == other for one, other in pairs])
        return {
            "loss": float(losses / symbols) if symbols else float("nan"),
            "unaligned": int(unaligned),
            **transcript_scores(references, transcripts, speakers, names),
            **reliability(confidences, right),
        }

    def _measure_batch(
        self, features: tf.Tensor, lengths: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns texts and confidences; sums of losses and their targets, misfits."""
        outputs = self.model({"features": features, "lengths": lengths}, training=False)
        counts = self.counts(targets)
        losses, fits = self.row_losses(outputs, targets)
        read, confidences = self.decode(outputs["logits"], outputs["logit_lengths"])
        return (
            read.numbers,
            confidences,
            tf.reduce_sum(losses),
            tf.reduce_sum(tf.where(fits, counts, 0)),
            tf.reduce_sum(tf.cast(~fits, tf.int32)),
        )

    def evaluate_split(self, data: SpeechData, split: str) -> dict[str, Any]:
        """Scores the model on one split of a corpus.

        Raises:
            CorpusError: The split is empty.
        """
        indices = data.corpus.indices(split)
        return self.evaluate(data.evaluation_set(indices), *data.references(indices))

    def server(self) -> TranscriptionServer:
        """The module that is exported."""
        return TranscriptionServer(
            self.model,
            self.score,
            self.decode,
            self._reader,
            self._streaming,
            self.transcriber,
            self.features.sample_rate_hz,
            self.limits,
        )

    def lite(self) -> LiteTranscriber:
        """The part that TFLite runs."""
        return LiteTranscriber(self.model, self.score)
