"""Excitation of the filters of synthetic speech: pulses and noise, in TensorFlow.

Pulse trains are sums of all harmonics below half the sample rate in closed form, so
that pulses lie between samples and nothing aliases: T. Stilson and J. Smith,
"Alias-Free Digital Synthesis of Classic Analog Waveforms", 1996. Above 6 kHz some noise
takes their place, as in voices: Y. Stylianou, "Applying the Harmonic Plus Noise Model
in Concatenative Speech Synthesis", 2001.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

# Measured on LJ Speech and eSpeak NG, at the period: correlations above this frequency
# are 0.5 and 0.8, below it 0.8 and 0.9 or more.
_MIXED_HZ, _NOISE_SHARE = 6000.0, 0.4
_LOWEST_HZ = 20.0
_FLATTENINGS = 60

NOISE_FRAMES = 100
"""After so many frames `flat_noise` begins again."""


def noise(samples: tf.Tensor, sample_rate_hz: int) -> tf.Tensor:
    """Returns white noise of mean square 1, float32 [samples], always the same."""
    places = tf.range(samples) % sample_rate_hz
    return tf.gather(_white_second(sample_rate_hz), places)


def flat_noise(
    first_frame: tf.Tensor, frames: tf.Tensor, hop_length: int, frame_length: int
) -> tf.Tensor:
    """Returns noise with nearly the same magnitudes in all frames, always the same.

    Those of white noise vary by 6 dB from frame to frame, and so do those of filtered
    noise, whatever the filter. These vary by 1.5 dB. They repeat themselves after
    `NOISE_FRAMES`.

    Args:
        first_frame: Number of the first frame, int32 [batch].
        frames: How many.
        hop_length: Samples from one frame to the next.
        frame_length: Samples of a frame, under a Hann window.

    Returns:
        float32 [batch, frames, hop_length], of mean square 1, from the centre of a
        frame to that of the next.
    """
    places = first_frame[:, tf.newaxis] + tf.range(frames)
    period = _flat_period(hop_length, frame_length)
    return tf.gather(period, places % NOISE_FRAMES)


def pulses(
    log_pitch: tf.Tensor,
    hop_length: int,
    sample_rate_hz: int,
    first_turns: tf.Tensor | float = 0.0,
) -> tf.Tensor:
    """Makes a train of band-limited pulses of mean square 1.

    Args:
        log_pitch: ln of the pitch in Hz, float32 [batch, frames]; it is linear in Hz
            from frame to frame.
        hop_length: Samples from one frame to the next.
        sample_rate_hz: The rate of the pulses.
        first_turns: The phase at the centre of the first frame, float32 [batch].

    Returns:
        float32 [batch, frames, hop_length]; each row starts at the centre of its frame.
    """
    pitch_hz = _audible(log_pitch, sample_rate_hz)
    before = turns_before(log_pitch, hop_length, sample_rate_hz, first_turns)
    turns, sample_hz = _turns(pitch_hz, before, hop_length, sample_rate_hz)
    count = tf.floor(sample_rate_hz / 2 / sample_hz)
    return _cosines(turns, count) * tf.math.rsqrt(2 * count)


def pulses_and_noise(
    log_pitch: tf.Tensor, voicing: tf.Tensor, hop_length: int, sample_rate_hz: int
) -> tf.Tensor:
    """Makes an excitation of mean square 1 and a flat spectrum.

    Args:
        log_pitch: ln of the pitch in Hz, float32 [batch, frames]; it is linear in Hz
            from frame to frame.
        voicing: float32 [batch, frames]; pulses from 0.75 on, noise up to 0.25, and a
            mixture between, for a model is rarely sure.
        hop_length: Samples from one frame to the next.
        sample_rate_hz: The rate of the excitation.

    Returns:
        float32 [batch, frames x hop_length], from the centre of the first frame on.
    """
    shape = tf.shape(log_pitch)
    samples = shape[1] * hop_length
    mixed = _mixed_pulses(log_pitch, hop_length, sample_rate_hz)
    mixed = tf.reshape(mixed, [shape[0], -1])
    voiced = _per_sample(tf.clip_by_value(2 * voicing - 0.5, 0.0, 1.0), hop_length)
    voiced = tf.reshape(voiced, [shape[0], -1])
    places = tf.range(samples) % sample_rate_hz
    high_noise = tf.gather(_high_second(sample_rate_hz), places)
    return tf.sqrt(voiced) * (mixed + high_noise) + tf.sqrt(1 - voiced) * noise(
        samples, sample_rate_hz
    )


def turns_before(
    log_pitch: tf.Tensor,
    hop_length: int,
    sample_rate_hz: int,
    first_turns: tf.Tensor | float = 0.0,
) -> tf.Tensor:
    """Adds up the phase of a gliding pitch; see `pulses`.

    It is added up in double precision, or long utterances would go out of tune.

    Returns:
        The phases at the centres of the frames, in turns from 0 to 1, float32 [batch,
        frames].
    """
    pitch_hz = _audible(log_pitch, sample_rate_hz)
    ahead = tf.concat([pitch_hz[:, 1:], pitch_hz[:, -1:]], axis=1)
    hops = tf.cast(pitch_hz + ahead, tf.float64) * hop_length / (2 * sample_rate_hz)
    first = tf.expand_dims(tf.cast(first_turns, tf.float64), -1)
    before = (first + tf.cumsum(hops, axis=1, exclusive=True)) % 1.0
    return tf.cast(before, tf.float32)


def _audible(log_pitch: tf.Tensor, sample_rate_hz: int) -> tf.Tensor:
    """Returns a pitch in Hz, within what has harmonics."""
    return tf.clip_by_value(tf.exp(log_pitch), _LOWEST_HZ, sample_rate_hz / 4)


def _mixed_pulses(
    log_pitch: tf.Tensor, hop_length: int, sample_rate_hz: int
) -> tf.Tensor:
    """Returns harmonics that are weaker where noise joins them, as of `pulses`."""
    pitch_hz = _audible(log_pitch, sample_rate_hz)
    before = turns_before(log_pitch, hop_length, sample_rate_hz)
    turns, sample_hz = _turns(pitch_hz, before, hop_length, sample_rate_hz)
    count = tf.floor(sample_rate_hz / 2 / sample_hz)
    low_count = tf.minimum(count, tf.floor(_MIXED_HZ / sample_hz))
    level = np.sqrt(1 - _NOISE_SHARE)
    harmonics = level * _cosines(turns, count) + (1 - level) * _cosines(
        turns, low_count
    )
    return harmonics * tf.math.rsqrt(2 * count)


def _turns(
    pitch_hz: tf.Tensor, before: tf.Tensor, hop_length: int, sample_rate_hz: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the phase of a gliding pitch, in turns in [-0.5, 0.5], and the pitch.

    Both are float32 [batch, frames, hop_length].
    """
    sample_hz = _per_sample(pitch_hz, hop_length)
    # Turns since the frame's centre, the integral of the pitch.
    sample = tf.range(hop_length, dtype=tf.float32)
    turns = sample * (pitch_hz[:, :, tf.newaxis] + sample_hz) / (2 * sample_rate_hz)
    turns += before[:, :, tf.newaxis]
    return turns - tf.round(turns), sample_hz


