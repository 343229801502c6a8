"""Synthesis with attention: losses, speaking, scores."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.config import POSITIVE, Options, option
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import VOCODERS, Vocoder
from tfspeech.data.pipeline import Batch
from tfspeech.strategies import build_spec
from tfspeech.tasks.attention_tts.data import TAIL_STEPS, sentence_batches
from tfspeech.tasks.attention_tts.hard_sentences import HARD_SENTENCES
from tfspeech.tasks.attention_tts.losses import guided_attention_loss, stop_loss
from tfspeech.tasks.attention_tts.server import AttentionTtsServer
from tfspeech.tasks.speech.data import EVALUATION_BATCH_SIZE, SentenceData
from tfspeech.tasks.speech.evaluation import (
    OTHER_VOICE,
    Column,
    compare_with_recordings,
    comparison_table,
)
from tfspeech.tasks.speech.lite import LiteSpeech
from tfspeech.tasks.speech.scores import attention_scores
from tfspeech.tasks.speech.task import Speech, SpeechTask
from tfspeech.text.front_end import TextFrontEnd, pad_symbols
from tfspeech.training.callbacks import Monitor
from tfspeech.training.step import Losses

FRAME_LOSSES = {"l1": (1.0, 0.0), "l2": (0.0, 1.0), "l1_l2": (1.0, 1.0)}
"""Name -> what the absolute and the squared error count."""

COLUMNS = {
    "": Column("model"),
    "vocoder_": Column("vocoder"),
    OTHER_VOICE: Column("other voice"),
}
"""Prefix of a score -> what it was measured on: the model; the vocoder with the frames
of the recording; and another voice that reads the same text."""


@dataclasses.dataclass(frozen=True)
class AttentionSynthesisConfig(Options):
    """Synthesis."""

    frame_loss: str = option(
        "l1_l2", "error of the frames, in standard deviations", choices=FRAME_LOSSES
    )
    stop_weight: float = option(0.2, "weight of the stop token's cross-entropy")
    guide_weight: float = option(1.0, "weight of the guided attention loss")
    guide_width: float = option(
        0.2,
        "how far attention may be from the diagonal, as a share of the text",
        POSITIVE,
    )
    vocoder: str = option(
        "griffin_lim()", f"{' or '.join(VOCODERS)}, with arguments", metavar="SPEC"
    )
    frames_per_symbol: float = option(
        30.0,
        "longest speech: where free-running synthesis is cut off",
        POSITIVE,
        unit="frames",
    )
    validation_sentences: int = option(32, "sentences spoken at every validation")


class AttentionSynthesis(SpeechTask):
    """Speech synthesis with attention.

    Args of the constructor:
        model: Symbols to `frames`.
        config: Of the task.
        features: The frames that the model was built for.
        front_end: What reads texts.
    """

    monitor = Monitor("mcd_db", higher_is_better=False)

    def __init__(
        self,
        model: keras.Model,
        config: AttentionSynthesisConfig,
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

    def losses_of(self, outputs: dict[str, tf.Tensor], batch: Batch) -> Losses:
        """The terms of the loss, means over frames or decoder steps.

        They are `frames`, the error before the postnet, and `frames_refined`, that
        after it where there is one; `stop`, see `stop_loss`; and `guide`, see
        `guided_attention_loss`.
        """
        config = self._config
        steps = batch["frame_lengths"] // self.reduction_factor
        terms = {"frames": self._frame_loss(outputs["frames"], batch)}
        if self.model.postnet is not None:
            refined = outputs["frames_refined"]
            terms["frames_refined"] = self._frame_loss(refined, batch)
        terms["stop"] = stop_loss(outputs["stop_logits"], steps)
        terms["guide"] = guided_attention_loss(
            outputs["alignment"], steps, batch["symbol_lengths"], config.guide_width
        )
        weights = {"stop": config.stop_weight, "guide": config.guide_weight}
        return Losses(terms, weights, outputs)

    def _frame_loss(self, frames: tf.Tensor, batch: Batch) -> tf.Tensor:
        absolute, squared = FRAME_LOSSES[self._config.frame_loss]
        # Both are 0 beyond the lengths.
        error = (frames - batch["frames"]) / self.model.normalization.std
        errors = absolute * tf.abs(error) + squared * tf.square(error)
        return tf.reduce_sum(tf.reduce_mean(errors, 2)) / self.weight(batch)

    def synthesize_texts(
        self, texts: Sequence[str], **conditions: float
    ) -> list[Speech]:
        """Speaks texts, free-running, as one batch; see `speak`."""
        symbols, lengths = pad_symbols([self.front_end.encode(text) for text in texts])
        spoken = self.synthesize(
            tf.constant(symbols), tf.constant(lengths), self.most_frames
        )
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
            tf.TensorSpec([], tf.int32),
        ]
    )
    def synthesize(
        self, symbols: tf.Tensor, lengths: tf.Tensor, most_frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Speaks symbols, free-running; see `AttentionTts.synthesize`.

        Args:
            symbols: int32 [batch, symbols].
            lengths: int32 [batch].
            most_frames: Where to stop at the latest, an int32 scalar; short texts stop
                earlier (`frames_per_symbol`).
        """
        longest = tf.cast(lengths, tf.float32) * self._config.frames_per_symbol
        longest = tf.minimum(tf.cast(longest, tf.int32), most_frames)
        return self.model.synthesize(symbols, lengths, longest)

    def attention(
        self, texts: Sequence[str], speech: Sequence[Speech]
    ) -> dict[str, float]:
        """Scores how some utterances attended to their texts; see `mean_attention`."""
        pairs = zip(texts, speech, strict=True)
        return mean_attention([self._attention(text, each) for text, each in pairs])

    def _attention(self, text: str, speech: Speech) -> dict[str, float]:
        words = self.front_end.words(text)
        return {
            **attention_scores(speech.alignment, words),
            "stopped": float(speech.stopped),
            "words": int(words.max()) + 1,
        }

    def evaluate_split(self, data: SentenceData, split: str) -> dict[str, Any]:
        """Speaks one split of a corpus, free-running, and compares with its recordings.

        Args:
            data: The corpus.
            split: The split.

        Returns:
            `loss`, that of training under teacher forcing; `sentences`, their number;
            the figures of `compare_with_recordings` for `COLUMNS` and of
            `mean_attention`; and the latter for `HARD_SENTENCES` under
            `hard_sentences`.

        Raises:
            CorpusError: The split is empty.
        """
        indices = data.corpus.indices(split)
        texts = data.texts(indices)
        attention: list[dict[str, float]] = []

        def spoken() -> Iterator[dict[str, np.ndarray]]:
            speech = self._speak_in_turn(texts)
            for index, text, each in zip(indices, texts, speech, strict=True):
                attention.append(self._attention(text, each))
                yield {
                    "": self.waveform(each.frames),
                    "vocoder_": self.waveform(data.frames(index)),
                }

        compared = compare_with_recordings(data, indices, COLUMNS, spoken(), self.judge)
        batches = sentence_batches(data, indices, self.reduction_factor, TAIL_STEPS)
        hard = list(self._speak_in_turn(HARD_SENTENCES))
        return {
            "sentences": len(texts),
            "loss": self.mean_loss(batches),
            **mean_attention(attention),
            "hard_sentences": self.attention(HARD_SENTENCES, hard),
            **compared,
        }

    def _speak_in_turn(self, texts: Sequence[str]) -> Iterator[Speech]:
        """Speaks texts in batches, so that what waits for its turn fits in memory."""
        for start in range(0, len(texts), EVALUATION_BATCH_SIZE):
            yield from self.speak(texts[start : start + EVALUATION_BATCH_SIZE])

    def server(self) -> AttentionTtsServer:
        """The module that is exported."""
        most = self.most_frames
        return AttentionTtsServer(self, lambda *text: self.synthesize(*text, most))

    def lite(self) -> LiteSpeech:
        """The part that TFLite runs: `symbols` to `frames`, and `stopped` bool [1]."""

        def predict(symbols: tf.Tensor) -> dict[str, tf.Tensor]:
            spoken = self.synthesize(symbols, tf.shape(symbols)[1:], tf.int32.max)
            return {name: spoken[name] for name in ("frames", "stopped")}

        return LiteSpeech(self, predict, self.front_end.encode)


