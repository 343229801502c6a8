"""Short-time spectra of whole utterances, and the way back."""

from __future__ import annotations

import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig

# Frames overlap by less where an utterance starts and ends, and nothing there is to
# become louder without bound.
_LEAST_WEIGHT = 1e-2


class OverlappingFrames:
    """Frames of utterances under a Hann window, analysed and added up again.

    Their waveforms begin half a frame before the centre of the first frame and end
    half a frame behind that of the last one.

    Args of the constructor:
        frame_lengths: int32 [batch], the valid frames.
        count: Frames of the longest utterance.
        config: The frames.

    Attributes:
        valid: bool [batch, count, 1].
    """

    def __init__(
        self, frame_lengths: tf.Tensor, count: tf.Tensor, config: AcousticConfig
    ) -> None:
        self._config = config
        self._window = tf.signal.hann_window(config.frame_length)
        self.valid = tf.sequence_mask(frame_lengths, count)[:, :, None]
        weight = tf.where(self.valid, tf.square(self._window), 0.0)
        weight = tf.signal.overlap_and_add(weight, config.hop_length)
        self._weight = 1 / tf.maximum(weight, _LEAST_WEIGHT)

    def spectra(self, waveforms: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Analyses waveforms.

        Args:
            waveforms: float32 [batch, samples].

        Returns:
            Real and imaginary parts, float32 [batch, count, fft_length // 2 + 1].
        """
        config = self._config
        pieces = tf.signal.frame(waveforms, config.frame_length, config.hop_length)
        fft_length = config.spectrogram.fft_length
        spectra = tf.signal.rfft(pieces * self._window, [fft_length])
        return tf.math.real(spectra), tf.math.imag(spectra)

    def waveforms(self, real: tf.Tensor, imag: tf.Tensor) -> tf.Tensor:
        """Adds up frames to waveforms, whose spectra are as near as can be.

        Args:
            real: As `spectra` returns it, 0 in frames that are not valid.
            imag: Likewise.

        Returns:
            float32 [batch, samples].
        """
        config = self._config
        spectra = tf.complex(real, imag)
        pieces = tf.signal.irfft(spectra, [config.spectrogram.fft_length])
        pieces = pieces[:, :, : config.frame_length] * self._window
        return tf.signal.overlap_and_add(pieces, config.hop_length) * self._weight
