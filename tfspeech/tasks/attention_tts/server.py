"""The graph of a synthesiser with attention that TF Serving runs."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.audio.vocoders import Vocoder
from tfspeech.tasks.speech.server import EXAMPLE_TEXT, SpeechServer, example_symbols
from tfspeech.text.front_end import TextFrontEnd


class SynthesisServer(SpeechServer):
    """Text front end, model and vocoder as one module of TensorFlow's own operations.

    Args of the constructor:
        model: Whose weights go with it.
        synthesize: (symbols, lengths) -> `frames` and more; see `Synthesis.synthesize`.
        vocoder: From frames to waveforms.
        front_end: What reads texts; phonemes need eSpeak NG, which no graph holds, so
            that only characters make the signature `synthesize`, where phonemes make
            `synthesize_phonemes`.
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
        super().__init__(model, vocoder, front_end, features, "synthesis_server")
        self._synthesize = synthesize
        self._reads_text = front_end.config.symbols == "characters"

    @property
    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The functions to be exported, by the names that clients use."""
        # What is decorated is exported whatever the symbols are.
        if self._reads_text:
            name, function = "synthesize", self.synthesize
            specs = [tf.TensorSpec([None], tf.string, name="text")]
        else:
            name, function = "synthesize_phonemes", self.synthesize_phonemes
            specs = self.acoustic.input_signature
        speech = tf.function(function, specs).get_concrete_function()
        acoustic = self.acoustic.get_concrete_function()
        return {"serving_default": speech, name: speech, "acoustic": acoustic}

    @property
    def examples(self) -> dict[str, dict[str, np.ndarray]]:
        """A typical request of one row for every signature."""
        symbols = example_symbols(self._front_end.encode(EXAMPLE_TEXT))
        if not self._reads_text:
            names = ("serving_default", "synthesize_phonemes", "acoustic")
            return dict.fromkeys(names, symbols)
        text = {"text": np.array([EXAMPLE_TEXT.encode()], object)}
        return {"serving_default": text, "synthesize": text, "acoustic": symbols}

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
            return self._spoken(self.acoustic(symbols, lengths))

    def synthesize_phonemes(
        self, symbols: tf.Tensor, symbols_length: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Speaks phonemes: as `synthesize`, of the inputs of `acoustic`."""
        return self._spoken(self.acoustic(symbols, symbols_length))

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
