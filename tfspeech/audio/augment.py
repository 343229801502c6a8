"""Augmentation of training audio, in batched and seeded TensorFlow ops.

What moves in time acts on waveforms. What colours acts on the energies of frames (see
`frame_energies`), where a room, a microphone and noise are sums and products, at a
hundredth of the cost. Every utterance has a seed, which alone decides what happens to
it, whatever else is in its batch and however far that is padded.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from models.config import FINITE, NOT_NEGATIVE, SHARE, Options, option
from models.layers.random import normal, uniform


@dataclasses.dataclass(frozen=True)
class AugmentConfig(Options):
    """Augmentation of the training set."""

    speed: float = option(
        0.1,
        "largest change of speed, as a share; it moves pitch and formants too, like "
        "another vocal tract",
        SHARE,
    )
    time_shift_ms: float = option(
        20.0, "longest silence put before and behind an utterance", unit="ms"
    )
    gain_db: float = option(6.0, "largest change of level, up or down", unit="dB")
    tempo: float = option(
        0.1, "largest change of tempo at the same pitch, as a share", SHARE
    )
    room_share: float = option(0.1, "share of utterances put in a room", SHARE)
    room_decay_ms: float = option(
        250.0, "longest time in which a room's sound falls by 60 dB", unit="ms"
    )
    equalizer_db: float = option(
        4.0, "standard deviation of a microphone's random response", unit="dB"
    )
    tilt_db: float = option(
        5.0, "largest tilt of the spectrum, from middle to either end", unit="dB"
    )
    dynamics: float = option(
        0.4, "largest change of the dynamics: the level of a frame to the power 1 +- x"
    )
    noise_share: float = option(0.6, "share of utterances with noise added", SHARE)
    snr_min_db: float = option(
        5.0, "lowest ratio of speech to noise", FINITE, unit="dB"
    )
    snr_max_db: float = option(
        35.0, "highest ratio of speech to noise", FINITE, unit="dB"
    )
    telephone_share: float = option(
        0.0, "share of utterances limited to the band of a telephone", SHARE
    )
    time_masks: int = option(
        1, "SpecAugment: stretches of time that are hidden", NOT_NEGATIVE
    )
    time_mask_share: float = option(
        0.15, "SpecAugment: longest of them, as a share of the utterance", SHARE
    )
    frequency_masks: int = option(
        0, "SpecAugment: bands of features that are hidden", NOT_NEGATIVE
    )
    frequency_mask_share: float = option(
        0.15, "SpecAugment: widest of them, as a share of the features", SHARE
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.snr_min_db <= self.snr_max_db,
            "snr_min_db",
            f"at most snr_max_db, {self.snr_max_db}",
        )


def augment_waveforms(
    waveforms: tf.Tensor,
    lengths: tf.Tensor,
    seeds: tf.Tensor,
    config: AugmentConfig,
    sample_rate_hz: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Changes speed (by linear interpolation), place in time and level.

    Source of the change of speed: Ko et al. 2015, "Audio augmentation for speech
    recognition".

    Args:
        waveforms: float32 [batch, samples].
        lengths: int32 [batch], in samples.
        seeds: int64 [batch].
        config: What to change, and by how much at most.
        sample_rate_hz: The rate of the waveforms.

    Returns:
        Waveforms, zero beyond the lengths, and lengths, both changed.
    """
    before, stretched, factor, new_lengths, gain_db = _speed(
        lengths, seeds, config, sample_rate_hz
    )
    samples = tf.reduce_max(new_lengths)
    place = tf.range(samples, dtype=tf.float32) - before[:, tf.newaxis]
    audible = (place >= 0.0) & (place < stretched[:, tf.newaxis])
    place = tf.maximum(place * factor[:, tf.newaxis], 0.0)
    changed = _interpolate(waveforms, lengths, place)
    gain = tf.pow(10.0, gain_db / 20.0)[:, tf.newaxis]
    return tf.where(audible, changed * gain, 0.0), new_lengths


def source_places(
    frames: tf.Tensor,
    lengths: tf.Tensor,
    seeds: tf.Tensor,
    config: AugmentConfig,
    sample_rate_hz: int,
    hop_length: int,
) -> tf.Tensor:
    """Returns where frames of augmented utterances come from.

    Args:
        frames: How many there are, an int32 scalar.
        lengths: Of the utterances before `augment_waveforms`, int32 [batch], in
            samples.
        seeds: int64 [batch].
        config: Of `augment_waveforms` and `augment_energies`.
        sample_rate_hz: The rate of the waveforms.
        hop_length: Samples from one frame to the next.

    Returns:
        Places of their middles in the waveforms as they were, float32 [batch, frames],
        in samples; below 0 or beyond the lengths where silence was put.
    """
    before, _, factor, _, _ = _speed(lengths, seeds, config, sample_rate_hz)
    tempo = tf.ones_like(factor)
    if config.tempo:
        tempo = _tempo_factors(seeds, config.tempo)
    times = tf.range(frames, dtype=tf.float32) * tempo[:, tf.newaxis]
    return (times * hop_length - before[:, tf.newaxis]) * factor[:, tf.newaxis]


