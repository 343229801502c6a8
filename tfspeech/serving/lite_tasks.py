"""What of a model goes into TFLite, and how it is measured against the float model.

TFLite models take one utterance at a time, of any length: its shape is its length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfspeech.console import progress
from tfspeech.tasks.attention_tts.task import AttentionSynthesis
from tfspeech.tasks.parallel_tts.task import ParallelTts
from tfspeech.tasks.speech.evaluation import log_mels
from tfspeech.tasks.speech.scores import alignment_path, mel_cepstral_distortion
from tfspeech.tasks.task import RunConfig
from tfspeech.tasks.word_recognition.task import WordRecognition
from tfspeech.text.linguistic import encode_segments

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

    def __init__(self, config: RunConfig, task: WordRecognition) -> None:
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

    def __init__(self, config: RunConfig, task: AttentionSynthesis) -> None:
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
        """See `measure_speech`."""
        return measure_speech(self, self._config, self._task, runner)

    def inputs(self, text: str) -> dict[str, np.ndarray]:
        """What the function takes for a text."""
        return {"symbols": self._task.front_end.encode(text)[np.newaxis]}


class LiteParametric(tf.Module):
    """Symbols in, acoustic frames out; text before and vocoder after are left out.

    Args of the constructor:
        config: Of the run.
        task: Its trained model.
    """

    def __init__(self, config: RunConfig, task: ParallelTts) -> None:
        super().__init__(name="lite_parametric")
        self._config = config
        self._task = task
        self._weights = [v.value for v in task.model.variables]

    @tf.function(
        input_signature=[
            tf.TensorSpec([1, None], tf.int32, "symbols"),
            tf.TensorSpec([1], tf.float32, "rate"),
            tf.TensorSpec([1], tf.float32, "semitones"),
        ]
    )
    def function(
        self, symbols: tf.Tensor, rate: tf.Tensor, semitones: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Predicts the frames of one text.

        Args:
            symbols: int32 [1, symbols]; see `encode_segments`.
            rate: float32 [1], 1 for the speaker's own.
            semitones: float32 [1], above the speaker's own pitch.

        Returns:
            `frames` float32 [1, frames, frame_dim] and `durations` int32 [1, symbols].
        """
        length = tf.shape(symbols)[1:]
        durations = self._task.durations(symbols, length, rate)
        frames, _ = self._task.frames(symbols, length, durations, semitones)
        return {"frames": frames, "durations": durations}

    def measure(self, runner: Runner) -> dict[str, Any]:
        """See `measure_speech`."""
        return measure_speech(self, self._config, self._task, runner)

    def inputs(self, text: str) -> dict[str, np.ndarray]:
        """What the function takes for a text."""
        symbols = encode_segments(self._task.front_end, text)[np.newaxis]
        prosody = {"rate": np.ones(1, np.float32), "semitones": np.zeros(1, np.float32)}
        return {"symbols": symbols, **prosody}


def measure_speech(
    lite: LiteSynthesiser | LiteParametric,
    config: RunConfig,
    task: AttentionSynthesis | ParallelTts,
    runner: Runner,
) -> dict[str, Any]:
    """Compares speech of a TFLite model with recordings and with the float model's.

    Args:
        lite: The model before its conversion.
        config: Of the run.
        task: Whose vocoder makes speech of frames.
        runner: The TFLite model.

    Returns:
        Means over `sentences` of the test split: `mcd_db`, the mel-cepstral distortion
        against the recordings, `float_mcd_db`, that of the float model, `difference_db`
        between the two, and `duration_ratio`, the frames of the one over those of the
        other; and a `summary` of them.
    """
    data = config.read_split(config.data, "test")
    data.report.raise_if_fatal()
    indices = data.corpus.indices("test")
    spread = np.linspace(0, len(indices) - 1, SENTENCES).astype(int)
    rows = []
    chosen = indices[np.unique(spread)]
    with progress(len(chosen), "measuring TFLite", "sentence") as bar:
        for index in chosen:
            inputs = lite.inputs(data.corpus.utterances[index].text)
            frames = [
                np.asarray(speak(**inputs)["frames"][0])
                for speak in (runner, lite.function)
            ]
            heard = [log_mels(task.waveform(each), task.features) for each in frames]
            true = log_mels(data.store[index], task.features)
            pairs = (true, heard[0]), (true, heard[1]), (heard[1], heard[0])
            distortions = [
                mel_cepstral_distortion(*pair, alignment_path(*pair)) for pair in pairs
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


LITE_TASKS: Mapping[type, Callable[[Any, Any], LiteTask]] = {
    ParallelTts: LiteParametric,
    WordRecognition: LiteRecogniser,
    AttentionSynthesis: LiteSynthesiser,
}
"""What a model is trained for -> how TFLite has it."""
