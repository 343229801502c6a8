"""Augmentation of training audio, in batched and seeded TensorFlow ops.

What moves in time acts on waveforms. What colours acts on the energies of frames (see
`frame_energies`), where a room, a microphone and noise are sums and products, at a
hundredth of the cost. The same seed changes a batch in the same way.
"""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from models.config import option


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of the training set."""

    speed: float = option(
        0.1,
        "largest change of speed, as a share; it moves pitch and formants too, like "
        "another vocal tract",
    )
    time_shift_ms: float = option(
        20.0, "longest silence put before and behind an utterance", unit="ms"
    )
    gain_db: float = option(6.0, "largest change of level, up or down", unit="dB")
    tempo: float = option(0.1, "largest change of tempo at the same pitch, as a share")
    room_share: float = option(0.1, "share of utterances put in a room")
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
    noise_share: float = option(0.6, "share of utterances with noise added")
    snr_min_db: float = option(5.0, "lowest ratio of speech to noise", unit="dB")
    snr_max_db: float = option(35.0, "highest ratio of speech to noise", unit="dB")
    time_masks: int = option(1, "SpecAugment: stretches of time that are hidden")
    time_mask_share: float = option(
        0.15, "SpecAugment: longest of them, as a share of the utterance"
    )
    frequency_masks: int = option(0, "SpecAugment: bands of features that are hidden")
    frequency_mask_share: float = option(
        0.15, "SpecAugment: widest of them, as a share of the features"
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            is_share = field.name.endswith("share") or field.name in ("speed", "tempo")
            if not field.name.startswith("snr") and not 0 <= value <= (
                1 if is_share else math.inf
            ):
                wanted = "in [0, 1]" if is_share else "0 or more"
                raise ValueError(f"{field.name} must be {wanted}. Received: {value}")
        if not self.snr_min_db <= self.snr_max_db:
            raise ValueError(
                "snr_min_db must not be above snr_max_db. Received: "
                f"{self.snr_min_db}, {self.snr_max_db}"
            )


def augment_waveforms(
    waveforms: tf.Tensor,
    lengths: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentConfig,
    sample_rate_hz: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Changes speed (by linear interpolation), place in time and level.

    Source of the change of speed: Ko et al. 2015, "Audio augmentation for speech
    recognition".

    Args:
        waveforms: float32 [batch, samples].
        lengths: int32 [batch], in samples.
        seed: int64 [2].
        config: What to change, and by how much at most.
        sample_rate_hz: The rate of the waveforms.

    Returns:
        Waveforms, zero beyond the lengths, and lengths, both changed.
    """
    seeds = tf.unstack(tf.random.split(seed, 4))
    shift = config.time_shift_ms * sample_rate_hz / 1000
    before = tf.round(_uniform(lengths, seeds[0], 0.0, shift))
    behind = tf.round(_uniform(lengths, seeds[1], 0.0, shift))
    factor = _factor(lengths, seeds[2], config.speed)
    gain_db = _uniform(lengths, seeds[3], -config.gain_db, config.gain_db)
    spoken = tf.floor(tf.cast(lengths, tf.float32) / factor)
    new_lengths = tf.cast(before + spoken + behind, tf.int32)
    samples = tf.reduce_max(new_lengths)
    place = tf.range(samples, dtype=tf.float32) - before[:, tf.newaxis]
    heard = (place >= 0.0) & (place < spoken[:, tf.newaxis])
    changed = _interpolate(waveforms, tf.maximum(place * factor[:, tf.newaxis], 0.0))
    gain = tf.pow(10.0, gain_db / 20.0)[:, tf.newaxis]
    return tf.where(heard, changed * gain, 0.0), new_lengths


