"""Spectrograms, mel energies and MFCC with deltas, in TensorFlow's own operations.

The settings mean what they mean in librosa (https://librosa.org, 0.11), and so do the
results: `center=True` with zero padding, a periodic Hann window as long as the frame
inside an FFT of the next power of two, Slaney's mel scale with filters of unit area
(M. Slaney, "Auditory Toolbox", 1998), `power_to_db` without `top_db`, an orthonormal
DCT-II, and deltas after A. Savitzky and M. Golay, "Smoothing and Differentiation of
Data by Simplified Least Squares Procedures", 1964.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings

import numpy as np
import tensorflow as tf
from scipy.signal import savgol_coeffs

from models.config import POSITIVE, SHARE, Bounds, Options, option
from tfspeech.audio.numba_cache import import_librosa
from tfspeech.audio.resample import RATES_HZ
from tfspeech.audio.running_mean import running_mean
from tfspeech.errors import SpecError


@dataclasses.dataclass(frozen=True)
class FrameOptions(Options):
    """Base of configurations of frames. Raises SpecError for values out of range."""

    error = SpecError

    def _samples(self, name: str) -> float:
        """Returns a duration in samples."""
        if not self.sample_rate_hz:
            raise SpecError(
                "The frames need a sample rate; set it to that of the audio. "
                "Received: sample_rate_hz=0"
            )
        return getattr(self, name) * self.sample_rate_hz / 1000

    @property
    def frame_length(self) -> int:
        """Samples of a frame."""
        return round(self._samples("frame_length_ms"))

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return round(self._samples("hop_length_ms"))


@dataclasses.dataclass(frozen=True)
class FeatureConfig(FrameOptions):
    """Settings of `extract_features`. Raises SpecError for values out of range."""

    sample_rate_hz: int = option(
        0,
        "rate of the audio; 0: 8000 for a corpus recorded at that, else 16000",
        RATES_HZ,
        unit="Hz",
    )
    features: str = option(
        "mfcc",
        "power spectrogram, mel energies, log-mel energies or cepstral coefficients",
        choices=("spectrogram", "mel", "log_mel", "mfcc"),
    )
    frame_length_ms: float = option(25.0, "length of a frame", POSITIVE, unit="ms")
    hop_length_ms: float = option(
        10.0, "from one frame to the next", POSITIVE, unit="ms"
    )
    num_mels: int = option(26, "mel filters")
    mel_low_hz: float = option(60.0, "where the mel filters start", unit="Hz")
    mel_high_hz: float = option(
        0.0, "where the mel filters end; 0: half the sample rate", unit="Hz"
    )
    power_floor: float = option(
        1e-10, "least mel energy before the logarithm", POSITIVE
    )
    dynamic_range_db: float = option(
        40.0,
        "log-mel energies are relative to the utterance's largest, with a soft floor "
        "so far below it; 0: absolute",
        unit="dB",
    )
    preemphasis: float = option(0.97, "a in y[t] = x[t] - a x[t-1]; 0: off", SHARE)
    num_cepstra: int = option(13, "cepstral coefficients of mfcc")
    liftering: float = option(0.0, "sinusoidal liftering of mfcc; 0: off")
    delta_order: int = option(
        0,
        "derivatives appended: none, 1st, 1st and 2nd",
        Bounds("0, 1 or 2", lambda x: x in (0, 1, 2)),
    )
    delta_width: int = option(
        9,
        "frames that a derivative is fitted to, odd",
        Bounds("odd and at least 3", lambda x: x % 2 == 1 and x >= 3),
    )
    trim_db: float = option(
        30.0,
        "silence before the first and after the last frame whose level is within this "
        "of the loudest is left out; 0: none",
        unit="dB",
    )
    utterance_normalization: str = option(
        "mean",
        "what is normalized over each utterance; running_mean: by the frames so far "
        "instead of all, for speech that is transcribed while it is spoken",
        choices=("none", "mean", "mean_variance", "running_mean"),
    )
    utterance_mean_share: float = option(
        0.6,
        "share of its own mean that is taken out of an utterance; all of it would take "
        "the vowel out of short words",
        SHARE,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        top_hz = self.sample_rate_hz / 2 or math.inf
        high_hz = self.mel_high_hz or top_hz
        self.require(high_hz <= top_hz, "mel_high_hz", f"0 or at most {top_hz:g}")
        self.require(self.mel_low_hz < high_hz, "mel_low_hz", f"in [0, {high_hz:g})")
        self.require(
            self.features != "mfcc" or self.num_cepstra <= self.num_mels,
            "num_cepstra",
            f"at most num_mels, {self.num_mels}",
        )
        if self.sample_rate_hz:
            self._samples("frame_length_ms")
            self._samples("hop_length_ms")

    def _samples(self, name: str) -> float:
        samples = super()._samples(name)
        if abs(samples - round(samples)) > 1e-6:
            step_ms = 1000 / math.gcd(self.sample_rate_hz, 1000)
            raise SpecError(
                f"{name} must be a whole number of samples: at {self.sample_rate_hz} "
                f"Hz a multiple of {step_ms:g} ms; or resample to 8000 or 16000 Hz. "
                f"Received: {name}={getattr(self, name):g} ({samples:g} samples)"
            )
        return samples

    @property
    def fft_length(self) -> int:
        """The next power of two, in samples."""
        return 1 << (self.frame_length - 1).bit_length()

    @property
    def causal(self) -> bool:
        """Whether the features of a frame depend on no later frame."""
        running = self.utterance_normalization in ("none", "running_mean")
        of_all = self.dynamic_range_db or self.delta_order or self.trim_db
        return running and not of_all

    @property
    def samples_before(self) -> int:
        """Samples of a frame before the one that it is centred on."""
        # The frame sits in the middle of the FFT, and that is centred on the sample.
        return self.fft_length // 2 - (self.fft_length - self.frame_length) // 2

    @property
    def feature_dim(self) -> int:
        """Features of a frame."""
        dims = {"spectrogram": self.fft_length // 2 + 1, "mfcc": self.num_cepstra}
        return dims.get(self.features, self.num_mels) * (1 + self.delta_order)


def extract_features(
    waveforms: tf.Tensor, lengths: tf.Tensor, config: FeatureConfig
) -> tuple[tf.Tensor, tf.Tensor]:
    """Extracts the features of a batch of padded waveforms.

    Args:
        waveforms: float32 [batch, samples] at `config.sample_rate_hz`.
        lengths: int32 [batch], the valid samples of each; what is beyond them, whatever
            it is, changes nothing.
        config: The features. Powers are those of samples of full scale 1; log-mel and
            MFCC are in dB.

    Returns:
        The features, float32 [batch, frames, feature_dim], 0 beyond the valid frames;
        and the number of valid frames, int32 [batch]. Without trimming that is
        1 + length // hop_length, and frame t is centred on sample t x hop_length.

    Raises:
        SpecError: If the sample rate of `config` is unknown, or if a mel filter is
            narrower than the resolution of the FFT.
    """
    return energies_to_features(*frame_energies(waveforms, lengths, config), config)


def frame_energies(
    waveforms: tf.Tensor, lengths: tf.Tensor, config: FeatureConfig
) -> tuple[tf.Tensor, tf.Tensor]:
    """The first half of `extract_features`: up to the energies, linear in power.

    Args:
        waveforms: float32 [batch, samples] at `config.sample_rate_hz`.
        lengths: int32 [batch], the valid samples of each.
        config: The features.

    Returns:
        The power spectrogram, float32 [batch, frames, fft_length // 2 + 1], or mel
        energies, float32 [batch, frames, num_mels]; and the number of valid frames.
    """
    waveforms = tf.convert_to_tensor(waveforms, tf.float32)
    lengths = tf.cast(lengths, tf.int32)
    energies = _power_spectrogram(_clean(waveforms, lengths, config), config)
    if config.features != "spectrogram":
        energies = tf.matmul(energies, mel_filters(config))
    return energies, 1 + lengths // config.hop_length


def energies_to_features(
    energies: tf.Tensor, frame_lengths: tf.Tensor, config: FeatureConfig
) -> tuple[tf.Tensor, tf.Tensor]:
    """The second half of `extract_features`: from the energies on.

    Args:
        energies: As `frame_energies` returns them.
        frame_lengths: int32 [batch], the valid frames of each.
        config: The features.

    Returns:
        The features, float32 [batch, frames, feature_dim], 0 beyond the valid frames,
        and the number of valid frames, int32 [batch], both without trimmed silence.
    """
    if config.trim_db:
        energies, frame_lengths = _trim(energies, frame_lengths, config.trim_db)
    valid = tf.sequence_mask(frame_lengths, tf.shape(energies)[1])
    valid = tf.expand_dims(valid, 2)  # TFLite has no new axes for booleans.
    features = energies
    if config.features in ("log_mel", "mfcc"):
        features = _decibels(features, valid, config)
    if config.features == "mfcc":
        features = tf.matmul(features, _cepstrum_matrix(config))
    features = _append_deltas(features, frame_lengths, config)
    features = _normalize(features, valid, config)
    return tf.where(valid, features, 0.0), frame_lengths


@functools.lru_cache(maxsize=32)
def mel_filters(config: FeatureConfig) -> np.ndarray:
    """Returns the triangular filters, float32 [fft_length // 2 + 1, num_mels].

    Raises:
        SpecError: If a filter lies between two neighbouring bins of the FFT.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of empty filters, an error here.
        filters = (
            import_librosa("filters")
            .mel(
                sr=config.sample_rate_hz,
                n_fft=config.fft_length,
                n_mels=config.num_mels,
                fmin=config.mel_low_hz,
                fmax=config.mel_high_hz or None,
            )
            .T
        )
    empty = int((filters.max(axis=0) == 0).sum())
    if empty:
        raise SpecError(
            f"{empty} mel filters fall between the frequencies of the FFT; use fewer "
            f"or longer frames. Received: num_mels={config.num_mels}, "
            f"frame_length_ms={config.frame_length_ms:g}"
        )
    return filters


def _clean(
    waveforms: tf.Tensor, lengths: tf.Tensor, config: FeatureConfig
) -> tf.Tensor:
    """Applies the pre-emphasis, from silence, and zeroes what is not valid."""
    if config.preemphasis:
        previous = tf.pad(waveforms, [[0, 0], [1, 0]])[:, :-1]
        waveforms -= config.preemphasis * previous
    valid = tf.sequence_mask(lengths, tf.shape(waveforms)[1])
    return tf.where(valid, waveforms, 0.0)


def _power_spectrogram(waveforms: tf.Tensor, config: FeatureConfig) -> tf.Tensor:
    """Returns float32 [batch, 1 + samples // hop_length, fft_length // 2 + 1]."""
    frame_length = config.frame_length
    before = config.samples_before
    padded = tf.pad(waveforms, [[0, 0], [before, frame_length - before]])
    return power_spectrum(padded, config)


def power_spectrum(waveforms: tf.Tensor, config: FeatureConfig) -> tf.Tensor:
    """Returns the powers of frames that begin with the first sample.

    Args:
        waveforms: float32 [batch, samples], with pre-emphasis.
        config: The features.

    Returns:
        float32 [batch, frames, fft_length // 2 + 1], of whole frames alone.
    """
    # Where the frame sits in the FFT is only a matter of phase, so that the FFT itself
    # may pad at the end.
    spectrum = tf.signal.stft(
        waveforms,
        *(config.frame_length, config.hop_length, config.fft_length),
        tf.signal.hann_window,
    )
    return tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))


