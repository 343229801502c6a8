"""What the exported graphs of all synthesisers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import Vocoder
from tfspeech.text.front_end import TextFrontEnd

EXAMPLE_TEXT = "the old man closed the door."


class SpeechServer(tf.Module):
    """From symbols that are in range to speech, by TensorFlow's own operations.

    Args of the constructor:
        model: Whose weights go with it.
        vocoder: From frames to waveforms.
        front_end: What reads texts.
        features: The frames.
    """

    def __init__(
        self,
        model: keras.Model,
        vocoder: Vocoder,
        front_end: TextFrontEnd,
        features: AcousticConfig,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self._vocoder = vocoder
        self._front_end = front_end
        self._features = features
        # Keras hides its variables from TensorFlow's tracking; the export needs them.
        self._weights = [v.value for v in model.variables]

    @property
    def facts(self) -> dict[str, Any]:
        """What a client must know of this model besides its signatures."""
        return {
            "sample_rate_hz": self._features.sample_rate_hz,
            "hop_length": self._features.hop_length,
            "symbols": list(self._front_end.symbols),
        }

    def _spoken(self, acoustic: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The waveforms of `frames`, and all that comes with these."""
        waveform, waveform_length = self._vocoder(
            acoustic["frames"], acoustic["frame_length"]
        )
        rate_hz = tf.fill(tf.shape(waveform_length), self._features.sample_rate_hz)
        return {
            "waveform": tf.clip_by_value(waveform, -1.0, 1.0),
            "waveform_length": waveform_length,
            "sample_rate_hz": rate_hz,
            **acoustic,
        }

    def _checked(
        self, symbols: tf.Tensor, lengths: tf.Tensor, **others: tf.Tensor
    ) -> tf.Tensor:
        """The symbols, 0 beyond the lengths; all are in range.

        Args:
            symbols: int32 [batch, symbols].
            lengths: int32 [batch].
            **others: What else there must be one of for each row.
        """
        size = tf.shape(symbols)[1]
        fit = [
            tf.debugging.assert_positive(lengths, "symbols_length must be above 0"),
            tf.debugging.assert_less_equal(
                lengths, size, "symbols_length must not be more than the symbols"
            ),
            *(
                tf.debugging.assert_equal(
                    tf.shape(symbols)[0],
                    tf.size(values),
                    f"symbols and {name} must have as many rows",
                )
                for name, values in {"symbols_length": lengths, **others}.items()
            ),
        ]
        with tf.control_dependencies(fit):
            symbols = tf.where(tf.sequence_mask(lengths, size), symbols, 0)
        count = len(self._front_end.symbols)
        known = [
            tf.debugging.assert_non_negative(symbols, "symbols must not be negative"),
            tf.debugging.assert_less(symbols, count, f"there are {count} symbols"),
        ]
        with tf.control_dependencies(known):
            return tf.identity(symbols)


def example_symbols(symbols: np.ndarray) -> dict[str, np.ndarray]:
    """A request of one row, of the symbols of a text."""
    return {
        "symbols": symbols[np.newaxis],
        "symbols_length": np.array([symbols.size], np.int32),
    }