def _cosines(turns: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns 2 sum cos(2 pi n turns), n = 1 ... count: Dirichlet's kernel less 1."""
    sine = tf.sin(np.pi * turns)
    at_pulse = tf.abs(sine) < 1e-6
    ratio = tf.sin(np.pi * (2 * count + 1) * turns) / tf.where(at_pulse, 1.0, sine)
    return tf.where(at_pulse, 2 * count, ratio - 1)


def _per_sample(values: tf.Tensor, hop_length: int) -> tf.Tensor:
    """Returns what is on the lines between frames, [batch, frames, hop_length]."""
    ahead = tf.concat([values[:, 1:], values[:, -1:]], axis=1)
    share = tf.range(hop_length, dtype=tf.float32) / hop_length
    return values[:, :, tf.newaxis] + share * (ahead - values)[:, :, tf.newaxis]


@functools.lru_cache(maxsize=8)
def _white_second(sample_rate_hz: int) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(sample_rate_hz)
    return noise.astype(np.float32)


@functools.lru_cache(maxsize=8)
def _high_second(sample_rate_hz: int) -> np.ndarray:
    """Returns the noise above the frequency where it joins the pulses."""
    spectrum = np.fft.rfft(_white_second(sample_rate_hz))
    spectrum[: round(_MIXED_HZ)] = 0  # Bins of a second are 1 Hz apart.
    high = np.sqrt(_NOISE_SHARE) * np.fft.irfft(spectrum, sample_rate_hz)
    return high.astype(np.float32)


@functools.lru_cache(maxsize=8)
def _flat_period(hop_length: int, frame_length: int) -> np.ndarray:
    """A period of `flat_noise`, float32 [NOISE_FRAMES, hop_length].

    By the method of D. Griffin and J. Lim, 1984, for constant magnitudes.
    """
    samples = NOISE_FRAMES * hop_length
    waveform = np.random.default_rng(0).standard_normal(samples)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame_length) / frame_length)
    centres = np.arange(NOISE_FRAMES)[:, None] * hop_length
    places = (centres + np.arange(frame_length) - frame_length // 2) % samples

    def added(pieces: np.ndarray) -> np.ndarray:
        return np.bincount(places.ravel(), pieces.ravel(), samples)

    weight = added(np.broadcast_to(np.square(window), places.shape))
    for _ in range(_FLATTENINGS):
        spectra = np.fft.rfft(waveform[places] * window)
        spectra /= np.maximum(np.abs(spectra), 1e-9)
        pieces = np.fft.irfft(spectra, frame_length)
        waveform = added(pieces * window) / weight
    waveform /= np.sqrt(np.mean(np.square(waveform)))
    return waveform.reshape(NOISE_FRAMES, hop_length).astype(np.float32)
