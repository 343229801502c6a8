"""Forced alignment: the times of the phonemes of known texts.

Hidden Markov models of the phonemes, without context and from a flat start, are trained
on the very recordings that they then align (S. Young et al., "The HTK Book", chapter 3,
without its dictionary: eSpeak NG pronounces the texts).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from models.config import POSITIVE, POWER_OF_2, Options, option
from models.hmm import (
    Chains,
    Hmm,
    Statistics,
    baum_welch,
    chain,
    flat_start,
    reestimate,
    split_gaussians,
    viterbi,
)
from tfspeech.audio.features import FeatureConfig, extract_features
from tfspeech.data.phoneme_times import PHONES, WORDS
from tfspeech.data.store import AudioStore
from tfspeech.data.textgrid import Interval
from tfspeech.tasks.alignment.text import PAUSE_UNIT, UNITS, PronouncedText
from tfspeech.text.front_end import pad_symbols
from tfspeech.text.phonemes import PAUSE

SILENCE = "sil"

# Before anything is known: probabilities of a state's self-loop and of a pause.
_INITIAL_SELF_LOOP, _INITIAL_PAUSE = 0.6, 0.2
_VARIANCE_FLOOR = 0.01  # Of the variance of all frames.
_MIN_OCCUPANCY = 10.0
_MIN_VARIANCE = 1e-6
_MIN_EXAMPLES = 10
# The sizes of a batch: frames, and frames times the positions of the longest chain.
_BATCH_FRAMES, _BATCH_CELLS = 40_000, 10_000_000


@dataclasses.dataclass(frozen=True)
class AlignmentConfig(Options):
    """Hidden Markov models of the phonemes."""

    phoneme_states: int = option(2, "states of a phoneme, one after the other")
    gaussians: int = option(
        4, "Gaussians in a state's mixture, a power of 2", POWER_OF_2
    )
    iterations: int = option(6, "of Baum-Welch, with each size of the mixtures")
    training_minutes: float = option(
        10.0,
        "audio the models are trained on; utterances with phonemes that are rare in it "
        "are added",
        POSITIVE,
        unit="min",
    )

    @property
    def total_iterations(self) -> int:
        """Iterations with mixtures of all sizes."""
        return self.iterations * (1 + round(math.log2(self.gaussians)))


def default_features() -> FeatureConfig:
    """Returns the features of alignment: cepstra with their derivatives, all frames."""
    return FeatureConfig(
        frame_length_ms=20.0,
        dynamic_range_db=60.0,
        delta_order=2,
        delta_width=3,
        trim_db=0.0,
        utterance_normalization="none",
    )


class Models(NamedTuple):
    """The models of the phonemes.

    Attributes:
        hmm: Their parameters.
        mean: Of the features of all frames, float32 [dim].
        std: Their standard deviation, float32 [dim].
    """

    hmm: Hmm
    mean: tf.Tensor
    std: tf.Tensor


class Training(NamedTuple):
    """The state of the training after an iteration.

    Attributes:
        models: The models.
        log_likelihoods: Mean of a frame, by iteration, natural logarithms.
    """

    models: Models
    log_likelihoods: tuple[float, ...] = ()


class _Batch(NamedTuple):
    """A batch of utterances, padded.

    Attributes:
        waveforms: float32 [batch, samples].
        samples: int32 [batch].
        units: int32 [batch, units].
        unit_counts: int32 [batch].
    """

    waveforms: tf.Tensor
    samples: tf.Tensor
    units: tf.Tensor
    unit_counts: tf.Tensor


class Aligner:
    """Trains the models of the phonemes, and aligns utterances by them.

    Args of the constructor:
        store: The waveforms of all utterances.
        texts: The pronounced texts of the utterances, by their places.
        config: The models.
        features: The features of the waveforms, at the rate of the store.

    Attributes:
        config: The models.
    """

    def __init__(
        self,
        store: AudioStore,
        texts: Sequence[PronouncedText] | Mapping[int, PronouncedText],
        config: AlignmentConfig,
        features: FeatureConfig,
    ) -> None:
        self._store = store
        self._texts = texts
        self.config = config
        self._features = features
        # All shapes are left open, so that each function is traced once.
        integers = (
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
        )
        waveforms = tf.TensorSpec([None, None])
        batch = _Batch(waveforms, integers[0], integers[1], integers[0])
        dim = features.feature_dim
        by_gaussian = tf.TensorSpec([None, None, dim])
        hmm = Hmm(
            tf.TensorSpec([None, None]),
            by_gaussian,
            by_gaussian,
            tf.TensorSpec([None]),
            tf.TensorSpec([]),
        )
        models = Models(hmm, tf.TensorSpec([dim]), tf.TensorSpec([dim]))
        self._measure = tf.function(self._measure_batch, [batch])
        self._accumulate = tf.function(self._accumulate_batch, [models, batch])
        self._decode = tf.function(self._decode_batch, [models, batch])

    def fits(self, row: int) -> bool:
        """Whether an utterance has at least one frame for each state of its text."""
        phonemes = np.sum(self._texts[row].units != PAUSE_UNIT)
        return self._frames(row) >= max(2, phonemes * self.config.phoneme_states)

    def training_rows(self, rows: Sequence[int]) -> list[int]:
        """Selects the utterances to train on, by the same draw in every call.

        They are drawn until there is enough audio; after that, only those are added
        that have a phoneme with less than 10 examples.
        """
        seen = np.zeros(len(UNITS), np.int64)
        chosen, samples = [], 0
        wanted = self.config.training_minutes * 60 * self._features.sample_rate_hz
        for row in np.random.default_rng(0).permutation(rows).tolist():
            if samples < wanted or seen[self._texts[row].units].min() < _MIN_EXAMPLES:
                chosen.append(row)
                samples += int(self._store.lengths[row])
                np.add.at(seen, self._texts[row].units, 1)
        return chosen

    def start(self, rows: Sequence[int]) -> Training:
        """Measures the features, and returns models that are all the same.

        Args:
            rows: The utterances to train on.
        """
        sums = [self._measure(batch) for _, batch in self._batches(rows)]
        count, total, squares = (
            np.sum(each, axis=0) for each in zip(*sums, strict=True)
        )
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, _MIN_VARIANCE))
        dim = self._features.feature_dim
        states = len(UNITS) * self.config.phoneme_states
        hmm = flat_start(
            tf.zeros(dim), tf.ones(dim), states, _INITIAL_SELF_LOOP, _INITIAL_PAUSE
        )
        return Training(Models(hmm, *(tf.constant(v, "float32") for v in (mean, std))))

    def train(self, rows: Sequence[int], training: Training) -> Iterator[Training]:
        """Trains the models.

        Args:
            rows: The utterances to train on; each must fit its text.
            training: The state to continue from.

        Yields:
            The state after each iteration.
        """
        batches = [batch for _, batch in self._batches(rows)]
        floor = tf.fill([self._features.feature_dim], _VARIANCE_FLOOR)
        for done in range(len(training.log_likelihoods), self.config.total_iterations):
            models = training.models
            if done and done % self.config.iterations == 0:
                models = models._replace(hmm=split_gaussians(models.hmm))
            parts = [self._accumulate(models, batch) for batch in batches]
            total = Statistics(*(tf.add_n(each) for each in zip(*parts, strict=True)))
            log_likelihood = float(total.log_likelihood / total.frames)
            hmm = reestimate(models.hmm, total, floor, _MIN_OCCUPANCY)
            training = Training(
                models._replace(hmm=hmm), (*training.log_likelihoods, log_likelihood)
            )
            yield training

    def align(
        self, rows: Sequence[int], models: Models
    ) -> Iterator[tuple[int, dict[str, list[Interval]]]]:
        """Finds the words and phonemes of utterances.

        Args:
            rows: The utterances; each must fit its text.
            models: After training.

        Yields:
            The utterance and the intervals of its `WORDS` and `PHONES`, from the
            shortest utterance to the longest.
        """
        for row, path in self._paths(rows, models):
            units = path // self.config.phoneme_states
            hop_s = self._features.hop_length / self._features.sample_rate_hz
            seconds = float(self._store.lengths[row] / self._features.sample_rate_hz)
            yield row, tiers(self._texts[row], units, hop_s, seconds)

    def states(
        self, rows: Sequence[int], models: Models
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Finds the state of every frame of utterances.

        Args:
            rows: The utterances; each must fit its text.
            models: After training.

        Yields:
            The utterance and the states, int32 [frames]: those of unit u of `UNITS` are
            `phoneme_states` x u and the ones that follow.
        """
        count = self.config.phoneme_states
        for row, path in self._paths(rows, models):
            yield row, self._texts[row].units[path // count] * count + path % count

    def _paths(
        self, rows: Sequence[int], models: Models
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yields utterances with the positions of their frames, int32 [frames]."""
        for chosen, batch in self._batches(rows):
            paths = self._decode(models, batch).numpy()
            for row, path in zip(chosen, paths, strict=True):
                yield row, path[: self._frames(row)]

    def _frames(self, row: int) -> int:
        return 1 + int(self._store.lengths[row]) // self._features.hop_length

    def _batches(self, rows: Sequence[int]) -> Iterator[tuple[list[int], _Batch]]:
        """Yields batches of utterances of similar length, the shortest first."""
        chosen: list[int] = []
        for row in sorted(rows, key=self._frames):
            frames = (1 + len(chosen)) * self._frames(row)
            longest = max(len(self._texts[each].units) for each in (*chosen, row))
            cells = frames * longest * self.config.phoneme_states
            if chosen and (frames > _BATCH_FRAMES or cells > _BATCH_CELLS):
                yield chosen, self._batch(chosen)
                chosen = []
            chosen.append(row)
        if chosen:
            yield chosen, self._batch(chosen)

    def _batch(self, rows: Sequence[int]) -> _Batch:
        units = pad_symbols([self._texts[row].units for row in rows])
        arrays = (*self._store.batch(rows), *units)
        return _Batch(*(tf.constant(each) for each in arrays))

    def _measure_batch(self, batch: _Batch) -> tuple[tf.Tensor, ...]:
        """Returns the frames of a batch, and sums of their features and squares."""
        features, lengths = extract_features(
            batch.waveforms, batch.samples, self._features
        )
        features = tf.cast(features, tf.float64)
        return (
            tf.cast(tf.reduce_sum(lengths), tf.float64),
            tf.reduce_sum(features, axis=(0, 1)),
            tf.reduce_sum(features**2, axis=(0, 1)),
        )

    def _inputs(
        self, models: Models, batch: _Batch
    ) -> tuple[Hmm, tf.Tensor, tf.Tensor, Chains]:
        features, lengths = extract_features(
            batch.waveforms, batch.samples, self._features
        )
        features = (features - models.mean) / models.std
        chains = chain(
            batch.units,
            batch.unit_counts,
            batch.units == PAUSE_UNIT,
            self.config.phoneme_states,
        )
        return models.hmm, features, lengths, chains

    def _accumulate_batch(self, models: Models, batch: _Batch) -> Statistics:
        return baum_welch(*self._inputs(models, batch))

    def _decode_batch(self, models: Models, batch: _Batch) -> tf.Tensor:
        return viterbi(*self._inputs(models, batch))[0]


def tiers(
    text: PronouncedText, units: np.ndarray, hop_s: float, seconds: float
) -> dict[str, list[Interval]]:
    """Returns the intervals of an utterance, given which unit each frame is of.

    Args:
        text: The utterance.
        units: Places in it, int [frames], which never fall.
        hop_s: From the middle of one frame to that of the next.
        seconds: The length of the utterance.

    Returns:
        The intervals of its `WORDS` and `PHONES`.
    """
    first = np.flatnonzero(np.diff(units, prepend=-1))
    # A frame reaches half a hop to either side of its middle.
    bounds_s = np.append((first - 0.5) * hop_s, seconds)
    bounds_s[0] = 0.0
    phones, words = [], []
    for unit, start_s, end_s in zip(
        units[first].tolist(), bounds_s[:-1], bounds_s[1:], strict=True
    ):
        name, word = text.names[unit], text.words[unit]
        phones.append(Interval(start_s, end_s, SILENCE if name == PAUSE else name))
        if word >= 0 and len(words) == word:
            words.append(Interval(start_s, end_s, text.labels[word]))
        elif word >= 0:
            words[word] = words[word]._replace(end_s=end_s)
    return {WORDS: words, PHONES: phones}