def mean_attention(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Averages how utterances attended to their texts.

    Args:
        scores: Of each, `attention_scores`, whether it `stopped`, and its `words`.

    Returns:
        The means, with lost words as shares of all words; `stopped` is the share that
        stopped by itself.
    """
    count = sum(each["words"] for each in scores)
    return {
        **{
            name: float(np.mean([each[name] for each in scores]))
            for name in ("stopped", "focus", "diagonality", "monotonic_coverage")
        },
        **{
            name: sum(each[name] for each in scores) / count
            for name in ("skipped_words", "repeated_words")
        },
    }


def describe_scores(scores: Mapping[str, Any]) -> str:
    """The scores of `AttentionSynthesis.evaluate_split` as text."""
    hard = scores["hard_sentences"]
    shares = ("stopped", "focus", "diagonality", "monotonic_coverage")
    lines = [
        f"{scores['sentences']} sentences, loss {scores['loss']:.4f} (teacher forcing)",
        "",
        comparison_table(scores, COLUMNS),
        "",
        *(f"{name.replace('_', ' '):<26}{scores[name]:>16.2%}" for name in shares),
        *(
            f"{name.replace('_', ' '):<26}{scores[name]:>16.2%}  of the words"
            for name in ("skipped_words", "repeated_words")
        ),
        "",
        f"{len(HARD_SENTENCES)} sentences made to break attention: "
        f"{hard['stopped']:.0%} stopped by themselves, "
        f"{hard['skipped_words']:.1%} of the words skipped, "
        f"{hard['repeated_words']:.1%} repeated",
    ]
    return "\n".join(lines)


def vocoders(features: AcousticConfig) -> dict[str, Callable[..., Vocoder]]:
    """Returns the constructors of vocoders for these frames, by name."""
    return {name: functools.partial(v, features) for name, v in VOCODERS.items()}
