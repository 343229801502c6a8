"""The part of a word recogniser that TFLite runs: waveform in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfspeech.console import progress
from tfspeech.tasks.lite import LiteModel, Runner


class LiteRecogniser(LiteModel):
    """The recogniser with its features.

    Args of the constructor:
        model: Whose weights go with it.
        recognize: (waveforms, lengths) -> probabilities, of `WordRecognition`.
    """

    def __init__(
        self,
        model: keras.Model,
        recognize: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    ) -> None:
        def scores(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"scores": recognize(waveform, tf.shape(waveform)[1:])}

        waveform = tf.TensorSpec([1, None], tf.float32, "waveform")
        super().__init__(model, scores, [waveform])

    def measure(self, data: Any, runner: Runner) -> dict[str, Any]:
        """Compares a TFLite model with the float model on the test split of a corpus.

        Args:
            data: A corpus with a `store` of waveforms and the `targets` of utterances.
            runner: The TFLite model, `waveform` float32 [1, samples] -> `scores`
                float32 [1, labels].

        Returns:
            The `accuracy` on the `utterances` of the test split, `float_accuracy`, that
            of the float model, `agreement`, the share of utterances that both label
            alike; and a `summary` of them.
        """
        indices = data.corpus.indices("test")
        chosen = []
        with progress(len(indices), "measuring TFLite", "utterance") as bar:
            for index in indices:
                waveform = data.store[index][np.newaxis]
                scores = runner(waveform=waveform), self.function(waveform)
                chosen.append([int(np.argmax(each["scores"][0])) for each in scores])
                bar.update()
        lite, full = np.array(chosen).T
        targets = data.targets(indices)
        found = {
            "utterances": len(indices),
            "accuracy": float(np.mean(lite == targets)),
            "float_accuracy": float(np.mean(full == targets)),
            "agreement": float(np.mean(lite == full)),
        }
        summary = (
            "accuracy {accuracy:.2%} of {utterances} test utterances (float model "
            "{float_accuracy:.2%}, the same answer on {agreement:.2%})"
        )
        return {**found, "summary": summary.format(**found)}