def _trim(
    energies: tf.Tensor, frame_lengths: tf.Tensor, trim_db: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Leaves out silence at both ends, but for the frame next to speech."""
    frames = tf.shape(energies)[1]
    valid = tf.sequence_mask(frame_lengths, frames)
    level = tf.where(valid, tf.reduce_mean(energies, axis=2), 0.0)
    loudest = tf.reduce_max(level, axis=1, keepdims=True)
    is_loud = tf.cast(level >= loudest * 10 ** (-trim_db / 10), tf.int32)
    first = tf.argmax(is_loud, axis=1, output_type=tf.int32)
    last = frames - 1 - tf.argmax(is_loud[:, ::-1], axis=1, output_type=tf.int32)
    first = tf.maximum(first - 1, 0)
    last = tf.minimum(last + 1, frame_lengths - 1)
    kept = last - first + 1
    source = first[:, None] + tf.range(tf.reduce_max(kept))
    source = tf.minimum(source, frames - 1)
    return tf.gather(energies, source, batch_dims=1), kept


def _decibels(power: tf.Tensor, valid: tf.Tensor, config: FeatureConfig) -> tf.Tensor:
    power = tf.maximum(power, config.power_floor)
    if config.dynamic_range_db:
        valid_power = tf.where(valid, power, config.power_floor)
        largest = tf.reduce_max(valid_power, axis=(1, 2), keepdims=True)
        power = power / largest + 10 ** (-config.dynamic_range_db / 10)
    return 10 / math.log(10) * tf.math.log(power)


@functools.lru_cache(maxsize=32)
def _cepstrum_matrix(config: FeatureConfig) -> np.ndarray:
    """Returns the liftered DCT-II, float32 [num_mels, num_cepstra]."""
    order = np.arange(config.num_cepstra)
    center = (np.arange(config.num_mels)[:, None] + 0.5) / config.num_mels
    matrix = np.cos(np.pi * center * order) * np.sqrt(2 / config.num_mels)
    matrix[:, 0] *= np.sqrt(0.5)
    if config.liftering:
        arch = np.sin(np.pi * (order + 1) / config.liftering)
        matrix *= 1 + config.liftering / 2 * arch
    return matrix.astype(np.float32)


def _append_deltas(
    features: tf.Tensor, frame_lengths: tf.Tensor, config: FeatureConfig
) -> tf.Tensor:
    """Appends derivatives, as if the first and last valid frames went on for ever."""
    if not config.delta_order:
        return features
    frames, reach = tf.shape(features)[1], config.delta_width // 2
    source = tf.maximum(tf.range(-reach, frames + reach), 0)
    source = tf.minimum(source, frame_lengths[:, None] - 1)
    extended = tf.gather(features, source, batch_dims=1)
    outputs = [features]
    for order in range(1, config.delta_order + 1):
        weights = _derivative_weights(config.delta_width, order)
        terms = [w * extended[:, i : i + frames] for i, w in enumerate(weights)]
        outputs.append(tf.add_n(terms))
    return tf.concat(outputs, axis=2)


def _derivative_weights(width: int, order: int) -> list[float]:
    """Returns what gives the derivative of the fitted polynomial of that order."""
    return savgol_coeffs(width, polyorder=order, deriv=order, use="dot").tolist()


def _normalize(
    features: tf.Tensor, valid: tf.Tensor, config: FeatureConfig
) -> tf.Tensor:
    """Normalizes over the valid frames of each utterance."""
    if config.utterance_normalization == "none":
        return features
    frames = tf.reduce_sum(tf.cast(valid, tf.float32), axis=1, keepdims=True)

    if config.utterance_normalization == "running_mean":
        start = tf.zeros_like(features[:, 0])
        means, _ = running_mean(features, valid, start, tf.zeros_like(start[:, 0]))
        return features - means * config.utterance_mean_share

    def mean(values: tf.Tensor) -> tf.Tensor:
        total = tf.reduce_sum(tf.where(valid, values, 0.0), axis=1, keepdims=True)
        return total / frames

    own_mean = mean(features)
    if config.utterance_normalization == "mean_variance":
        std = tf.sqrt(mean(tf.square(features - own_mean)))
        # The floor keeps silence, which does not vary, from being blown up.
        return (features - own_mean * config.utterance_mean_share) / tf.maximum(
            std, 1e-3
        )
    return features - own_mean * config.utterance_mean_share
