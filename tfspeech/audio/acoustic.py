"""Acoustic frames: what a synthesis model predicts and a vocoder turns into speech."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from models.config import POSITIVE, between, option
from tfspeech.audio.features import (
    FeatureConfig,
    FrameOptions,
    frame_energies,
    mel_filters,
)
from tfspeech.audio.lpc import lpc_parameters, pitch_adaptive_power
from tfspeech.audio.pitch import log_pitch_and_voicing, track_pitch
from tfspeech.audio.resample import RATES_HZ
from tfspeech.errors import SpecError


@dataclasses.dataclass(frozen=True)
class AcousticConfig(FrameOptions):
    """Settings of `acoustic_frames`. Raises SpecError for values out of range.

    A frame is `num_mels` log-mel magnitudes and, with an `lpc_order`, the parameters of
    `tfspeech.audio.lpc` after them; with `pitch`, ln F0 and voicing come last.
    """

    sample_rate_hz: int = option(
        0,
        "rate of the audio; 0: the corpus's own, at most 22050",
        RATES_HZ,
        unit="Hz",
    )
    frame_length_ms: float = option(
        46.0, "length of a frame, rounded to whole samples", POSITIVE, unit="ms"
    )
    hop_length_ms: float = option(
        12.5,
        "from one frame to the next, rounded to whole samples",
        POSITIVE,
        unit="ms",
    )
    # With 80 filters up to 11 kHz the harmonics of voices around 100 Hz run into one
    # another, and Griffin-Lim whispers: 72 % of frames are wrongly unvoiced. With 112
    # it is 9 %.
    num_mels: int = option(112, "mel filters; low voices need many")
    mel_low_hz: float = option(50.0, "where the mel filters start", unit="Hz")
    mel_high_hz: float = option(
        0.0, "where the mel filters end; 0: half the sample rate", unit="Hz"
    )
    magnitude_floor: float = option(
        1e-3,
        "added to mel magnitudes before the logarithm; vowels reach about 1",
        POSITIVE,
    )
    lpc_order: int = option(
        0,
        "poles of linear prediction, whose parameters follow the mels; 0: none",
        between(0, 64),
    )
    pitch: bool = option(
        False, "log F0 and voicing follow the parameters of linear prediction"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pitch and not self.lpc_order:
            raise SpecError(
                "pitch needs linear prediction, whose filters it excites; set "
                "lpc_order, for example to 24. Received: pitch=True, lpc_order=0"
            )
        # Checks the mel filters; a second is a whole number of samples at any rate.
        FeatureConfig(
            sample_rate_hz=self.sample_rate_hz,
            frame_length_ms=1000,
            hop_length_ms=1000,
            num_mels=self.num_mels,
            mel_low_hz=self.mel_low_hz,
            mel_high_hz=self.mel_high_hz,
            features="mel",
        )
        self.require(
            self.hop_length_ms * 2 <= self.frame_length_ms,
            "hop_length_ms",
            f"at most half of frame_length_ms, {self.frame_length_ms!r}, so that "
            "frames overlap",
        )

    def _samples(self, name: str) -> float:
        return max(1.0, super()._samples(name))

    @property
    def frame_dim(self) -> int:
        """Values of a frame."""
        lpc_dim = self.lpc_order + 1 if self.lpc_order else 0
        return self.num_mels + lpc_dim + 2 * self.pitch

    @property
    def spectrogram(self) -> FeatureConfig:
        """The power spectrogram under the frames, in whole samples at this rate."""
        samples = self.frame_length, self.hop_length
        frame_ms, hop_ms = (1000 * n / self.sample_rate_hz for n in samples)
        return FeatureConfig(
            features="spectrogram",
            sample_rate_hz=self.sample_rate_hz,
            frame_length_ms=frame_ms,
            hop_length_ms=hop_ms,
            num_mels=self.num_mels,
            mel_low_hz=self.mel_low_hz,
            mel_high_hz=self.mel_high_hz,
            preemphasis=0.0,
        )


def acoustic_frames(
    waveforms: tf.Tensor, lengths: tf.Tensor, config: AcousticConfig
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the acoustic frames of a batch of padded waveforms.

    Args:
        waveforms: float32 [batch, samples] at `config.sample_rate_hz`.
        lengths: int32 [batch], the valid samples of each; what is beyond them, whatever
            it is, changes nothing.
        config: The frames.

    Returns:
        The frames, float32 [batch, frames, frame_dim], 0 beyond the valid ones: natural
        logarithms of mel magnitudes, then the parameters of linear prediction, then ln
        F0 (in Hz, interpolated where unvoiced) and voicing (0 or 1); and the number of
        valid frames, int32 [batch], 1 + length // hop_length. Frame t is centred on
        sample t x hop_length.

    Raises:
        SpecError: If the sample rate of `config` is unknown, or if a mel filter is
            narrower than the resolution of the FFT.
    """
    power, frame_lengths = frame_energies(waveforms, lengths, config.spectrogram)
    valid = tf.sequence_mask(frame_lengths, tf.shape(power)[1])[:, :, None]
    frames = log_mel(tf.sqrt(power), config)
    if config.lpc_order:
        hop_length, rate_hz = config.hop_length, config.sample_rate_hz
        pitch_hz = track_pitch(waveforms, lengths, hop_length, rate_hz)
        power = pitch_adaptive_power(waveforms, lengths, pitch_hz, hop_length, rate_hz)
        more = [lpc_parameters(power, config.lpc_order)]
        if config.pitch:
            more.append(log_pitch_and_voicing(pitch_hz))
        frames = tf.concat([frames, *more], axis=2)
    return tf.where(valid, frames, 0.0), frame_lengths


def log_mel(magnitudes: tf.Tensor, config: AcousticConfig) -> tf.Tensor:
    """Returns log-mel magnitudes of magnitude spectra, float32 [..., num_mels].

    Adding the floor makes silence constant and can be undone, unlike a maximum.

    Args:
        magnitudes: float32 [..., fft_length // 2 + 1].
        config: The frames.
    """
    mel = tf.matmul(magnitudes, mel_filters(config.spectrogram))
    return tf.math.log(mel + config.magnitude_floor)
