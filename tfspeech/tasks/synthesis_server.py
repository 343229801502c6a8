"""The graph of a synthesiser that TF Serving runs: text in, a waveform out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import Vocoder
from tfspeech.text.front_end import TextFrontEnd

EXAMPLE_TEXT = "the old man closed the door."


class SynthesisServer(tf.Module):
    """Text front end, model and vocoder as one module of TensorFlow's own operations.

    Args of the constructor:
        model: Whose weights go with it.
        synthesize: (symbols, lengths) -> `frames` and more; see `Synthesis.synthesize`.
        vocoder: From frames to waveforms.
        front_end: What reads texts; phonemes need eSpeak NG, which no graph holds, so
            that only characters make the signature `synthesize`.
        features: The frames.
    """

    def __init__(
        self,
        model: keras.Model,
        synthesize: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]],
        vocoder: Vocoder,
        front_end: TextFrontEnd,
        features: AcousticConfig,
    ) -> None:
        super().__init__(name="synthesis_server")
        self._synthesize = synthesize
        self._vocoder = vocoder
        self._front_end = front_end
        self._features = features
        # Keras hides its variables from TensorFlow's tracking; the export needs them.
        self._weights = [v.value for v in model.variables]

    @property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        acoustic = self.acoustic.get_concrete_function()
        if self._front_end.config.symbols != "characters":
            return {"serving_default": acoustic, "acoustic": acoustic}
        # What is decorated is exported whatever the symbols are.
        text = tf.TensorSpec([None], tf.string, name="text")
        speech = tf.function(self.synthesize, [text]).get_concrete_function()
        return {
            "serving_default": speech,
            "synthesize": speech,
            "acoustic": acoustic,
        }

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature."""
        symbols = self._front_end.encode(EXAMPLE_TEXT)
        acoustic = {
            "symbols": symbols[np.newaxis],
            "symbols_length": np.array([symbols.size], np.int32),
        }
        if self._front_end.config.symbols != "characters":
            return {"serving_default": acoustic, "acoustic": acoustic}
        text = {"text": np.array([EXAMPLE_TEXT.encode()], object)}
        return {"serving_default": text, "synthesize": text, "acoustic": acoustic}

    @property
    def facts(self) -> dict[str, Any]:
        """What a client must know of this model besides its signatures."""
        return {
            "sample_rate_hz": self._features.sample_rate_hz,
            "hop_length": self._features.hop_length,
            "symbols": list(self._front_end.symbols),
        }

    def synthesize(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Speaks texts.

        Args:
            text: UTF-8, string [batch]: words, with numbers and abbreviations written
                out. Case does not matter; what is no known character is left out.

        Returns:
            `waveform` float32 [batch, samples] in [-1, 1], 0 beyond `waveform_length`
            int32 [batch] in samples; `sample_rate_hz` int32 [batch]; and the outputs
            of `acoustic`.

        Raises:
            tf.errors.InvalidArgumentError: A text has no character that is known.
        """
        symbols, lengths = self._front_end.encode_in_graph(text)
        # Every text has its end.
        check = tf.debugging.assert_greater(lengths, 1, "text has nothing to say")
        with tf.control_dependencies([check]):
            acoustic = self.acoustic(symbols, lengths)
        waveform, waveform_length = self._vocoder(
            acoustic["frames"], acoustic["frame_length"]
        )
        rate_hz = tf.fill(tf.shape(lengths), self._features.sample_rate_hz)
        return {
            "waveform": tf.clip_by_value(waveform, -1.0, 1.0),
            "waveform_length": waveform_length,
            "sample_rate_hz": rate_hz,
            **acoustic,
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int32, name="symbols"),
            tf.TensorSpec([None], tf.int32, name="symbols_length"),
        ]
    )
    def acoustic(
        self, symbols: tf.Tensor, symbols_length: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Predicts acoustic frames.

        Args:
            symbols: int32 [batch, symbols]; see `TextFrontEnd.symbols`.
            symbols_length: int32 [batch]; what is beyond, whatever it is, has no
                influence.

        Returns:
            `mel` float32 [batch, frames, num_mels], log magnitudes; `frames` float32
            [batch, frames, frame_dim], the same with what the vocoder needs besides;
            `frame_length` int32 [batch]; `alignment` float32 [batch, decoder steps,
            symbols]; and `stopped` bool [batch], whether the model found the end.

        Raises:
            tf.errors.InvalidArgumentError: A length or a symbol is out of range.
        """
        symbols = self._checked(symbols, symbols_length)
        spoken = self._synthesize(symbols, symbols_length)
        return {
            "mel": spoken["frames"][:, :, : self._features.num_mels],
            "frames": spoken["frames"],
            "frame_length": spoken["frame_lengths"],
            "alignment": spoken["alignment"],
            "stopped": spoken["stopped"],
        }

    def _checked(self, symbols: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """The symbols, 0 beyond the lengths; all are in range."""
        size = tf.shape(symbols)[1]
        fit = [
            tf.debugging.assert_positive(lengths, "symbols_length must be above 0"),
            tf.debugging.assert_less_equal(
                lengths, size, "symbols_length must not be more than the symbols"
            ),
            tf.debugging.assert_equal(
                tf.shape(symbols)[0],
                tf.size(lengths),
                "symbols and symbols_length must have as many rows",
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
