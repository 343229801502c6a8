"""The part of a synthesiser that TFLite runs: symbols in, acoustic frames out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfspeech.console import progress
from tfspeech.tasks.conditions import SEED, TEMPERATURE
from tfspeech.tasks.lite import LiteModel, Runner
from tfspeech.tasks.speech.evaluation import log_mels
from tfspeech.tasks.speech.scores import alignment_path, mel_cepstral_distortion
from tfspeech.tasks.speech.task import SpeechTask

SENTENCES = 30
"""Sentences that a synthesiser is measured on."""


class LiteSpeech(LiteModel):
    """The network of a synthesiser, without the text front end and the vocoder.

    Args of the constructor:
        task: The trained model, its front end and its vocoder.
        function: From `symbols` int32 [1, symbols] and the task's conditions but
            temperature and seed, each float32 [1], to `frames` float32 [1, frames,
            frame_dim] and more.
        encode: From a text to its symbols, int32 [symbols].
    """

    def __init__(
        self,
        task: SpeechTask,
        function: Callable[..., dict[str, tf.Tensor]],
        encode: Callable[[str], np.ndarray],
    ) -> None:
        symbols = tf.TensorSpec([1, None], tf.int32, "symbols")
        # TFLite lacks the operations that draw renditions.
        conditions = [c for c in task.conditions if c not in (TEMPERATURE, SEED)]
        specs = [tf.TensorSpec([1], name=c.name) for c in conditions]
        super().__init__(task.model, function, [symbols, *specs])
        self._task = task
        self._conditions = conditions
        self._encode = encode

    def inputs(self, text: str) -> dict[str, np.ndarray]:
        """Returns the inputs of the function for a text, with neutral conditions."""
        neutral = {c.name: np.float32([c.default]) for c in self._conditions}
        return {"symbols": self._encode(text)[np.newaxis], **neutral}

    def measure(self, data: Any, runner: Runner) -> dict[str, Any]:
        """Compares the speech of a TFLite model with recordings and the float model's.

        Args:
            data: A corpus with a `store` of waveforms.
            runner: The TFLite model.

        Returns:
            Means over `sentences` of the test split: `mcd_db`, the mel-cepstral
            distortion against the recordings, `float_mcd_db`, that of the float model,
            `difference_db` between the two, and `duration_ratio`, the frames of the one
            over those of the other; and a `summary` of them.
        """
        task = self._task
        indices = data.corpus.indices("test")
        spread = np.linspace(0, len(indices) - 1, SENTENCES).astype(int)
        chosen = indices[np.unique(spread)]
        rows = []
        with progress(len(chosen), "measuring TFLite", "sentence") as bar:
            for index in chosen:
                inputs = self.inputs(data.corpus.utterances[index].text)
                frames = [
                    np.asarray(predict(**inputs)["frames"][0])
                    for predict in (runner, self.function)
                ]
                lite, full = (
                    log_mels(task.waveform(each), task.features) for each in frames
                )
                true = log_mels(data.store[index], task.features)
                distortions = [
                    mel_cepstral_distortion(*pair, alignment_path(*pair))
                    for pair in ((true, lite), (true, full), (full, lite))
                ]
                rows.append([*distortions, len(frames[0]) / len(frames[1])])
                bar.update()
        names = "mcd_db", "float_mcd_db", "difference_db", "duration_ratio"
        means = np.mean(rows, axis=0).tolist()
        found = {"sentences": len(rows), **dict(zip(names, means, strict=True))}
        summary = (
            "distortion {mcd_db:.2f} dB on {sentences} test sentences (float model "
            "{float_mcd_db:.2f} dB, between the two {difference_db:.2f} dB, durations "
            "{duration_ratio:.3f} of its)"
        )
        return {**found, "summary": summary.format(**found)}
