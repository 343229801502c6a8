"""The graph of a parametric synthesiser that TF Serving runs: text in, waveform out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import Vocoder
from tfspeech.tasks.parallel_tts.config import FASTEST, MAX_SEMITONES, SLOWEST
from tfspeech.tasks.speech.server import EXAMPLE_TEXT, SpeechServer, example_symbols
from tfspeech.text.context import SPACE_ID
from tfspeech.text.front_end import TextFrontEnd
from tfspeech.text.lexicon import Lexicon
from tfspeech.text.linguistic import encode_segments
from tfspeech.text.phonemes import PHONEMES

SYMBOLS_WITH_PROSODY = (
    tf.TensorSpec([None, None], tf.int32, name="symbols"),
    tf.TensorSpec([None], tf.int32, name="symbols_length"),
    tf.TensorSpec([None], name="rate"),
    tf.TensorSpec([None], name="semitones"),
)


class ParametricServer(SpeechServer):
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
        super().__init__(model, vocoder, front_end, features, "parametric_server")
        self._durations = durations
        self._frames = frames
        self._lexicon = Lexicon([*texts, EXAMPLE_TEXT])
        self._is_phoneme = np.array([s in PHONEMES for s in front_end.symbols])

    @property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        speech = self.synthesize.get_concrete_function()
        return {
            "serving_default": speech,
            "synthesize": speech,
            "synthesize_prosody": self.synthesize_prosody.get_concrete_function(),
            "synthesize_phonemes": self.synthesize_phonemes.get_concrete_function(),
            "acoustic": self.acoustic.get_concrete_function(),
        }

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature."""
        text = {"text": np.array([EXAMPLE_TEXT.encode()], object)}
        prosody = {"rate": np.ones(1, np.float32), "semitones": np.zeros(1, np.float32)}
        phonemes = example_symbols(self._front_end.encode(EXAMPLE_TEXT))
        segments = example_symbols(encode_segments(self._front_end, EXAMPLE_TEXT))
        return {
            "serving_default": text,
            "synthesize": text,
            "synthesize_prosody": text | prosody,
            "synthesize_phonemes": phonemes | prosody,
            "acoustic": segments | prosody,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What a client must know of this model besides its signatures."""
        return super().facts | {"words": len(self._lexicon.words)}

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
        return self._spoken(acoustic)

    @tf.function(input_signature=SYMBOLS_WITH_PROSODY)
    def synthesize_phonemes(
        self,
        symbols: tf.Tensor,
        symbols_length: tf.Tensor,
        rate: tf.Tensor,
        semitones: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Speaks phonemes, which clients with eSpeak NG have of any text.

        Args:
            symbols: int32 [batch, symbols], as `TextFrontEnd.encode` returns them.
            symbols_length: int32 [batch]; what is beyond, whatever it is, has no
                influence.
            rate: As of `synthesize_prosody`.
            semitones: Likewise.

        Returns:
            As `synthesize`; the first of the `durations` is that of the silence before
            the symbols.
        """
        segments = tf.pad(symbols, [[0, 0], [1, 0]], constant_values=SPACE_ID)
        # A length that is out of range is to stay so.
        lengths = symbols_length + tf.cast(symbols_length > 0, tf.int32)
        return self._spoken(self.acoustic(segments, lengths, rate, semitones))

    @tf.function(input_signature=SYMBOLS_WITH_PROSODY)
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
        in_range = [
            tf.debugging.Assert(
                tf.reduce_all((rate >= SLOWEST) & (rate <= FASTEST)),
                [f"rate must be between {SLOWEST} and {FASTEST}:", rate],
            ),
            tf.debugging.Assert(
                tf.reduce_all(tf.abs(semitones) <= MAX_SEMITONES),
                [f"semitones must be within {MAX_SEMITONES}:", semitones],
            ),
        ]
        with tf.control_dependencies(in_range):
            symbols = self._checked(
                symbols, symbols_length, rate=rate, semitones=semitones
            )
        durations = self._durations(symbols, symbols_length, rate)
        frames, frame_lengths = self._frames(
            symbols, symbols_length, durations, semitones
        )
        return {
            "frames": frames,
            "frame_length": frame_lengths,
            "durations": durations,
        }