def augment_energies(
    energies: tf.Tensor,
    lengths: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentConfig,
    hop_length_ms: float,
    noise: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Changes tempo, dynamics, room and microphone, and adds noise.

    Args:
        energies: float32 [batch, frames, bands], linear in power.
        lengths: int32 [batch], in frames.
        seed: int64 [2].
        config: What to change, and by how much at most.
        hop_length_ms: From one frame to the next.
        noise: Energies of recorded background noise, float32 [frames, bands]; half of
            the noisy utterances get a piece of it, the others synthetic noise.

    Returns:
        Energies and lengths, both changed. What is beyond the lengths is arbitrary.
    """
    seeds = tf.unstack(tf.random.split(seed, 5))
    energies, lengths = change_tempo(energies, lengths, seeds[0], config.tempo)
    energies = change_dynamics(energies, lengths, seeds[1], config.dynamics)
    energies = change_room(energies, lengths, seeds[2], config, hop_length_ms)
    energies = change_microphone(energies, seeds[3], config)
    return add_noise(energies, lengths, seeds[4], config, noise), lengths


def change_tempo(
    energies: tf.Tensor, lengths: tf.Tensor, seed: tf.Tensor, change: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Plays each utterance up to `change` faster or slower at the same pitch."""
    if not change:
        return energies, lengths
    factor = _factor(lengths, seed, change)
    lengths = tf.maximum(tf.cast(tf.cast(lengths, tf.float32) / factor, tf.int32), 1)
    place = tf.range(tf.reduce_max(lengths), dtype=tf.float32) * factor[:, tf.newaxis]
    return _interpolate(energies, place), lengths


def change_dynamics(
    energies: tf.Tensor, lengths: tf.Tensor, seed: tf.Tensor, change: float
) -> tf.Tensor:
    """Compresses or expands: frames at level e below the loudest go to e^(1 + x).

    x is uniform in [-change, change]; levels below -40 dB move as those at -40 dB.
    """
    speech = tf.sequence_mask(lengths, tf.shape(energies)[1])[:, :, tf.newaxis]
    level = tf.reduce_mean(energies, axis=2, keepdims=True)
    loudest = tf.reduce_max(tf.where(speech, level, 0.0), axis=1, keepdims=True)
    relative = tf.clip_by_value(level / tf.maximum(loudest, 1e-30), 1e-4, 1.0)
    exponent = _uniform(lengths, seed, -change, change)[:, tf.newaxis, tf.newaxis]
    return energies * tf.pow(relative, exponent)


def change_room(
    energies: tf.Tensor,
    lengths: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentConfig,
    hop_length_ms: float,
) -> tf.Tensor:
    """Adds the diffuse sound of a room, whose energy decays exponentially.

    Source: Polack 1988, for the model; the ratio of direct to diffuse sound is uniform
    between -3 and 12 dB, the time of decay between a fifth of the longest and that.
    """
    if not config.room_share or not config.room_decay_ms:
        return energies
    seeds = tf.unstack(tf.random.split(seed, 4))
    share = _uniform(lengths, seeds[0], 0.2, 1.0)[:, tf.newaxis, tf.newaxis]
    per_frame = tf.exp(-math.log(1e6) * hop_length_ms / (share * config.room_decay_ms))
    # Sums over 1, 2, 4, ... frames, each from the one before.
    diffuse, power = _later(energies, 1) * per_frame, per_frame
    for doubling in range(
        math.ceil(math.log2(config.room_decay_ms / hop_length_ms + 1))
    ):
        diffuse += power * _later(diffuse, 2**doubling)
        power = tf.square(power)
    ratio_db = _uniform(lengths, seeds[1], -3.0, 12.0)
    in_room = _uniform(lengths, seeds[2], 0.0, 1.0) < config.room_share
    amount = tf.where(in_room, tf.pow(10.0, -ratio_db / 10.0), 0.0)
    total = per_frame / (1.0 - per_frame)
    ripple = tf.random.stateless_uniform(tf.shape(energies), seeds[3], 0.3, 1.7)
    return energies + amount[:, tf.newaxis, tf.newaxis] / total * diffuse * ripple


def change_microphone(
    energies: tf.Tensor, seed: tf.Tensor, config: AugmentConfig
) -> tf.Tensor:
    """Filters by a random response: a smooth curve through 7 points, and a tilt."""
    seeds = tf.unstack(tf.random.split(seed, 2))
    batch, bands = tf.shape(energies)[0], energies.shape[2]
    curve_db = _smooth_curves(batch, bands, seeds[0]) * config.equalizer_db
    tilt_db = tf.random.stateless_uniform(
        [batch, 1], seeds[1], -config.tilt_db, config.tilt_db
    )
    response_db = curve_db + tilt_db * tf.linspace(-1.0, 1.0, bands)
    return energies * tf.pow(10.0, response_db / 10.0)[:, tf.newaxis]


def add_noise(
    energies: tf.Tensor,
    lengths: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentConfig,
    noise: tf.Tensor | None = None,
) -> tf.Tensor:
    """Adds noise at a random signal-to-noise ratio to a share of the utterances.

    Where speech has the energy E and noise N, their sum has E + N + 2 sqrt(E N) cos p,
    the phase p being random. Synthetic noise is Gaussian with a smooth, random
    spectrum; its energies have the exponential distribution.
    """
    seeds = tf.unstack(tf.random.split(seed, 6))
    shape, bands = tf.shape(energies), energies.shape[2]
    colour_db = 6.0 * _smooth_curves(shape[0], bands, seeds[0])
    uniform = tf.random.stateless_uniform(shape, seeds[1], 1e-6, 1.0)
    added = tf.pow(10.0, colour_db / 10.0)[:, tf.newaxis] * -tf.math.log(uniform)
    if noise is not None:
        recorded = _random_pieces(noise, shape[0], shape[1], seeds[2])
        every_other = (tf.range(shape[0]) % 2 == 0)[:, tf.newaxis, tf.newaxis]
        added = tf.where(every_other, recorded, added)
    snr_db = _uniform(lengths, seeds[3], config.snr_min_db, config.snr_max_db)
    chosen = _uniform(lengths, seeds[4], 0.0, 1.0) < config.noise_share
    ratio = _mean_energy(energies, lengths) / _mean_energy(added, lengths)
    gain = tf.where(chosen, ratio * tf.pow(10.0, -snr_db / 10.0), 0.0)
    added *= gain[:, tf.newaxis, tf.newaxis]
    cosine = tf.cos(tf.random.stateless_uniform(shape, seeds[5], 0.0, math.pi))
    return energies + added + 2.0 * tf.sqrt(energies * added) * cosine


def augment_features(
    features: tf.Tensor, lengths: tf.Tensor, seed: tf.Tensor, config: AugmentConfig
) -> tf.Tensor:
    """SpecAugment: hides random stretches of time and bands of features.

    What is hidden takes the mean of its feature over the utterance. Source: Park et al.
    2019, "SpecAugment" (arXiv 1904.08779).

    Args:
        features: float32 [batch, frames, dim], zero beyond the lengths.
        lengths: int32 [batch], in frames.
        seed: int64 [2].
        config: How much to hide.

    Returns:
        float32 [batch, frames, dim].
    """
    seeds = tf.unstack(tf.random.split(seed, 2))
    frames, dim = tf.shape(features)[1], features.shape[2]
    bands = tf.fill(tf.shape(lengths), dim)
    in_time = _random_spans(
        lengths, frames, seeds[0], config.time_masks, config.time_mask_share
    )
    in_frequency = _random_spans(
        bands, dim, seeds[1], config.frequency_masks, config.frequency_mask_share
    )
    hidden = in_time[:, :, tf.newaxis] | in_frequency[:, tf.newaxis, :]
    count = tf.cast(tf.maximum(lengths, 1), tf.float32)[:, tf.newaxis, tf.newaxis]
    mean = tf.reduce_sum(features, axis=1, keepdims=True) / count
    speech = tf.sequence_mask(lengths, frames)[:, :, tf.newaxis]
    return tf.where(hidden & speech, mean, features)


def _interpolate(values: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Values [batch, time, ...] at places [batch, new time] >= 0, linear between."""
    batch, time = tf.shape(values)[0], tf.shape(values)[1]
    before = tf.floor(places)
    share = tf.reshape(
        places - before,
        tf.concat([tf.shape(places), tf.ones_like(tf.shape(values)[2:])], 0),
    )
    first = tf.minimum(tf.cast(before, tf.int32), time - 1)
    second = tf.minimum(first + 1, time - 1)
    # One flat gather is faster than one with batch dimensions.
    flat = tf.reshape(values, tf.concat([[batch * time], tf.shape(values)[2:]], 0))
    row = (tf.range(batch) * time)[:, tf.newaxis]
    start = tf.gather(flat, first + row)
    return start + (tf.gather(flat, second + row) - start) * share


def _later(values: tf.Tensor, frames: int) -> tf.Tensor:
    """Values [batch, time, bands] that many frames later, with zeros in front."""
    padded = tf.pad(values, [[0, 0], [frames, 0], [0, 0]])
    return padded[:, : tf.shape(values)[1]]


def _smooth_curves(batch: tf.Tensor, size: int, seed: tf.Tensor) -> tf.Tensor:
    """Random curves [batch, size], linear between 7 points of deviation 1."""
    points = tf.random.stateless_normal([batch, 7], seed)
    places = tf.tile(tf.linspace(0.0, 6.0, size)[tf.newaxis], [batch, 1])
    return _interpolate(points, places)


def _random_pieces(
    noise: tf.Tensor, batch: tf.Tensor, frames: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """Pieces of [all frames, bands] from random places, [batch, frames, bands]."""
    total = tf.shape(noise)[0]
    starts = tf.random.stateless_uniform([batch], seed, 0, total, tf.int32)
    return tf.gather(noise, (starts[:, tf.newaxis] + tf.range(frames)) % total)


def _mean_energy(energies: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Mean over valid frames and all bands, [batch], never 0."""
    speech = tf.sequence_mask(lengths, tf.shape(energies)[1])[:, :, tf.newaxis]
    total = tf.reduce_sum(tf.where(speech, energies, 0.0), axis=(1, 2))
    count = tf.cast(tf.maximum(lengths, 1) * energies.shape[2], tf.float32)
    return tf.maximum(total / count, 1e-30)


def _random_spans(
    lengths: tf.Tensor, size: tf.Tensor, seed: tf.Tensor, count: int, share: float
) -> tf.Tensor:
    """Bool [batch, size], true in random spans of up to a share of `lengths`."""
    draws = tf.random.stateless_uniform([2, tf.size(lengths), count, 1], seed)
    total = tf.cast(lengths, tf.float32)[:, tf.newaxis, tf.newaxis]
    span = draws[0] * share * total
    start = draws[1] * (total - span)
    place = tf.range(tf.cast(size, tf.float32))
    return tf.reduce_any((place >= start) & (place < start + span), axis=1)


def _factor(lengths: tf.Tensor, seed: tf.Tensor, change: float) -> tf.Tensor:
    """A random factor per utterance between 1 / (1 + change) and 1 + change."""
    return tf.exp(_uniform(lengths, seed, -math.log1p(change), math.log1p(change)))


def _uniform(lengths: tf.Tensor, seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """One random float32 per utterance, [batch]."""
    return tf.random.stateless_uniform(tf.shape(lengths), seed, low, high)
