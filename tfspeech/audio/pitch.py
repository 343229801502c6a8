"""The fundamental frequency of speech, in TensorFlow's own operations.

P. Boersma, "Accurate Short-Term Analysis of the Fundamental Frequency and the
Harmonics-to-Noise Ratio of a Sampled Sound", 1993: peaks of the autocorrelation of a
frame, divided by that of its window, are candidates, and dynamic programming chooses
among them and silence.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfspeech.audio.features import FeatureConfig, frame_energies
from tfspeech.errors import SpecError

LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
"""The pitches that are looked for, unless others are asked for."""

_CANDIDATES = 6
# Frames hold so many periods of the lowest pitch.
_PERIODS = 3
# Boersma's names and scale: a periodic frame has the strength 1.
_VOICING_THRESHOLD, _SILENCE_THRESHOLD, _OCTAVE_COST = 0.5, 0.02, 0.01
# Of a change, for frames that are 10 ms apart.
_OCTAVE_JUMP_COST, _VOICING_COST = 0.35, 0.14
_IMPOSSIBLE = -1e6
_NO_PITCH_HZ = 150.0


def track_pitch(
    waveforms: tf.Tensor,
    lengths: tf.Tensor,
    hop_length: int,
    sample_rate_hz: int,
    low_hz: float = LOWEST_HZ,
    high_hz: float = HIGHEST_HZ,
) -> tf.Tensor:
    """Finds the pitch of a batch of padded waveforms.

    Args:
        waveforms: float32 [batch, samples].
        lengths: int32 [batch], the valid samples of each; what is beyond them, whatever
            it is, changes nothing.
        hop_length: Samples from one frame to the next; frame t is centred on sample
            t x hop_length.
        sample_rate_hz: The rate of the waveforms.
        low_hz: The lowest pitch.
        high_hz: The highest.

    Returns:
        Hz, float32 [batch, 1 + samples // hop_length]; 0 where unvoiced and beyond the
        1 + length // hop_length valid frames.

    Raises:
        SpecError: The pitches are no range below half the sample rate.
    """
    if not 0 < low_hz < high_hz < sample_rate_hz / 2:
        raise SpecError(
            "low_hz and high_hz must be above 0, below half of sample_rate_hz and in "
            f"this order. Received: low_hz={low_hz:g}, high_hz={high_hz:g}, "
            f"sample_rate_hz={sample_rate_hz}"
        )
    frames = _frames(hop_length, sample_rate_hz, low_hz)
    # A frame more than there are: paths have two at least.
    waveforms = tf.pad(waveforms, [[0, 0], [0, hop_length]])
    power, frame_lengths = frame_energies(waveforms, lengths, frames)
    valid = tf.sequence_mask(frame_lengths, tf.shape(power)[1])
    correlation, level = _autocorrelation(power, frames, int(sample_rate_hz / low_hz))
    loudest = tf.reduce_max(tf.where(valid, level, 0.0), axis=1, keepdims=True)
    pitch_hz, strength = _candidates(correlation, sample_rate_hz, low_hz, high_hz)
    audible = level / tf.maximum(loudest, 1e-9)
    silence = 2 - audible * (1 + _VOICING_THRESHOLD) / _SILENCE_THRESHOLD
    unvoiced = _VOICING_THRESHOLD + tf.maximum(0.0, silence)
    pitch_hz = tf.pad(pitch_hz, [[0, 0], [0, 0], [1, 0]])
    strength = tf.concat([unvoiced[:, :, tf.newaxis], strength], axis=2)
    # The end costs nothing, wherever the padding puts it.
    costs = _transition_costs(pitch_hz, 0.01 * sample_rate_hz / hop_length)
    costs = tf.where(valid[:, 1:, tf.newaxis, tf.newaxis], costs, 0.0)
    path = _best_path(tf.where(valid[:, :, tf.newaxis], strength, 0.0), costs)
    chosen_hz = tf.gather(pitch_hz, path, batch_dims=2)
    return tf.where(valid, chosen_hz, 0.0)[:, :-1]


def log_pitch_and_voicing(pitch_hz: tf.Tensor) -> tf.Tensor:
    """Separates how high a voice is from whether there is one.

    Args:
        pitch_hz: Hz, float32 [batch, frames], 0 where unvoiced.

    Returns:
        float32 [batch, frames, 2]: ln of the pitch, on straight lines from one voiced
        frame to the next and constant before the first and after the last, of 150 Hz
        without any; and 1 where voiced, else 0.
    """
    voiced = tf.cast(pitch_hz > 0, tf.int32)
    log_pitch = tf.math.log(tf.where(pitch_hz > 0, pitch_hz, _NO_PITCH_HZ))
    # The places of the voiced frames, in order, before those of the others.
    places = tf.argsort(voiced, axis=1, direction="DESCENDING", stable=True)
    passed = tf.cumsum(voiced, axis=1)
    last = tf.maximum(passed[:, -1:] - 1, 0)
    before, after = (
        tf.gather(places, tf.clip_by_value(rank, 0, last), batch_dims=1)
        for rank in (passed - 1, passed)
    )
    left, right = (tf.gather(log_pitch, i, batch_dims=1) for i in (before, after))
    way = tf.cast(tf.range(tf.shape(voiced)[1]) - before, tf.float32)
    share = tf.math.divide_no_nan(way, tf.cast(after - before, tf.float32))
    line = left + share * (right - left)
    return tf.stack([line, tf.cast(voiced, tf.float32)], axis=2)


def _frames(hop_length: int, sample_rate_hz: int, low_hz: float) -> FeatureConfig:
    """Returns the spectrogram whose frames are long enough for the lowest pitch."""
    frame_length = math.ceil(_PERIODS * sample_rate_hz / low_hz)
    return FeatureConfig(
        features="spectrogram",
        sample_rate_hz=sample_rate_hz,
        frame_length_ms=1000 * frame_length / sample_rate_hz,
        hop_length_ms=1000 * hop_length / sample_rate_hz,
        preemphasis=0.0,
    )


def _autocorrelation(
    power: tf.Tensor, frames: FeatureConfig, longest: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the autocorrelation at the lags 0 to longest + 1, and the level.

    The window's own is divided out, so that a periodic frame has 1 at its period.

    Args:
        power: Float32 [batch, frames, bins].
        frames: The frames they are of.
        longest: The longest lag in samples.

    Returns:
        float32 [batch, frames, longest + 2], 0 in digital silence; and float32
        [batch, frames], the root mean square of the samples under the window.
    """
    angle = 2 * np.pi * np.arange(frames.frame_length) / frames.frame_length
    window_power = np.abs(np.fft.rfft(1 - np.cos(angle), frames.fft_length)) ** 2 / 4
    window_correlation = np.fft.irfft(window_power)[: longest + 2].astype(np.float32)
    correlation = tf.signal.irfft(tf.cast(power, tf.complex64))[:, :, : longest + 2]
    correlation /= window_correlation
    energy = correlation[:, :, :1]
    normalized = tf.math.divide_no_nan(correlation, energy)
    return normalized, tf.sqrt(tf.maximum(energy[:, :, 0], 0.0))


def _candidates(
    correlation: tf.Tensor, sample_rate_hz: int, low_hz: float, high_hz: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the best peaks in Hz and their strengths, [batch, frames, candidates].

    Places and heights are those of parabolas through three lags.
    """
    first = math.ceil(sample_rate_hz / high_hz)
    before, here, after = (
        correlation[:, :, first + shift : shift - 1 or None] for shift in (-1, 0, 1)
    )
    is_peak = (here > before) & (here >= after)
    slope, bend = (after - before) / 2, before - 2 * here + after
    offset = tf.where(is_peak, -tf.math.divide_no_nan(slope, bend), 0.0)
    lag = tf.range(first, first + tf.shape(here)[2])
    period_s = (tf.cast(lag, tf.float32) + offset) / sample_rate_hz
    height = here + slope * offset / 2
    octaves = tf.math.log(low_hz * period_s) / math.log(2)
    strength = tf.where(is_peak, height - _OCTAVE_COST * octaves, _IMPOSSIBLE)
    strength, best = tf.math.top_k(strength, min(_CANDIDATES, here.shape[2]))
    return tf.gather(1 / period_s, best, batch_dims=2), strength


def _transition_costs(pitch_hz: tf.Tensor, scale: float) -> tf.Tensor:
    """Returns the costs [batch, frames - 1, from, to]; 0 Hz is unvoiced."""
    voiced = pitch_hz > 0
    octave = tf.where(voiced, tf.math.log(tf.maximum(pitch_hz, 1.0)), 0.0) / math.log(2)
    jump = tf.abs(octave[:, :-1, :, tf.newaxis] - octave[:, 1:, tf.newaxis, :])
    before, after = voiced[:, :-1, :, tf.newaxis], voiced[:, 1:, tf.newaxis, :]
    costs = tf.where(before & after, _OCTAVE_JUMP_COST * jump, 0.0)
    return scale * tf.where(before ^ after, _VOICING_COST, costs)


def _best_path(strength: tf.Tensor, costs: tf.Tensor) -> tf.Tensor:
    """Viterbi's algorithm: the states of the largest strength less costs.

    Args:
        strength: Float32 [batch, frames, states].
        costs: Float32 [batch, frames - 1, states, states].

    Returns:
        int32 [batch, frames].
    """
    strength = tf.transpose(strength, [1, 0, 2])
    costs = tf.transpose(costs, [1, 0, 2, 3])

    def forward(best: tf.Tensor, frame: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        strength, costs = frame
        return strength + tf.reduce_max(best[:, :, tf.newaxis] - costs, axis=1)

    best = tf.scan(forward, (strength[1:], costs), strength[0])
    best = tf.concat([strength[:1], best], axis=0)
    origins = tf.argmax(best[:-1, :, :, tf.newaxis] - costs, 2, tf.int32)
    last = tf.argmax(best[-1], axis=1, output_type=tf.int32)

    def backward(state: tf.Tensor, origins: tf.Tensor) -> tf.Tensor:
        return tf.gather(origins, state, batch_dims=1)

    path = tf.scan(backward, origins, last, reverse=True)
    return tf.transpose(tf.concat([path, last[tf.newaxis]], axis=0))
