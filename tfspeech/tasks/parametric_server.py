"""The graph of a parametric synthesiser that TF Serving runs: text in, waveform out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import Vocoder
from tfspeech.tasks.parametric_config import FASTEST, MAX_SEMITONES, SLOWEST
from tfspeech.tasks.synthesis_server import EXAMPLE_TEXT
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.lexicon import Lexicon
from tfspeech.text.linguistic import encode_segments
from tfspeech.text.phonemes import PHONEMES


class ParametricServer(tf.Module):
    """Lexicon, networks and vocoder as one module of TensorFlow's own operations.

    Args of the constructor:
        model: Whose weights go with it.
        durations: See `ParametricSynthesis.durations`.
        frames: See `ParametricSynthesis.frames`.
        vocoder: From frames to waveforms.
        front_end: Whose symbols are spoken.
        texts: Their words are known.
        features: The frames.
    """

    def __init__(
        self,
        model: keras.Model,
        durations: Callable[..., tf.Tensor],
        frames: Callable[..., tuple[tf.Tensor, tf.Tensor]],
        vocoder: Vocoder,
        front_end: TextFrontEnd,
        texts: Sequence[str],
        features: AcousticConfig,
    ) -> None:
        super().__init__(name="parametric_server")
        self._model = model
        self._durations = durations
        self._frames = frames
        self._vocoder = vocoder
        self._front_end = front_end
        self._lexicon = Lexicon([*texts, EXAMPLE_TEXT])
        self._features = features
        self._is_phoneme = np.array([s in PHONEMES for s in front_end.symbols])
        # Keras hides its variables from TensorFlow's tracking; the export needs them.
        self._weights = [v.value for v in model.variables]

    @property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        speech = self.synthesize.get_concrete_function()
        return {
            "serving_default": speech,
            "synthesize": speech,
            "synthesize_prosody": self.synthesize_prosody.get_concrete_function(),
            "acoustic": self.acoustic.get_concrete_function(),
        }

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature."""
        symbols = encode_segments(self._front_end, EXAMPLE_TEXT)
        text = {"text": np.array([EXAMPLE_TEXT.encode()], object)}
        prosody = {"rate": np.ones(1, np.float32), "semitones": np.zeros(1, np.float32)}
        acoustic = {
            "symbols": symbols[np.newaxis],
            "symbols_length": np.array([symbols.size], np.int32),
        }
        return {
            "serving_default": text,
            "synthesize": text,
            "synthesize_prosody": text | prosody,
            "acoustic": acoustic | prosody,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What a client must know of this model besides its signatures."""
        return {
            "sample_rate_hz": self._features.sample_rate_hz,
            "hop_length": self._features.hop_length,
            "symbols": list(self._front_end.symbols),
            "words": len(self._lexicon.words),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def synthesize(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """Speaks texts.

        Args:
            text: UTF-8, string [batch]: words of the lexicon, with numbers and
                abbreviations written out. Case does not matter.

        Returns:
            `waveform` float32 [batch, samples] in [-1, 1], 0 beyond `waveform_length`
            int32 [batch] in samples; `sample_rate_hz` int32 [batch]; and the outputs
            of `acoustic`.

        Raises:
            tf.errors.InvalidArgumentError: A word is not in the lexicon, or there is
                nothing to say.
        """
        ones = tf.ones(tf.shape(text))
        return self.synthesize_prosody(text, ones, 0.0 * ones)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="text"),
            tf.TensorSpec([None], name="rate"),
            tf.TensorSpec([None], name="semitones"),
        ]
    )
    def synthesize_prosody(
        self, text: tf.Tensor, rate: tf.Tensor, semitones: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Speaks texts faster or slower, higher or lower.

        Args:
            text: As of `synthesize`.
            rate: float32 [batch], 2 for twice as fast as the speaker; 0.25 to 4.
            semitones: float32 [batch], above the speaker's own pitch, -24 to 24;
                without influence where the model predicts mel spectra.

        Returns:
            As `synthesize`.
        """
        symbols, lengths = self._lexicon.encode_in_graph(text)
        heard = tf.reduce_any(tf.gather(self._is_phoneme, symbols), axis=1)
        check = tf.debugging.Assert(
            tf.reduce_all(heard), ["text has nothing to say:", text]
        )
        with tf.control_dependencies([check]):
            acoustic = self.acoustic(symbols, lengths, rate, semitones)
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
            tf.TensorSpec([None], name="rate"),
            tf.TensorSpec([None], name="semitones"),
        ]
    )
    def acoustic(
        self,
        symbols: tf.Tensor,
        symbols_length: tf.Tensor,
        rate: tf.Tensor,
        semitones: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Predicts durations and acoustic frames.

        Args:
            symbols: int32 [batch, symbols], after a space for the silence at the start;
                see `encode_segments`.
            symbols_length: int32 [batch]; what is beyond, whatever it is, has no
                influence.
            rate: As of `synthesize_prosody`.
            semitones: Likewise.

        Returns:
            `frames` float32 [batch, frames, frame_dim], what the vocoder takes;
            `frame_length` int32 [batch]; and `durations`, the frames of each symbol,
            int32 [batch, symbols].

        Raises:
            tf.errors.InvalidArgumentError: A length, a symbol, a rate or a pitch is out
                of range.
        """
        symbols = self._checked(symbols, symbols_length, rate, semitones)
        durations = self._durations(symbols, symbols_length, rate)
        frames, frame_lengths = self._frames(
            symbols, symbols_length, durations, semitones
        )
        return {
            "frames": frames,
            "frame_length": frame_lengths,
            "durations": durations,
        }

    def _checked(
        self,
        symbols: tf.Tensor,
        lengths: tf.Tensor,
        rate: tf.Tensor,
        semitones: tf.Tensor,
    ) -> tf.Tensor:
        """The symbols, 0 beyond the lengths; everything is in range."""
        size = tf.shape(symbols)[1]
        count = len(self._front_end.symbols)
        debugging = tf.debugging
        fit = [
            debugging.assert_positive(lengths, "symbols_length must be above 0"),
            debugging.assert_less_equal(
                lengths, size, "symbols_length must not be more than the symbols"
            ),
            *(
                debugging.assert_equal(
                    tf.shape(symbols)[0],
                    tf.size(values),
                    f"symbols and {name} must have as many rows",
                )
                for name, values in (
                    ("symbols_length", lengths),
                    ("rate", rate),
                    ("semitones", semitones),
                )
            ),
            debugging.Assert(
                tf.reduce_all((rate >= SLOWEST) & (rate <= FASTEST)),
                [f"rate must be between {SLOWEST} and {FASTEST}:", rate],
            ),
            debugging.Assert(
                tf.reduce_all(tf.abs(semitones) <= MAX_SEMITONES),
                [f"semitones must be within {MAX_SEMITONES}:", semitones],
            ),
        ]
        with tf.control_dependencies(fit):
            symbols = tf.where(tf.sequence_mask(lengths, size), symbols, 0)
        known = [
            debugging.assert_non_negative(symbols, "symbols must not be negative"),
            debugging.assert_less(symbols, count, f"there are {count} symbols"),
        ]
        with tf.control_dependencies(known):
            return tf.identity(symbols)