def augment_energies(
    energies: tf.Tensor,
    lengths: tf.Tensor,
    seeds: tf.Tensor,
    config: AugmentConfig,
    hop_length_ms: float,
    noise: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Changes tempo, dynamics, room and microphone, and adds noise.

    Args:
        energies: float32 [batch, frames, bands], linear in power.
        lengths: int32 [batch], in frames.
        seeds: int64 [batch].
        config: What to change, and by how much at most.
        hop_length_ms: From one frame to the next.
        noise: Energies of recorded background noise, float32 [frames, bands]; half of
            the noisy utterances get a piece of it, the others synthetic noise.

    Returns:
        Energies and lengths, both changed. What is beyond the lengths is arbitrary.
    """
    energies, lengths = change_tempo(energies, lengths, seeds, config.tempo)
    energies = change_dynamics(energies, lengths, seeds, config.dynamics)
    energies = change_room(energies, seeds, config, hop_length_ms)
    energies = change_microphone(energies, seeds, config)
    return add_noise(energies, lengths, seeds, config, noise), lengths


def change_tempo(
    energies: tf.Tensor, lengths: tf.Tensor, seeds: tf.Tensor, change: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Plays each utterance up to `change` faster or slower at the same pitch."""
    if not change:
        return energies, lengths
    factor = _tempo_factors(seeds, change)
    changed = tf.cast(tf.cast(lengths, tf.float32) / factor, tf.int32)
    changed = tf.maximum(changed, 1)
    place = tf.range(tf.reduce_max(changed), dtype=tf.float32) * factor[:, tf.newaxis]
    return _interpolate(energies, lengths, place), changed


def change_dynamics(
    energies: tf.Tensor, lengths: tf.Tensor, seeds: tf.Tensor, change: float
) -> tf.Tensor:
    """Compresses or expands: frames at level e below the loudest go to e^(1 + x).

    x is uniform in [-change, change]; levels below -40 dB move as those at -40 dB.
    """
    speech = tf.sequence_mask(lengths, tf.shape(energies)[1])[:, :, tf.newaxis]
    level = tf.reduce_mean(energies, axis=2, keepdims=True)
    loudest = tf.reduce_max(tf.where(speech, level, 0.0), axis=1, keepdims=True)
    relative = tf.clip_by_value(level / tf.maximum(loudest, 1e-30), 1e-4, 1.0)
    (exponent,) = _uniform(seeds, "dynamics", (-change, change))
    return energies * tf.pow(relative, exponent[:, tf.newaxis, tf.newaxis])


def change_room(
    energies: tf.Tensor, seeds: tf.Tensor, config: AugmentConfig, hop_length_ms: float
) -> tf.Tensor:
    """Adds the diffuse sound of a room, whose energy decays exponentially.

    Source: Polack 1988, for the model; the ratio of direct to diffuse sound is uniform
    between -3 and 12 dB, the time of decay between a fifth of the longest and that.
    """
    if not config.room_share or not config.room_decay_ms:
        return energies
    share, ratio_db, place = _uniform(
        seeds, "room", (0.2, 1.0), (-3.0, 12.0), (0.0, 1.0)
    )
    share = share[:, tf.newaxis, tf.newaxis]
    per_frame = tf.exp(-math.log(1e6) * hop_length_ms / (share * config.room_decay_ms))
    # Sums over 1, 2, 4, ... frames, each from the one before.
    diffuse, power = _later(energies, 1) * per_frame, per_frame
    for doubling in range(
        math.ceil(math.log2(config.room_decay_ms / hop_length_ms + 1))
    ):
        diffuse += power * _later(diffuse, 2**doubling)
        power = tf.square(power)
    amount = tf.where(place < config.room_share, tf.pow(10.0, -ratio_db / 10.0), 0.0)
    total = per_frame / (1.0 - per_frame)
    shape = [tf.shape(energies)[1], energies.shape[2]]
    ripple = 0.3 + 1.4 * uniform(seeds, shape, "room_ripple")
    return energies + amount[:, tf.newaxis, tf.newaxis] / total * diffuse * ripple


def change_microphone(
    energies: tf.Tensor, seeds: tf.Tensor, config: AugmentConfig
) -> tf.Tensor:
    """Filters by a random response: a smooth curve through 7 points, and a tilt."""
    bands = energies.shape[2]
    curve_db = _smooth_curves(seeds, "microphone", bands) * config.equalizer_db
    (tilt_db,) = _uniform(seeds, "tilt", (-config.tilt_db, config.tilt_db))
    response_db = curve_db + tilt_db[:, tf.newaxis] * tf.linspace(-1.0, 1.0, bands)
    return energies * tf.pow(10.0, response_db / 10.0)[:, tf.newaxis]


def add_noise(
    energies: tf.Tensor,
    lengths: tf.Tensor,
    seeds: tf.Tensor,
    config: AugmentConfig,
    noise: tf.Tensor | None = None,
) -> tf.Tensor:
    """Adds noise at a random signal-to-noise ratio to a share of the utterances.

    Where speech has the energy E and noise N, their sum has E + N + 2 sqrt(E N) cos p,
    the phase p being random. Synthetic noise is Gaussian with a smooth, random
    spectrum; its energies have the exponential distribution.
    """
    frames, bands = tf.shape(energies)[1], energies.shape[2]
    snr_db, place, kind, start = _uniform(
        *(seeds, "noise"),
        *((config.snr_min_db, config.snr_max_db), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)),
    )
    fields = uniform(seeds, [frames, 2, bands], "noise_bands")
    color_db = 6.0 * _smooth_curves(seeds, "noise_color", bands)
    added = tf.pow(10.0, color_db / 10.0)[:, tf.newaxis] * -tf.math.log(
        tf.maximum(fields[:, :, 0], 1e-6)
    )
    if noise is not None:
        is_recorded = (kind < 0.5)[:, tf.newaxis, tf.newaxis]
        added = tf.where(is_recorded, _pieces(noise, start, frames), added)
    ratio = _mean_energy(energies, lengths) / _mean_energy(added, lengths)
    is_noisy = place < config.noise_share
    gain = tf.where(is_noisy, ratio * tf.pow(10.0, -snr_db / 10.0), 0.0)
    added *= gain[:, tf.newaxis, tf.newaxis]
    cosine = tf.cos(math.pi * fields[:, :, 1])
    return energies + added + 2.0 * tf.sqrt(energies * added) * cosine


