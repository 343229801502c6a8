"""Forced alignment: when each phoneme of known texts is spoken.

Hidden Markov models of the phonemes, without context and from a flat start, are trained
on the very recordings that they then align (S. Young et al., "The HTK Book", chapter 3,
without its dictionary: eSpeak NG pronounces the texts).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from models.config import option
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
from tfspeech.errors import TextError
from tfspeech.text.normalize import normalize
from tfspeech.text.phonemes import PAUSE, PHONEMES, STRESSES, WORD, text_to_phonemes

SILENCE = "sil"

_MARKS = "".join(STRESSES.values())
# Stress changes how long and how loud a phoneme is, not what it sounds like.
UNITS = (PAUSE, *dict.fromkeys(each.lstrip(_MARKS) for each in PHONEMES))
_UNIT = {name: number for number, name in enumerate(UNITS)}
_PAUSE = _UNIT[PAUSE]

_STAY, _PAUSES_TAKEN = 0.6, 0.2  # Before anything is known.
_VARIANCE_FLOOR = 0.01  # Of the variance of all frames.
_LEAST_FRAMES = 10.0
_LEAST_VARIANCE = 1e-6
_RARE = 10
# The sizes of a batch: frames, and frames times the places of their utterances.
_BATCH_FRAMES, _BATCH_CELLS = 40_000, 10_000_000


@dataclasses.dataclass(frozen=True)
class AlignmentConfig:
    """Hidden Markov models of the phonemes."""

    phoneme_states: int = option(2, "states of a phoneme, one after the other")
    gaussians: int = option(4, "Gaussians in a state's mixture, a power of 2")
    iterations: int = option(6, "of Baum-Welch, with each size of the mixtures")
    training_minutes: float = option(
        10.0,
        "audio the models are trained on; utterances with phonemes that are rare in it "
        "are added",
        unit="min",
    )

    def __post_init__(self) -> None:
        doublings = math.log2(max(self.gaussians, 1))
        for name, valid, wanted in (
            ("phoneme_states", self.phoneme_states >= 1, "at least 1"),
            ("gaussians", self.gaussians >= 1 and doublings % 1 == 0, "a power of 2"),
            ("iterations", self.iterations >= 1, "at least 1"),
            ("training_minutes", self.training_minutes > 0, "above 0"),
        ):
            if not valid:
                raise ValueError(
                    f"{name} must be {wanted}. Received: {getattr(self, name)}"
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


class PronouncedText(NamedTuple):
    """The phonemes of a text, with a pause before, between and after its words.

    Attributes:
        names: Phonemes and `PAUSE`.
        words: The word that each is of; -1 for a pause.
        labels: The words. Where eSpeak says a pair as one, the first has both.
    """

    names: list[str]
    words: list[int]
    labels: list[str]

    @property
    def units(self) -> np.ndarray:
        """Their numbers in `UNITS`, int32 [units]."""
        return np.array([_UNIT[each.lstrip(_MARKS)] for each in self.names], np.int32)


def read_text(text: str) -> PronouncedText:
    """Pronounces a text.

    Raises:
        TextError: There is nothing to say, or no American English.
    """
    normal = normalize(text)
    names, owners, labels, waiting = [PAUSE], [-1], [], ""
    spoken = zip(WORD.finditer(normal), text_to_phonemes(normal), strict=True)
    for word, phonemes in spoken:
        unknown = [each for each in phonemes if each not in PHONEMES]
        if unknown:
            raise TextError(
                f"eSpeak NG says {word[0]!r} with the phoneme {unknown[0]!r}, which is "
                f"not American English; spell it in another way. Received: {text!r}"
            )
        if phonemes:
            names += [*phonemes, PAUSE]
            owners += [len(labels)] * len(phonemes) + [-1]
            labels.append(waiting + word[0])
            waiting = ""
        elif labels:
            labels[-1] += " " + word[0]
        else:
            waiting += word[0] + " "
    if not labels:
        raise TextError(f"there is nothing to say in the text. Received: {text!r}")
    return PronouncedText(names, owners, labels)


class Models(NamedTuple):
    """The models of the phonemes.

    Attributes:
        hmm: Their parameters.
        mean: Of the features of all frames, float32 [dim].
        std: The same.
    """

    hmm: Hmm
    mean: tf.Tensor
    std: tf.Tensor


class Training(NamedTuple):
    """How far the training is.

    Attributes:
        models: As they are now.
        log_likelihoods: Of a frame, by iteration, natural logarithms.
    """

    models: Models
    log_likelihoods: tuple[float, ...] = ()


class _Batch(NamedTuple):
    """Utterances side by side.

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
        texts: Theirs.
        config: The models.
        features: What is computed from the waveforms, at the rate of the store.

    Attributes:
        config: The models.
    """

    def __init__(
        self,
        store: AudioStore,
        texts: Sequence[PronouncedText],
        config: AlignmentConfig,
        features: FeatureConfig,
    ) -> None:
        self._store = store
        self._texts = texts
        self._units = [text.units for text in texts]
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
        self._count = tf.function(self._count_batch, [models, batch])
        self._find = tf.function(self._find_batch, [models, batch])

    def fits(self, row: int) -> bool:
        """Whether an utterance has at least one frame for each state of its text."""
        phonemes = np.sum(self._units[row] != _PAUSE)
        return self._frames(row) >= max(2, phonemes * self.config.phoneme_states)

    def training_rows(self, rows: Sequence[int]) -> list[int]:
        """Returns which of some utterances to train on, always the same.

        They are drawn until there is enough audio; after that, those that have a
        phoneme of which there are less than 10.
        """
        seen = np.zeros(len(UNITS), np.int64)
        chosen, samples = [], 0
        wanted = self.config.training_minutes * 60 * self._features.sample_rate_hz
        for row in np.random.default_rng(0).permutation(rows).tolist():
            is_wanted = samples < wanted or seen[self._units[row]].min() < _RARE
            if is_wanted:
                chosen.append(row)
                samples += int(self._store.lengths[row])
                np.add.at(seen, self._units[row], 1)
        return chosen

    def start(self, rows: Sequence[int]) -> Training:
        """Returns what there is before the first iteration.

        Args:
            rows: The utterances to train on.
        """
        sums = [self._measure(batch) for _, batch in self._batches(rows)]
        count, total, squares = (
            np.sum(each, axis=0) for each in zip(*sums, strict=True)
        )
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, _LEAST_VARIANCE))
        dim = self._features.feature_dim
        states = len(UNITS) * self.config.phoneme_states
        hmm = flat_start(tf.zeros(dim), tf.ones(dim), states, _STAY, _PAUSES_TAKEN)
        return Training(Models(hmm, *(tf.constant(v, "float32") for v in (mean, std))))

    def train(self, rows: Sequence[int], training: Training) -> Iterator[Training]:
        """Trains the models.

        Args:
            rows: The utterances to train on; each must fit its text.
            training: Where to go on.

        Yields:
            What there is after each iteration.
        """
        batches = [batch for _, batch in self._batches(rows)]
        floor = tf.fill([self._features.feature_dim], _VARIANCE_FLOOR)
        for done in range(len(training.log_likelihoods), self.config.total_iterations):
            models = training.models
            if done and done % self.config.iterations == 0:
                models = models._replace(hmm=split_gaussians(models.hmm))
            counts = [self._count(models, batch) for batch in batches]
            total = Statistics(*(tf.add_n(each) for each in zip(*counts, strict=True)))
            log_likelihood = float(total.log_likelihood / total.frames)
            hmm = reestimate(models.hmm, total, floor, _LEAST_FRAMES)
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
        for chosen, batch in self._batches(rows):
            places = self._find(models, batch).numpy()
            for row, path in zip(chosen, places, strict=True):
                units = path[: self._frames(row)] // self.config.phoneme_states
                yield row, self._tiers(row, units)

    def _frames(self, row: int) -> int:
        return 1 + int(self._store.lengths[row]) // self._features.hop_length

    def _batches(self, rows: Sequence[int]) -> Iterator[tuple[list[int], _Batch]]:
        """Yields batches of utterances of similar length, the shortest first."""
        chosen: list[int] = []
        for row in sorted(rows, key=self._frames):
            frames = (1 + len(chosen)) * self._frames(row)
            longest = max(len(self._units[each]) for each in (*chosen, row))
            cells = frames * longest * self.config.phoneme_states
            if chosen and (frames > _BATCH_FRAMES or cells > _BATCH_CELLS):
                yield chosen, self._batch(chosen)
                chosen = []
            chosen.append(row)
        if chosen:
            yield chosen, self._batch(chosen)

    def _batch(self, rows: Sequence[int]) -> _Batch:
        counts = np.array([len(self._units[row]) for row in rows], np.int32)
        units = np.full((len(rows), counts.max()), _PAUSE, np.int32)
        for place, row in enumerate(rows):
            units[place, : counts[place]] = self._units[row]
        arrays = (*self._store.batch(rows), units, counts)
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
            batch.units == _PAUSE,
            self.config.phoneme_states,
        )
        return models.hmm, features, lengths, chains

    def _count_batch(self, models: Models, batch: _Batch) -> Statistics:
        return baum_welch(*self._inputs(models, batch))

    def _find_batch(self, models: Models, batch: _Batch) -> tf.Tensor:
        return viterbi(*self._inputs(models, batch))[0]

    def _tiers(self, row: int, units: np.ndarray) -> dict[str, list[Interval]]:
        """Returns the intervals of an utterance, given which unit each frame is of."""
        text = self._texts[row]
        rate_hz = self._features.sample_rate_hz
        first = np.flatnonzero(np.diff(units, prepend=-1))
        # A frame reaches half a hop to either side of its middle.
        bounds_s = (first - 0.5) * self._features.hop_length / rate_hz
        bounds_s = np.append(bounds_s, self._store.lengths[row] / rate_hz)
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
