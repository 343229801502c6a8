"""The data of synthesis: sentences, their symbols and their acoustic frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.data.batches import BatchPlan
from tfspeech.data.config import SynthesisDataConfig
from tfspeech.data.corpora import load_corpus
from tfspeech.data.pipeline import (
    Batch,
    ordered_rows,
    planned_batches,
    read_waveforms,
)
from tfspeech.data.store import prepare, usual_rate_hz
from tfspeech.text.front_end import TextFrontEnd

HIGHEST_RATE_HZ = 22_050
TAIL_STEPS = 2
"""Decoder steps of silence after every utterance of which a loss is computed. A model
that has missed the end speaks on; so it knows what that is like, and stops."""


class SynthesisData:
    """A checked corpus of sentences, with their symbols.

    Args of the constructor:
        data: The corpus.
        front_end: What reads its texts.
        features: Its `sample_rate_hz` may be 0, for that of the corpus.
        split: Check this split alone, for an evaluation.

    Attributes:
        corpus: The utterances.
        store: Their waveforms.
        features: With the rate of the store.
        report: What the check of the corpus found.

    Raises:
        CorpusError: The corpus cannot be read or used.
    """

    def __init__(
        self,
        data: SynthesisDataConfig,
        front_end: TextFrontEnd,
        features: AcousticConfig,
        split: str | None = None,
    ) -> None:
        self.corpus = load_corpus(data.data, data.held_out)
        rate_hz = features.sample_rate_hz
        self.store, self.report = prepare(
            self.corpus,
            rate_hz or min(usual_rate_hz(self.corpus), HIGHEST_RATE_HZ),
            max_seconds=data.max_seconds,
            split=split,
            sentences=True,
        )
        self.features = dataclasses.replace(
            features, sample_rate_hz=self.store.sample_rate_hz
        )
        self._front_end = front_end

    def texts(self, indices: np.ndarray) -> list[str]:
        """The texts of the utterances at these places."""
        return [self.corpus.utterances[i].text for i in indices]

    def batches(
        self,
        indices: np.ndarray,
        steps: int,
        *,
        tail: int = 0,
        plan: BatchPlan | None = None,
        first_batch: int = 0,
        batch_size: int = 32,
    ) -> tf.data.Dataset:
        """Batches of symbols and frames: endless by a plan, or each utterance once.

        Args:
            indices: Places of the utterances.
            steps: Frames of a decoder step; silence fills the last one.
            tail: Decoder steps of silence after that.
            plan: Made for these utterances.
            first_batch: The batch of the plan to begin with.
            batch_size: The most utterances in a batch without a plan.

        Returns:
            Batches of `symbols` int32 [batch, symbols] with `symbol_lengths`, `frames`
            float32 [batch, frames, frame_dim] with `frame_lengths` and, without a plan,
            `rows` int64 [batch], the places of the utterances in `indices`.
        """
        encoded = [self._front_end.encode(text) for text in self.texts(indices)]
        lengths = np.array([len(symbols) for symbols in encoded], np.int32)
        table = np.zeros((len(encoded), lengths.max()), np.int32)
        for row, symbols in enumerate(encoded):
            table[row, : len(symbols)] = symbols

        def load(rows: tf.Tensor) -> Batch:
            symbol_lengths = tf.gather(lengths, rows)
            waveforms, samples = read_waveforms(self.store, tf.gather(indices, rows))
            frames, frame_lengths = acoustic_frames(waveforms, samples, self.features)
            frames, frame_lengths = fill_steps(
                frames, frame_lengths, steps, self.features, tail
            )
            return {
                "symbols": tf.gather(table, rows)[:, : tf.reduce_max(symbol_lengths)],
                "symbol_lengths": symbol_lengths,
                "frames": frames,
                "frame_lengths": frame_lengths,
            }

        if plan:
            return planned_batches(plan, lambda _, rows: load(rows), first_batch)
        durations = self.store.lengths[indices]
        return ordered_rows(
            durations, batch_size, lambda rows: load(rows) | {"rows": rows}
        )


def fill_steps(
    frames: tf.Tensor,
    lengths: tf.Tensor,
    steps: int,
    config: AcousticConfig,
    tail: int = 0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Fills the last decoder step of every utterance with silence, and adds others.

    Args:
        frames: float32 [batch, frames, frame_dim].
        lengths: int32 [batch], in frames.
        steps: Frames of a decoder step.
        config: The frames.
        tail: Decoder steps that are silent all through.

    Returns:
        The frames, 0 beyond the new lengths, which are multiples of `steps`.
    """
    filled = (-(-lengths // steps) + tail) * steps
    frames = tf.pad(frames, [[0, 0], [0, (1 + tail) * steps - 1], [0, 0]])
    frames = frames[:, : tf.reduce_max(filled)]
    count = tf.shape(frames)[1]
    silence = acoustic_frames(tf.zeros([1, 1]), tf.ones([1], tf.int32), config)[0]
    inside, valid = (
        tf.sequence_mask(n, count)[:, :, tf.newaxis] for n in (lengths, filled)
    )
    return tf.where(inside, frames, tf.where(valid, silence, 0.0)), filled
