"""Augmentation of training audio, in batched and seeded TensorFlow ops.

The same seed changes a batch in the same way. Every function takes and returns audio as
float32 [batch, samples], zero beyond the lengths, and lengths as int32 [batch].
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
        0.15,
        "largest change of speed, as a share; it moves pitch and formants too, like "
        "another vocal tract",
    )
    time_shift_ms: float = option(
        100.0, "longest silence put before an utterance", unit="ms"
    )
    gain_db: float = option(6.0, "largest change of level, up or down", unit="dB")
    equalizer_db: float = option(
        6.0, "deviation of a random, smooth microphone response", unit="dB"
    )
    room_share: float = option(0.3, "share of utterances put in a small room")
    room_decay_ms: float = option(
        300.0, "longest time in which a room's sound falls by 60 dB", unit="ms"
    )
    noise_share: float = option(0.5, "share of utterances with noise added")
    snr_min_db: float = option(5.0, "lowest ratio of speech to noise", unit="dB")
    snr_max_db: float = option(30.0, "highest ratio of speech to noise", unit="dB")
    time_masks: int = option(2, "SpecAugment: stretches of time that are hidden")
    time_mask_share: float = option(
        0.15, "SpecAugment: longest of them, as a share of the utterance"
    )
    frequency_masks: int = option(2, "SpecAugment: bands of features that are hidden")
    frequency_mask_share: float = option(
        0.15, "SpecAugment: widest of them, as a share of the features"
    )

    def __post_init__(self) -> None:
        shares = (
            "speed",
            "room_share",
            "noise_share",
            "time_mask_share",
            "frequency_mask_share",
        )
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be in [0, 1]. Received: {getattr(self, name)}"
                )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value < 0 and not field.name.startswith("snr"):
                raise ValueError(
                    f"{field.name} must not be negative. Received: {value}"
                )
        if self.snr_min_db > self.snr_max_db:
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
    noise: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Speaks a batch of utterances otherwise, elsewhere, into another microphone.

    Args:
        waveforms: float32 [batch, samples].
        lengths: int32 [batch], in samples.
        seed: int64 [2].
        config: What to change, and by how much at most.
        sample_rate_hz: The rate of the waveforms.
        noise: Recorded background noise, float32 [samples]; half of the noisy
            utterances get a piece of it, the others synthetic noise.

    Returns:
        Waveforms and lengths, both changed.
    """
    seeds = tf.unstack(tf.random.split(seed, 5))
    waveforms, lengths = change_speed(waveforms, lengths, seeds[0], config.speed)
    longest_shift = int(config.time_shift_ms * sample_rate_hz / 1000)
    waveforms, lengths = shift_time(waveforms, lengths, seeds[1], longest_shift)
    waveforms = change_room(waveforms, lengths, seeds[2], config, sample_rate_hz)
    waveforms = add_noise(waveforms, lengths, seeds[3], config, noise)
    gain_db = _uniform(lengths, seeds[4], -config.gain_db, config.gain_db)
    waveforms *= tf.pow(10.0, gain_db / 20.0)[:, tf.newaxis]
    return _silence_padding(waveforms, lengths), lengths


