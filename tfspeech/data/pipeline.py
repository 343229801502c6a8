"""From waveforms in a store to batches of features, in `tf.data`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from models.layers.random import fold_in
from tfspeech.audio.augment import (
    AugmentConfig,
    augment_energies,
    augment_features,
    augment_waveforms,
)
from tfspeech.audio.decode import read_audio
from tfspeech.audio.features import (
    FeatureConfig,
    energies_to_features,
    extract_features,
    frame_energies,
)
from tfspeech.audio.resample import resample
from tfspeech.audio.telephone import band_centers_hz, limit_band
from tfspeech.data.batches import BatchPlan, ordered_batches
from tfspeech.data.cache import read_arrays
from tfspeech.data.store import AudioStore
from tfspeech.errors import SpecError

Batch = dict[str, tf.Tensor]

MAX_CACHED_BYTES = 100_000_000
"""The most memory that the batches of one split may take."""


def planned_batches(
    plan: BatchPlan,
    load: Callable[[tf.Tensor, tf.Tensor], Batch],
    first_batch: int = 0,
    *,
    seed: int,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Endless batches, epoch after epoch, as a plan says.

    Every row has a seed, derived from `seed`, the number of the batch and the place of
    the utterance. Whatever is random in training is to be drawn from it (see
    `models.layers.random`), so that it is the same wherever a row is worked on.

    Args:
        plan: Which utterances make a batch.
        load: (places of utterances, their seeds), both int64 [rows], to a batch, whose
            rows do not depend on one another but for the padding.
        first_batch: The batch to begin with; each is the same from wherever it is asked
            for.
        seed: Of the run.
        shard: (index, count): of the rows of each batch only those of one of `count`
            workers are loaded, rows index, index + count and so on.

    Returns:
        What `load` returns, and `seeds` int64 [rows].

    Raises:
        SpecError: There are more workers than rows.
    """
    index, count = shard
    if count > plan.batch_size:
        raise SpecError(
            "every worker needs at least one utterance of a batch; use a larger "
            f"batch_size or fewer workers. Received: batch_size={plan.batch_size}, "
            f"workers={count}"
        )
    per_epoch = plan.batches_per_epoch

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        chosen = tf.numpy_function(
            lambda e: plan.epoch(int(e))[:, index::count], [epoch], tf.int64
        )
        chosen = tf.ensure_shape(chosen, [per_epoch, None])
        numbers = epoch * per_epoch + tf.range(per_epoch, dtype=tf.int64)
        seeds = fold_in(tf.constant(seed, tf.int64), numbers[:, tf.newaxis], chosen)
        return tf.data.Dataset.from_tensor_slices((chosen, seeds))

    def load_seeded(rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        return load(rows, seeds) | {"seeds": seeds}

    # AutoGraph would take seconds to read the sources.
    load_seeded = tf.autograph.experimental.do_not_convert(load_seeded)
    epochs = tf.data.Dataset.range(first_batch // per_epoch, np.iinfo(np.int64).max)
    batches = epochs.flat_map(epoch_batches).skip(first_batch % per_epoch)
    batches = batches.map(load_seeded, num_parallel_calls=2, deterministic=True)
    return batches.prefetch(4)


def ordered_rows(
    lengths: np.ndarray, batch_size: int, load: Callable[[tf.Tensor], Batch]
) -> tf.data.Dataset:
    """Batches of every utterance once, the shortest first.

    Args:
        lengths: Of the utterances, [utterances], in any unit.
        batch_size: The most utterances in a batch.
        load: The utterances of a batch, int64 [batch], to the batch.
    """
    batches = ordered_batches(lengths, batch_size)
    ragged = tf.ragged.constant([rows.tolist() for rows in batches], dtype=tf.int64)
    rows = tf.data.Dataset.from_tensor_slices(ragged)
    load = tf.autograph.experimental.do_not_convert(load)
    return rows.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def augmented_words(
    store: AudioStore,
    utterances: Sequence[int],
    targets: Sequence[int],
    config: FeatureConfig,
    augment: AugmentConfig,
    noise: tf.Tensor | None = None,
) -> Callable[[tf.Tensor, tf.Tensor], Batch]:
    """Returns what loads augmented batches of labelled words, for `planned_batches`.

    Args:
        store: The waveforms.
        utterances: Places of the training set in the store.
        targets: The class of each of these utterances.
        config: The features.
        augment: The augmentation.
        noise: Energies of background noise, as of `noise_energies`.

    Returns:
        A function of places in `utterances` and seeds, int64 [batch], to `features`
        float32 [batch, frames, dim], `lengths` int32 [batch] in frames and `targets`
        int32 [batch].
    """
    utterances = np.asarray(utterances)
    target_table = tf.constant(targets, tf.int32)
    centers_hz = band_centers_hz(config)

    def load(rows: tf.Tensor, seeds: tf.Tensor) -> Batch:
        waveforms, lengths = read_arrays(store, tf.gather(utterances, rows))
        waveforms, lengths = augment_waveforms(
            waveforms, lengths, seeds, augment, config.sample_rate_hz
        )
        energies, lengths = frame_energies(waveforms, lengths, config)
        energies, lengths = augment_energies(
            energies, lengths, seeds, augment, config.hop_length_ms, noise
        )
        energies = limit_band(energies, seeds, augment.telephone_share, centers_hz)
        features, lengths = energies_to_features(energies, lengths, config)
        features = augment_features(features, lengths, seeds, augment)
        return {
            "features": features,
            "lengths": lengths,
            "targets": tf.gather(target_table, rows),
        }

    return load


def evaluation_batches(
    store: AudioStore,
    utterances: Sequence[int],
    targets: Sequence[int],
    config: FeatureConfig,
    batch_size: int,
) -> tf.data.Dataset:
    """Batches of every labelled word once, as they are, the shortest first.

    Args:
        store: The waveforms.
        utterances: Their places in the store.
        targets: The class of each.
        config: The features.
        batch_size: The most utterances in a batch.

    Returns:
        Batches as of `augmented_words`, with `rows` int64 [batch], the places of the
        utterances in `utterances`.
    """
    utterances = np.asarray(utterances, np.int64)
    target_table = np.asarray(targets, np.int32)

    def load(rows: tf.Tensor) -> Batch:
        waveforms, lengths = read_arrays(store, tf.gather(utterances, rows))
        features, lengths = extract_features(waveforms, lengths, config)
        return {
            "features": features,
            "lengths": lengths,
            "targets": tf.gather(target_table, rows),
            "rows": rows,
        }

    return ordered_rows(store.lengths[utterances], batch_size, load)


def cached(batches: tf.data.Dataset, size_bytes: int) -> tf.data.Dataset:
    """Keeps batches in memory, for the next time, unless they are too many.

    Args:
        batches: Of one split.
        size_bytes: About what they take.
    """
    return batches.cache() if size_bytes <= MAX_CACHED_BYTES else batches


def feature_statistics(
    batches: tf.data.Dataset, features: str = "features", lengths: str = "lengths"
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature over all frames that are speech.

    Args:
        batches: What is beyond the lengths is 0.
        features: The entry of a batch that is measured, [batch, frames, dim].
        lengths: The entry with its lengths.

    Returns:
        Two float64 arrays [dim].
    """
    count, total, squares = 0, 0.0, 0.0
    for batch in batches.as_numpy_iterator():
        count += int(batch[lengths].sum())
        features_of_batch = batch[features].astype(np.float64)
        total = total + features_of_batch.sum((0, 1))
        squares = squares + np.square(features_of_batch).sum((0, 1))
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0.0))


def noise_energies(files: Sequence[Path], config: FeatureConfig) -> tf.Tensor | None:
    """Energies of recorded noise, all files one after the other; None for no files.

    Args:
        files: The recordings.
        config: The features.

    Returns:
        float32 [frames, bands], as of `frame_energies`.

    Raises:
        AudioError: A file cannot be decoded.
    """
    energies = []
    for file in files:
        samples, rate_hz = read_audio(file)
        waveform = resample(tf.constant(samples), rate_hz, config.sample_rate_hz)
        length = tf.size(waveform)[tf.newaxis]
        energies.append(frame_energies(waveform[tf.newaxis], length, config)[0][0])
    return tf.concat(energies, axis=0) if energies else None