def augment_features(
    features: tf.Tensor, lengths: tf.Tensor, seeds: tf.Tensor, config: AugmentConfig
) -> tf.Tensor:
    """SpecAugment: hides random stretches of time and bands of features.

    What is hidden takes the mean of its feature over the utterance. Source: Park et al.
    2019, "SpecAugment" (arXiv 1904.08779).

    Args:
        features: float32 [batch, frames, dim], zero beyond the lengths.
        lengths: int32 [batch], in frames.
        seeds: int64 [batch].
        config: How much to hide.

    Returns:
        float32 [batch, frames, dim].
    """
    frames, dim = tf.shape(features)[1], features.shape[2]
    bands = tf.fill(tf.shape(lengths), dim)
    in_time = _random_spans(
        *(seeds, "time_mask", lengths, frames),
        *(config.time_masks, config.time_mask_share),
    )
    in_frequency = _random_spans(
        *(seeds, "frequency_mask", bands, dim),
        *(config.frequency_masks, config.frequency_mask_share),
    )
    hidden = in_time[:, :, tf.newaxis] | in_frequency[:, tf.newaxis, :]
    count = tf.cast(tf.maximum(lengths, 1), tf.float32)[:, tf.newaxis, tf.newaxis]
    mean = tf.reduce_sum(features, axis=1, keepdims=True) / count
    speech = tf.sequence_mask(lengths, frames)[:, :, tf.newaxis]
    return tf.where(hidden & speech, mean, features)


