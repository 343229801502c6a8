"""The graph of a synthesiser with attention that TF Serving runs."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfspeech.tasks.speech.server import SpeechServer
from tfspeech.tasks.speech.task import SpeechTask


class AttentionTtsServer(SpeechServer):
    """Text front end, model and vocoder as one module of TensorFlow's own operations.

    Phonemes need eSpeak NG, which no graph holds: a model of characters has the
    signature `synthesize`, a model of phonemes `synthesize_phonemes`.

    Args of the constructor:
        task: Its model, vocoder and front end are exported.
        synthesize: (symbols, lengths) -> `frames` and more; see
            `AttentionSynthesis.synthesize`.
    """

    def __init__(
        self,
        task: SpeechTask,
        synthesize: Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]],
    ) -> None:
        reads_text = task.front_end.config.symbols == "characters"
        super().__init__(task, "attention_tts_server", reads_text, not reads_text)
        self._synthesize = synthesize

    def encode(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Leaves out what is no known character: see `SpeechServer.encode`."""
        symbols, lengths = self._front_end.encode_in_graph(text)
        # Every text has its end.
        check = tf.debugging.assert_greater(lengths, 1, "text has nothing to say")
        with tf.control_dependencies([check]):
            return tf.identity(symbols), lengths

    def predict(self, symbols: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        """Predicts acoustic frames.

        Args:
            symbols: int32 [batch, symbols]; see `TextFrontEnd.symbols`.
            lengths: int32 [batch].

        Returns:
            `mel` float32 [batch, frames, num_mels], log magnitudes; `frames` float32
            [batch, frames, frame_dim], the same with what the vocoder needs besides;
            `frame_length` int32 [batch]; `alignment` float32 [batch, decoder steps,
            symbols]; and `stopped` bool [batch], whether the model found the end.
        """
        spoken = self._synthesize(symbols, lengths)
        return {
            "mel": spoken["frames"][:, :, : self._features.num_mels],
            "frames": spoken["frames"],
            "frame_length": spoken["frame_lengths"],
            "alignment": spoken["alignment"],
            "stopped": spoken["stopped"],
        }
