"""The part of a recogniser that TFLite runs: waveform in, classes of frames out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.ctc import read_best_path
from tfspeech.console import progress
from tfspeech.tasks.lite import LiteModel, Runner
from tfspeech.tasks.speech_recognition.scores import transcript_scores


class LiteTranscriber(LiteModel):
    """The recogniser with its features; what the frames read as is left outside.

    Args of the constructor:
        model: Whose weights go with it.
        score: (waveforms, lengths) -> logits and their lengths, of
            `SpeechRecognition`.
    """

    def __init__(
        self,
        model: keras.Model,
        score: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    ) -> None:
        def scores(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
            logits, _ = score(waveform, tf.shape(waveform)[1:])
            return {"frame_scores": tf.nn.softmax(logits)}

        waveform = tf.TensorSpec([1, None], tf.float32, "waveform")
        super().__init__(model, scores, [waveform])

    def measure(self, data: Any, runner: Runner) -> dict[str, Any]:
        """Compares a TFLite model with the float model on the test split of a corpus.

        Args:
            data: `SpeechData`.
            runner: The TFLite model, `waveform` float32 [1, samples] ->
                `frame_scores` float32 [1, frames, symbols + 1].

        Returns:
            The `wer` on the `utterances` of the test split, `float_wer`, that of the
            float model, `agreement`, the share of utterances that both transcribe
            alike; and a `summary` of them.
        """
        indices = data.corpus.indices("test")
        read: tuple[list[str], list[str]] = [], []
        with progress(len(indices), "measuring TFLite", "utterance") as bar:
            for index in indices:
                waveform = data.store[index][np.newaxis]
                for texts, model in zip(read, (runner, self.function), strict=True):
                    scores = tf.constant(model(waveform=waveform)["frame_scores"])
                    numbers = read_best_path(scores, tf.shape(scores)[1:2]).numbers
                    texts.append(data.transcriber.decode(numbers[0].numpy()))
                bar.update()
        said = [data.transcripts[i] for i in indices]
        nobody = [""] * len(said)
        lite, full = (transcript_scores(said, t, nobody, nobody)["wer"] for t in read)
        alike = np.mean([one == other for one, other in zip(*read, strict=True)])
        found = {
            "utterances": len(said),
            "wer": lite,
            "float_wer": full,
            "agreement": float(alike),
        }
        summary = (
            "word error rate {wer:.2%} of {utterances} test utterances (float model "
            "{float_wer:.2%}, the same transcript of {agreement:.2%})"
        )
        return {**found, "summary": summary.format(**found)}