def _speed(
    lengths: tf.Tensor, seeds: tf.Tensor, config: AugmentConfig, sample_rate_hz: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Draws what happens to waveforms.

    Returns:
        The silence before each and its new length without silence, in samples, the
        factor of its speed, float32 [batch]; its whole new length, int32 [batch]; and
        the change of its level in dB, float32 [batch].
    """
    shift = config.time_shift_ms * sample_rate_hz / 1000
    before, behind, log_factor, gain_db = _uniform(
        *(seeds, "waveform"),
        *((0.0, shift), (0.0, shift)),
        *(_log_factors(config.speed), (-config.gain_db, config.gain_db)),
    )
    before, behind, factor = tf.round(before), tf.round(behind), _exact_exp(log_factor)
    stretched = tf.floor(tf.cast(lengths, tf.float32) / factor)
    new_lengths = tf.cast(before + stretched + behind, tf.int32)
    return before, stretched, factor, new_lengths, gain_db


def _tempo_factors(seeds: tf.Tensor, change: float) -> tf.Tensor:
    """Draws the factors of the tempo, float32 [batch]."""
    (log_factor,) = _uniform(seeds, "tempo", _log_factors(change))
    return _exact_exp(log_factor)


def _interpolate(values: tf.Tensor, lengths: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Values [batch, time, ...] at places [batch, new time] >= 0, linear between.

    Beyond the lengths, int32 [batch], each row goes on as it ends.
    """
    batch, time = tf.shape(values)[0], tf.shape(values)[1]
    last = tf.maximum(lengths, 1)[:, tf.newaxis] - 1
    before = tf.floor(places)
    share = tf.reshape(
        places - before,
        tf.concat([tf.shape(places), tf.ones_like(tf.shape(values)[2:])], 0),
    )
    first = tf.minimum(tf.cast(before, tf.int32), last)
    second = tf.minimum(first + 1, last)
    # One flat gather is faster than one with batch dimensions.
    flat = tf.reshape(values, tf.concat([[batch * time], tf.shape(values)[2:]], 0))
    row = (tf.range(batch) * time)[:, tf.newaxis]
    start = tf.gather(flat, first + row)
    return start + (tf.gather(flat, second + row) - start) * share


def _later(values: tf.Tensor, frames: int) -> tf.Tensor:
    """Values [batch, time, bands] that many frames later, with zeros in front."""
    padded = tf.pad(values, [[0, 0], [frames, 0], [0, 0]])
    return padded[:, : tf.shape(values)[1]]


def _smooth_curves(seeds: tf.Tensor, name: str, size: int) -> tf.Tensor:
    """Random curves [batch, size], linear between 7 points of standard deviation 1."""
    points = normal(seeds, [7], name)
    places = tf.zeros_like(points[:, :1]) + tf.linspace(0.0, 6.0, size)
    return _interpolate(points, tf.fill(tf.shape(seeds), 7), places)


def _pieces(noise: tf.Tensor, start: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
    """Pieces of [all frames, bands] from `start` of it on, [batch, frames, bands].

    `start` is in [0, 1), float32 [batch]; after the last frame comes the first.
    """
    total = tf.shape(noise)[0]
    first = tf.cast(start * tf.cast(total, tf.float32), tf.int32)[:, tf.newaxis]
    return tf.gather(noise, (first + tf.range(frames)) % total)


def _mean_energy(energies: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Mean over valid frames and all bands, [batch], never 0."""
    speech = tf.sequence_mask(lengths, tf.shape(energies)[1])[:, :, tf.newaxis]
    total = tf.reduce_sum(tf.where(speech, energies, 0.0), axis=(1, 2))
    count = tf.cast(tf.maximum(lengths, 1) * energies.shape[2], tf.float32)
    return tf.maximum(total / count, 1e-30)


def _random_spans(
    seeds: tf.Tensor,
    name: str,
    lengths: tf.Tensor,
    size: tf.Tensor | int,
    count: int,
    share: float,
) -> tf.Tensor:
    """Bool [batch, size], true in random spans of up to a share of `lengths`."""
    draws = uniform(seeds, [2, count, 1], name)
    total = tf.cast(lengths, tf.float32)[:, tf.newaxis, tf.newaxis]
    span = draws[:, 0] * share * total
    start = draws[:, 1] * (total - span)
    place = tf.range(tf.cast(size, tf.float32))
    return tf.reduce_any((place >= start) & (place < start + span), axis=1)


def _log_factors(change: float) -> tuple[float, float]:
    """The range of the logarithms of factors up to 1 + `change` and its inverse."""
    return -math.log1p(change), math.log1p(change)


def _exact_exp(values: tf.Tensor) -> tf.Tensor:
    """exp, alike in every row.

    In float32 the vector instructions, which only some rows of a batch meet, round in
    another way, and a place late in an utterance multiplies that.
    """
    return tf.cast(tf.exp(tf.cast(values, tf.float64)), tf.float32)


def _uniform(
    seeds: tf.Tensor, name: str, *ranges: tuple[float, float]
) -> list[tf.Tensor]:
    """One uniform draw per utterance from each range (low, high), float32 [batch].

    They are made at once: in a small batch operations cost more than numbers.
    """
    low, high = np.array(ranges, np.float32).T
    draws = low + (high - low) * uniform(seeds, [len(ranges)], name)
    return tf.unstack(draws, axis=1)
