"""Vocoders: acoustic frames in, a waveform out, in TensorFlow's own operations.

All have the interface `Vocoder`, so that a task or an exported graph takes any of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf

from models.config import AT_LEAST_1, BELOW_1, Options, argument
from models.layers.cepstral_filter import filter_frames
from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.excitation import noise, pulses_and_noise
from tfspeech.audio.features import mel_filters
from tfspeech.audio.lpc import lpc_response
from tfspeech.audio.overlap import OverlappingFrames
from tfspeech.errors import SpecError

# Updates that find magnitudes for mel magnitudes; more are not heard.
_MEL_UPDATES = 5


class Vocoder(Protocol):
    """Turns the frames of `acoustic_frames` into waveforms."""

    def __call__(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Synthesizes a batch; padding and batch mates do not change an utterance.

        Args:
            frames: float32 [batch, frames, frame_dim].
            frame_lengths: int32 [batch], the valid frames of each.

        Returns:
            The waveforms, float32 [batch, samples], where full scale is 1 (it may be
            exceeded), 0 beyond the valid samples; and the number of valid samples,
            int32 [batch]: from the centre of the first frame to that of the last,
            (frame_lengths - 1) x hop_length.
        """


@dataclasses.dataclass(frozen=True)
class GriffinLim(Options):
    """Finds a waveform whose mel energies are those given, by alternating projections.

    Fast Griffin-Lim: D. Griffin and J. Lim, "Signal Estimation from Modified Short-Time
    Fourier Transform", 1984, with the momentum of N. Perraudin, P. Balazs and P.
    Sondergaard, "A Fast Griffin-Lim Algorithm", 2013, which is linear and is therefore
    applied to the waveform. The phases start as if each bin of the FFT held one
    sinusoid of its own frequency, so that nothing is random. What the frames leave open
    is decided by the least differences in them: waveforms of two graphs that round
    differently are compared by their frames, not by their samples.

    Args:
        config: The frames; linear-prediction parameters in them are not used.
        iterations: Projections, at least 1.
        momentum: 0 is the method of 1984; below 1 and close to it converges fastest.

    Raises:
        SpecError: A value is out of its range.
    """

    error = SpecError
    config: AcousticConfig
    iterations: int = argument(32, AT_LEAST_1)
    momentum: float = argument(0.99, BELOW_1)

    def __call__(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Synthesizes a batch: see `Vocoder`."""
        config = self.config
        overlapping = OverlappingFrames(frame_lengths, tf.shape(frames)[1], config)
        magnitudes = mel_to_magnitudes(frames[:, :, : config.num_mels], config)
        magnitudes = tf.where(overlapping.valid, magnitudes, 0.0)
        # The phase of a bin near 0 is arbitrary and must not blow up rounding errors.
        least = tf.square(0.1 * magnitudes) + 1e-20

        def project(
            iteration: tf.Tensor, waveform: tf.Tensor, previous: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            ahead = waveform + self.momentum * (waveform - previous)
            real, imag = overlapping.spectra(ahead)
            power = tf.square(real) + tf.square(imag) + least
            scale = magnitudes * tf.math.rsqrt(power)
            waveform_next = overlapping.waveforms(scale * real, scale * imag)
            return iteration + 1, waveform_next, waveform

        start = overlapping.waveforms(*self._first_spectrum(magnitudes))
        _, waveform, _ = tf.while_loop(
            lambda iteration, *_: iteration < self.iterations,
            project,
            (tf.constant(0), start, start),
        )
        waveform = waveform[:, config.frame_length // 2 :]
        return valid_samples(waveform, frame_lengths, config.hop_length)

    def _first_spectrum(self, magnitudes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        fft_length = self.config.spectrogram.fft_length
        bins = tf.range(fft_length // 2 + 1)
        times = tf.range(tf.shape(magnitudes)[1])[:, None] * self.config.hop_length
        # In integers, so that long utterances lose no precision.
        turns = tf.cast(bins * times % fft_length, tf.float32) / fft_length
        # Schroeder's phases, quadratic in frequency: the bins have no common peak.
        turns += tf.square(tf.cast(bins, tf.float32)) / (2 * fft_length)
        phases = 2 * np.pi * turns
        return magnitudes * tf.cos(phases), magnitudes * tf.sin(phases)


class LpcSynthesis:
    """Filters an excitation by the linear-prediction parameters in the frames.

    With the pitch in the frames that is pulses and noise; else it is white noise, which
    gives whispered speech.

    Args:
        config: The frames.

    Raises:
        SpecError: The frames have no such parameters.
    """

    def __init__(self, config: AcousticConfig) -> None:
        if not config.lpc_order:
            raise SpecError(
                "the lpc vocoder needs frames with linear-prediction parameters; set "
                "lpc_order, for example to 24. Received: lpc_order=0"
            )
        self.config = config

    def __call__(
        self, frames: tf.Tensor, frame_lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Synthesizes a batch: see `Vocoder`."""
        config = self.config
        if config.pitch:
            valid = tf.sequence_mask(frame_lengths, tf.shape(frames)[1])[:, :, None]
            log_pitch, voicing = tf.unstack(
                tf.where(valid, frames[:, :, -2:], 0.0), axis=2
            )
            excitation = pulses_and_noise(
                log_pitch, voicing, config.hop_length, config.sample_rate_hz
            )
        else:
            samples = tf.shape(frames)[1] * config.hop_length
            excitation = noise(samples, config.sample_rate_hz)[None, :]
        return self.synthesize(excitation, frames, frame_lengths)

    def synthesize(
        self, excitation: tf.Tensor, frames: tf.Tensor, frame_lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Filters an excitation of mean square 1.

        Products of spectra stand for the recursion, which is slow sample by sample; see
        `filter_frames`.

        Args:
            excitation: float32 [batch or 1, frames x hop_length], from the centre of
                the first frame on.
            frames: float32 [batch, frames, frame_dim].
            frame_lengths: int32 [batch], the valid frames of each.

        Returns:
            As `Vocoder`.
        """
        config, hop_length = self.config, self.config.hop_length
        fft_length = 2 * config.spectrogram.fft_length
        valid = tf.sequence_mask(frame_lengths, tf.shape(frames)[1])[:, :, None]
        last = config.num_mels + config.lpc_order + 1
        parameters = tf.where(valid, frames[:, :, config.num_mels : last], 0.0)
        response = lpc_response(parameters, fft_length)
        waveform = filter_frames([(excitation, response)], hop_length, fft_length)
        return valid_samples(waveform, frame_lengths, hop_length)


def mel_to_magnitudes(log_mel: tf.Tensor, config: AcousticConfig) -> tf.Tensor:
    """Returns magnitude spectra, none negative, whose mel magnitudes are those given.

    They start as an interpolation between the centres of the filters and follow the
    multiplicative updates of D. Lee and H. Seung, "Algorithms for Non-negative Matrix
    Factorization", 2000.

    Args:
        log_mel: float32 [..., num_mels].
        config: The frames.

    Returns:
        float32 [..., fft_length // 2 + 1], 0 where no filter reaches.
    """
    filters = mel_filters(config.spectrogram)
    weights = filters / filters.sum(axis=0)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    mel = tf.maximum(tf.exp(log_mel) - config.magnitude_floor, 0.0)
    magnitudes = tf.matmul(mel, (weights / filters.sum(axis=0)).T)
    wanted = tf.matmul(mel, filters.T)
    for _ in range(_MEL_UPDATES):
        reached = tf.matmul(tf.matmul(magnitudes, filters), filters.T)
        magnitudes *= wanted / tf.maximum(reached, 1e-12)
    return magnitudes


def valid_samples(
    waveforms: tf.Tensor, frame_lengths: tf.Tensor, hop_length: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Cuts waveforms to what lies between the centres of the first and last frames.

    Args:
        waveforms: float32 [batch, samples], from the centre of the first frame on.
        frame_lengths: int32 [batch], the valid frames of each.
        hop_length: Samples from one frame to the next.

    Returns:
        As `Vocoder`.
    """
    lengths = tf.maximum(tf.cast(frame_lengths, tf.int32) - 1, 0) * hop_length
    waveforms = waveforms[:, : tf.reduce_max(lengths)]
    return tf.where(tf.sequence_mask(lengths), waveforms, 0.0), lengths


VOCODERS: Mapping[str, Callable[..., Vocoder]] = {
    "griffin_lim": GriffinLim,
    "lpc": LpcSynthesis,
}
"""Builders of vocoders, from the config of the frames and their own arguments."""