def change_speed(
    waveforms: tf.Tensor, lengths: tf.Tensor, seed: tf.Tensor, change: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Plays each utterance up to `change` faster or slower, by cubic interpolation.

    Source: Ko et al. 2015, "Audio augmentation for speech recognition". The curve
    through four neighbours is that of Catmull and Rom.
    """
    factors = tf.exp(_uniform(lengths, seed, -math.log1p(change), math.log1p(change)))
    lengths = tf.cast(tf.cast(lengths, tf.float32) / factors, tf.int32)
    positions = (
        tf.range(tf.reduce_max(lengths), dtype=tf.float32) * factors[:, tf.newaxis]
    )
    before = tf.floor(positions)
    t = positions - before
    index = tf.cast(before, tf.int32) + 1
    # One zero in front, and enough behind for the neighbours of the last position.
    padded = tf.pad(waveforms, [[0, 0], [1, 3]])
    index = tf.minimum(index, tf.shape(padded)[1] - 3)
    a, b, c, d = (
        tf.gather(padded, index + offset, batch_dims=1) for offset in (-1, 0, 1, 2)
    )
    cubic = ((3.0 * (b - c) + d - a) * t + 2.0 * a - 5.0 * b + 4.0 * c - d) * t + c - a
    return _silence_padding(b + 0.5 * t * cubic, lengths), lengths


def shift_time(
    waveforms: tf.Tensor, lengths: tf.Tensor, seed: tf.Tensor, longest: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Puts silence of up to `longest` samples before and behind each utterance."""
    shifts = tf.random.stateless_uniform(
        [2, tf.size(lengths)], seed, 0, longest + 1, tf.int32
    )
    samples = tf.shape(waveforms)[1] + 2 * longest
    index = tf.range(samples)[tf.newaxis] - shifts[0][:, tf.newaxis]
    padded = tf.pad(waveforms, [[0, 0], [0, 1]])
    inside = (index >= 0) & (index < lengths[:, tf.newaxis])
    index = tf.where(inside, index, tf.shape(waveforms)[1])
    lengths += shifts[0] + shifts[1]
    return tf.gather(padded, index, batch_dims=1)[:, : tf.reduce_max(lengths)], lengths


def change_room(
    waveforms: tf.Tensor,
    lengths: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentConfig,
    sample_rate_hz: int,
) -> tf.Tensor:
    """Filters each utterance by a random room and a random microphone.

    A room is white noise that decays exponentially after the direct sound (Polack
    1988); a microphone is a smooth curve in dB through random points over frequency.
    """
    seeds = tf.unstack(tf.random.split(seed, 5))
    batch = tf.size(lengths)
    decay_samples = max(int(config.room_decay_ms * sample_rate_hz / 1000), 1)
    time = tf.range(decay_samples, dtype=tf.float32) / decay_samples
    # By 60 dB, a factor of 1,000, over a share of the longest decay.
    share = _uniform(lengths, seeds[0], 0.2, 1.0)[:, tf.newaxis]
    envelope = tf.exp(-math.log(1000.0) * time / share)
    tail = tf.random.stateless_normal([batch, decay_samples], seeds[1]) * envelope
    tail /= tf.norm(tail, axis=1, keepdims=True)
    level = _uniform(lengths, seeds[2], 0.1, 0.8)
    in_room = tf.cast(
        _uniform(lengths, seeds[3], 0.0, 1.0) < config.room_share, level.dtype
    )
    tail *= (level * in_room)[:, tf.newaxis]
    response = tf.concat([1.0 + tail[:, :1], tail[:, 1:]], axis=1)
    samples = tf.shape(waveforms)[1]
    fft_length = _power_of_two(samples + decay_samples)
    spectrum = tf.signal.rfft(waveforms, [fft_length])
    spectrum *= tf.signal.rfft(response, [fft_length])
    curve_db = _smooth_curve(batch, fft_length // 2 + 1, seeds[4]) * config.equalizer_db
    spectrum *= tf.cast(tf.pow(10.0, curve_db / 20.0), spectrum.dtype)
    return tf.signal.irfft(spectrum, [fft_length])[:, :samples]


def add_noise(
    waveforms: tf.Tensor,
    lengths: tf.Tensor,
    seed: tf.Tensor,
    config: AugmentConfig,
    noise: tf.Tensor | None = None,
) -> tf.Tensor:
    """Adds noise at a random signal-to-noise ratio to a share of the utterances.

    Synthetic noise has a spectrum of 1 / f^a, a between 0 (white) and 2 (brown).
    """
    seeds = tf.unstack(tf.random.split(seed, 5))
    shape = tf.shape(waveforms)
    fft_length = _power_of_two(shape[1])
    bins = fft_length // 2 + 1
    parts = tf.random.stateless_normal([2, shape[0], bins], seeds[0])
    slope = _uniform(lengths, seeds[1], 0.0, 1.0)[:, tf.newaxis]
    colour = tf.pow(1.0 + tf.range(bins, dtype=tf.float32), -slope)
    added = tf.signal.irfft(
        tf.complex(parts[0] * colour, parts[1] * colour), [fft_length]
    )
    added = added[:, : shape[1]]
    if noise is not None:
        latest = tf.maximum(tf.size(noise) - shape[1], 1)
        starts = tf.random.stateless_uniform([shape[0]], seeds[2], 0, latest, tf.int32)
        index = (starts[:, tf.newaxis] + tf.range(shape[1])) % tf.size(noise)
        recorded = tf.range(shape[0]) % 2 == 0
        added = tf.where(recorded[:, tf.newaxis], tf.gather(noise, index), added)
    added = _silence_padding(added, lengths)
    snr_db = _uniform(lengths, seeds[3], config.snr_min_db, config.snr_max_db)
    ratio = tf.norm(waveforms, axis=1) / tf.maximum(tf.norm(added, axis=1), 1e-9)
    chosen = _uniform(lengths, seeds[4], 0.0, 1.0) < config.noise_share
    gain = tf.where(chosen, ratio * tf.pow(10.0, -snr_db / 20.0), 0.0)
    return waveforms + added * gain[:, tf.newaxis]


def augment_features(
    features: tf.Tensor, lengths: tf.Tensor, seed: tf.Tensor, config: AugmentConfig
) -> tf.Tensor:
    """SpecAugment: hides random stretches of time and bands of features.

    What is hidden takes the mean of the utterance. Source: Park et al. 2019,
    "SpecAugment" (arXiv 1904.08779).

    Args:
        features: float32 [batch, frames, dim], zero beyond the lengths.
        lengths: int32 [batch], in frames.
        seed: int64 [2].
        config: How much to hide.

    Returns:
        float32 [batch, frames, dim].
    """
    seeds = tf.random.split(seed, 2)
    frames, dim = tf.shape(features)[1], tf.shape(features)[2]
    widths = tf.fill(tf.shape(lengths), dim)
    in_time = _random_spans(
        lengths, frames, seeds[0], config.time_masks, config.time_mask_share
    )
    in_frequency = _random_spans(
        widths, dim, seeds[1], config.frequency_masks, config.frequency_mask_share
    )
    hidden = in_time[:, :, tf.newaxis] | in_frequency[:, tf.newaxis, :]
    count = tf.cast(tf.maximum(lengths, 1) * dim, tf.float32)
    mean = tf.reduce_sum(features, axis=(1, 2)) / count
    speech = tf.sequence_mask(lengths, frames)[:, :, tf.newaxis]
    return tf.where(hidden & speech, mean[:, tf.newaxis, tf.newaxis], features)


def _random_spans(
    lengths: tf.Tensor, size: tf.Tensor, seed: tf.Tensor, count: int, share: float
) -> tf.Tensor:
    """Bool [batch, size], true in random spans of up to a share of `lengths`."""
    shape = [2, tf.size(lengths), count]
    draws = tf.random.stateless_uniform(shape, seed)
    total = tf.cast(lengths, tf.float32)[:, tf.newaxis]
    span = draws[0] * share * total
    start = draws[1] * (total - span)
    place = tf.range(size, dtype=tf.float32)[tf.newaxis, tf.newaxis]
    start, span = start[:, :, tf.newaxis], span[:, :, tf.newaxis]
    return tf.reduce_any((place >= start) & (place < start + span), axis=1)


def _smooth_curve(batch: tf.Tensor, size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Curves [batch, size] of deviation 1 through 8 random points, linear between."""
    points = tf.random.stateless_normal([batch, 8, 1, 1], seed)
    size = tf.stack([size, 1])
    return tf.image.resize(points, size, method="bilinear")[:, :, 0, 0]


def _uniform(lengths: tf.Tensor, seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """One random float32 per utterance, [batch]."""
    return tf.random.stateless_uniform(tf.shape(lengths), seed, low, high)


def _silence_padding(waveforms: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    mask = tf.sequence_mask(lengths, tf.shape(waveforms)[1], waveforms.dtype)
    return waveforms * mask


def _power_of_two(minimum: tf.Tensor) -> tf.Tensor:
    """The smallest power of two that is not below an int32 scalar."""
    exponent = tf.math.log(tf.cast(minimum, tf.float32)) / math.log(2.0)
    return tf.cast(tf.pow(2.0, tf.math.ceil(exponent - 1e-6)), tf.int32)
