"""What of a model goes into TFLite, and how it is measured against the float model.

TFLite models take one utterance at a time, of any length: its shape is its length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfspeech.console import progress
from tfspeech.runs import RunConfig
from tfspeech.tasks.recognition import Recognition
from tfspeech.tasks.synthesis import Synthesis, utterance_frames
from tfspeech.tasks.synthesis_scores import alignment_path, mel_cepstral_distortion

SENTENCES = 30
"""Sentences that a synthesiser is measured on."""

Runner = Callable[..., Mapping[str, np.ndarray]]


class LiteTask(Protocol):
    """A model as TFLite has it.

    Attributes:
        function: The model, a `tf.function` of one utterance.
    """

    function: tf.types.experimental.GenericFunction

    def measure(self, runner: Runner) -> dict[str, Any]:
        """Compares a TFLite model with the float model on the run's own corpus.

        Returns:
            Figures by name, and a `summary` of them.
        """


class LiteRecogniser(tf.Module):
    """Waveform in, probabilities of the labels out.

    Args of the constructor:
        config: Of the run.
        task: Its trained model.
    """

    def __init__(self, config: RunConfig, task: Recognition) -> None:
        super().__init__(name="lite_recogniser")
        self._config = config
        self._task = task
        self._weights = [v.value for v in task.model.variables]

    @tf.function(input_signature=[tf.TensorSpec([1, None], tf.float32, "waveform")])
    def function(self, waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        """Recognises one word.

        Args:
            waveform: float32 [1, samples] in [-1, 1], at the model's rate.

        Returns:
            `scores` float32 [1, labels].
        """
        length = tf.shape(waveform)[1:]
        return {"scores": self._task.recognize(waveform, length)}

    def measure(self, runner: Runner) -> dict[str, Any]:
        """Returns the `accuracy` on the test split and that of the float model.

        `agreement` is the share of utterances on which both say the same.
        """
        data = self._config.read_split(self._config.data, "test")
        data.report.raise_if_fatal()
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


class LiteSynthesiser(tf.Module):
    """Symbols in, acoustic frames out; text before and vocoder after are left out.

    Args of the constructor:
        config: Of the run.
        task: Its trained model.
    """

    def __init__(self, config: RunConfig, task: Synthesis) -> None:
        super().__init__(name="lite_synthesiser")
        self._config = config
        self._task = task
        self._weights = [v.value for v in task.model.variables]

    @tf.function(input_signature=[tf.TensorSpec([1, None], tf.int32, "symbols")])
    def function(self, symbols: tf.Tensor) -> dict[str, tf.Tensor]:
        """Predicts the frames of one text.

        Args:
            symbols: int32 [1, symbols].

        Returns:
            `frames` float32 [1, frames, frame_dim] and `stopped` bool [1].
        """
        spoken = self._task.synthesize(symbols, tf.shape(symbols)[1:])
        return {name: spoken[name] for name in ("frames", "stopped")}

    def measure(self, runner: Runner) -> dict[str, Any]:
        """Returns the distortion `mcd_db` against recordings of the test split.

        `float_mcd_db` is that of the float model, `difference_db` that of one against
        the other, all as `Synthesis` measures them in validation; and `stopped` and
        `float_stopped` are the shares of sentences that stop by themselves.
        """
        task = self._task
        data = self._config.read_split(self._config.data, "test")
        data.report.raise_if_fatal()
        indices = data.corpus.indices("test")
        spread = np.linspace(0, len(indices) - 1, SENTENCES).astype(int)
        indices = indices[np.unique(spread)]
        recorded = utterance_frames(data, indices)
        rows = []
        with progress(len(indices), "measuring TFLite", "sentence") as bar:
            for text, true in zip(data.texts(indices), recorded, strict=True):
                symbols = task.front_end.encode(text)[np.newaxis]
                lite, full = (
                    speak(symbols=symbols) for speak in (runner, self.function)
                )
                spoken = [np.asarray(each["frames"][0]) for each in (lite, full)]
                pairs = (true, spoken[0]), (true, spoken[1]), (spoken[1], spoken[0])
                distortions = [self._distortion(*pair) for pair in pairs]
                stops = [float(each["stopped"][0]) for each in (lite, full)]
                rows.append([*distortions, *stops])
                bar.update()
        names = "mcd_db", "float_mcd_db", "difference_db", "stopped", "float_stopped"
        means = np.mean(rows, axis=0).tolist()
        found = {"sentences": len(rows), **dict(zip(names, means, strict=True))}
        summary = (
            "distortion {mcd_db:.2f} dB on {sentences} test sentences (float model "
            "{float_mcd_db:.2f} dB, between the two {difference_db:.2f} dB), "
            "{stopped:.0%} stop by themselves (float model {float_stopped:.0%})"
        )
        return {**found, "summary": summary.format(**found)}

    def _distortion(self, reference: np.ndarray, synthesis: np.ndarray) -> float:
        mels = self._task.features.num_mels
        pair = reference[:, :mels], synthesis[:, :mels]
        return mel_cepstral_distortion(*pair, alignment_path(*pair))


LITE_TASKS: Mapping[type, Callable[[Any, Any], LiteTask]] = {
    Recognition: LiteRecogniser,
    Synthesis: LiteSynthesiser,
}
"""What a model is trained for -> how TFLite has it."""
