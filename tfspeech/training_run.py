"""A training run in its directory, used from Python programs and notebooks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfspeech import adapt, calibrate, evaluate, export
from tfspeech.audio.decode import read_audio
from tfspeech.audio.encode import PAUSE_S
from tfspeech.audio.samples import as_waveform
from tfspeech.console import silence
from tfspeech.data.corpora.manifest_file import new_manifest
from tfspeech.data.manifest import Utterance
from tfspeech.display import Audio, Plots, Table
from tfspeech.errors import RunError
from tfspeech.tasks.conditions import complete_conditions
from tfspeech.tasks.runs import is_adapted, load_config, load_task, read_results
from tfspeech.tasks.speech.speaking import speak_ssml, speak_texts
from tfspeech.tasks.speech_recognition.text import Text
from tfspeech.tasks.task import RunConfig, Task
from tfspeech.tasks.word_recognition.task import Transcript
from tfspeech.training.paths import METRICS_FILE, PLOTS
from tfspeech.training.plots import read_records

_CORPORA = "corpora"

Source = str | os.PathLike[str] | tuple[np.ndarray, int]
"""An audio file, or samples [samples] and their rate in Hz."""

Folder = str | os.PathLike[str]

Vocoder = str | os.PathLike[str]
"""A spec such as `griffin_lim(60)`, or the directory of a vocoder's run."""

Utterances = Iterable[Utterance | Mapping[str, Any]]
"""A corpus in a program; see `new_manifest`."""


class TrainingRun:
    """A training run in its directory: its figures, and its best model to be used.

    Args of the constructor:
        directory: Where the run is kept.

    Attributes:
        directory: The same, absolute.
        config: Everything that has decided the outcome of the run.

    Raises:
        RunError: The directory holds no run.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory).absolute()
        self.config: RunConfig = load_config(self.directory)
        self._tasks: dict[tuple[str | None, Path | None], Task] = {}

    @property
    def results(self) -> dict[str, Any]:
        """The scores of the finished run, on its test split if it has one.

        Raises:
            RunError: The run has not ended yet, was adapted, or its scores are damaged.
        """
        if is_adapted(self.directory):
            raise RunError(
                f"the run in {self.directory} was adapted to a speaker, and has no "
                "scores of its own: see evaluate"
            )
        found = read_results(self.directory)
        if not found:
            raise RunError(
                f"the run in {self.directory} has not ended yet; go on with it by "
                "train_model(run_dir=..., resume=True)"
            )
        return found

    @property
    def metrics(self) -> Table:
        """A row for every training step and group: losses, norms, what clipping did."""
        groups, _ = read_records(self.directory / METRICS_FILE)
        return Table(record for group in groups.values() for record in group)

    @property
    def validations(self) -> Table:
        """A row for every epoch: scores of its validation, and the time of a step."""
        _, epochs = read_records(self.directory / METRICS_FILE)
        return Table(
            {k: r[k] for k in ("epoch", "step", "step_ms")} | r["validation"]
            for r in epochs
        )

    @property
    def plots(self) -> Plots:
        """The plots of the finished run."""
        return Plots(sorted((self.directory / PLOTS).glob("*.png")))

    @property
    def models(self) -> dict[str, keras.Model]:
        """The trained Keras models of the run by name, usually one called `model`."""
        return self._task().models

    def evaluate(
        self,
        data: str | os.PathLike[str] | Utterances | None = None,
        split: str = "test",
        test_speakers: str | None = None,
        vocoder: Vocoder | None = None,
        judge: bool = False,
        language_model: Folder | None = None,
        recognizer: Folder | None = None,
    ) -> dict[str, Any]:
        """Scores the best model on a corpus.

        Args:
            data: As of `train_model`; by default the corpus of the run.
            split: Of the corpus.
            test_speakers: Names joined by commas; by default those of the run where the
                corpus is that of the run, else none.
            vocoder: As of `synthesize`.
            judge: Predict mean opinion scores of speech, too; needs `tfspeech[judge]`.
            language_model: As of `transcribe`.
            recognizer: For a generator, the run of a recogniser of words that says what
                is heard.

        Raises:
            CorpusError: The corpus cannot be read, or is not for this model.
            SpecError: The model makes no speech, or the judge is not installed.
        """
        with silence(not sys.stderr.isatty()):
            spec = None if data is None else corpus_spec(data, self.directory)
            return evaluate.run(
                *(self.directory, spec, split, test_speakers, _name(vocoder), judge),
                *(_folder(language_model), _folder(recognizer)),
            )

    def transcribe(
        self, audio: Source | list[Source], language_model: Folder | None = None
    ) -> Transcript | Text | list[Transcript] | list[Text]:
        """Recognises what is said.

        Args:
            audio: A file of any format and rate, or a pair of samples and their rate;
                or a list of those.
            language_model: Of a recogniser of connected speech, the folder that the
                command `language_model` has written.

        Returns:
            What the model makes of it, a word or a text; for a list a list of them.

        Raises:
            RunError: The model recognises no speech, or takes no language model.
            TextError: The language model is damaged, or not for the model.
            AudioError: Audio cannot be decoded.
        """
        task = self._task(language_model=_folder(language_model))
        if not task.recognizes:
            raise RunError(
                f"{self.directory} holds a run of {self.config.model}, which "
                "recognises no speech"
            )
        sources = audio if isinstance(audio, list) else [audio]
        read = [_read(source) for source in sources]
        transcripts = [task.transcribe(samples, rate_hz) for samples, rate_hz in read]
        return transcripts if isinstance(audio, list) else transcripts[0]

    def adapt(self, enroll: Folder, run_dir: Folder) -> TrainingRun:
        """Fits a recogniser of words to a speaker's few recordings, in another run.

        Args:
            enroll: A folder per word with recordings; some of the words will do.
            run_dir: Where the adapted run is kept; must not hold one yet.

        Raises:
            RunError: There is no trained model, it cannot be adapted, or `run_dir`
                holds a run.
            CorpusError: There are no recordings, one cannot be read, or it has a label
                that the model does not know.
        """
        with silence(not sys.stderr.isatty()):
            adapt.run(self.directory, Path(enroll), Path(run_dir))
        return TrainingRun(run_dir)

    def calibrate(
        self,
        data: str | os.PathLike[str] | Utterances | None = None,
        split: str = "validation",
        false_alarms: float = 0.05,
    ) -> dict[str, Any]:
        """Fits the probabilities of a recogniser of words, and when one is unknown.

        Args:
            data: As of `train_model`, with speakers that the model was not trained on;
                by default the corpus of the run.
            split: Of the corpus.
            false_alarms: The share of its words that may be called unknown.

        Returns:
            The fit, which the run keeps from now on; see `tfspeech.calibrate.run`.

        Raises:
            RunError: There is no trained model, or one of another kind.
            CorpusError: The corpus cannot be read, or is not for this model.
            SpecError: The share is out of its range.
        """
        with silence(not sys.stderr.isatty()):
            spec = None if data is None else corpus_spec(data, self.directory)
            found = calibrate.run(self.directory, spec, split, false_alarms)
        self.config = load_config(self.directory)
        self._tasks.clear()
        return found

    def synthesize(
        self,
        text: str | list[str],
        *,
        vocoder: Vocoder | None = None,
        ssml: bool = False,
        **conditions: float,
    ) -> Audio | list[Audio]:
        """Speaks, long texts in pieces with pauses between them.

        Args:
            text: English; or a list of texts.
            vocoder: Another one than that of the run.
            ssml: Whether texts are documents of SSML with prosody, emphasis and break.
            **conditions: What the model can speak under, such as `rate=1.5` and
                `semitones=2`.

        Returns:
            Samples and their rate, for a list a list of them.

        Raises:
            RunError: The model does not speak.
            SpecError: It lacks a condition or vocoder, or a value is out of range.
            TextError: A text has a symbol that is unknown, or none at all, or a piece
                of it is beyond a limit of the model; or a document is no SSML.
        """
        task = self._task(_name(vocoder))
        if not task.speaks:
            raise RunError(
                f"{self.directory} holds a run of {self.config.model}, which does not "
                "speak"
            )
        texts = text if isinstance(text, list) else [text]
        rate_hz = task.features.sample_rate_hz
        # Documents say which breaks they have.
        pause = np.zeros(0 if ssml else round(PAUSE_S * rate_hz), np.float32)
        speak = speak_ssml if ssml else speak_texts
        spoken: list[Audio] = []
        waveforms: list[np.ndarray] = []
        for piece in speak(task, texts, **conditions):
            waveforms.append(piece.waveform)
            if piece.last:
                spoken.append(Audio(np.concatenate(waveforms), rate_hz))
                waveforms = []
            else:
                waveforms.append(pause)
        return spoken if isinstance(text, list) else spoken[0]

    def draw(
        self, count: int, *, vocoder: Vocoder | None = None, **conditions: float
    ) -> list[Audio]:
        """Draws clips of a generator, which speaks no text.

        Args:
            count: How many.
            vocoder: As of `synthesize`.
            **conditions: `seed`, that of the first clip, and `temperature`.

        Raises:
            RunError: The model is no generator.
            SpecError: It lacks a condition, or a value is out of range; or the vocoder
                is not for its frames.
        """
        task = self._task(_name(vocoder))
        if not task.generates:
            raise RunError(
                f"{self.directory} holds a run of {self.config.name}, which draws no "
                "clips"
            )
        given = complete_conditions(self.config.name, task.conditions, conditions)
        rate_hz = task.features.sample_rate_hz
        return [Audio(clip, rate_hz) for clip in task.draw(count, **given)]

    def export(
        self,
        output: str | os.PathLike[str] = "saved_models",
        tflite: bool = False,
        quantize: str | None = None,
        vocoder: Vocoder | None = None,
        language_model: Folder | None = None,
        **limits: float,
    ) -> Path:
        """Exports the best model for TF Serving as the next version of its model.

        Args:
            output: Where `<model>/<version>/` is written.
            tflite: Whether a TFLite model of 32-bit weights goes with it.
            quantize: A quantization, for a TFLite model of smaller weights.
            vocoder: As of `synthesize`.
            language_model: As of `transcribe`.
            **limits: Of requests, such as `max_rows=32`.

        Returns:
            The folder of the new version.

        Raises:
            RunError: There is no trained model, or it cannot be exported.
            SpecError: The model does not have a limit, or it is out of range.
        """
        with silence(not sys.stderr.isatty()):
            return export.run(
                *(self.directory, Path(output), tflite, quantize, _name(vocoder)),
                language_model=_folder(language_model),
                **limits,
            )

    def _task(
        self, vocoder: str | None = None, language_model: Path | None = None
    ) -> Task:
        """The task with the best models, loaded once for every vocoder and so on."""
        wanted = vocoder, language_model
        if wanted not in self._tasks:
            self._tasks[wanted] = load_task(self.directory, *wanted)[1]
        return self._tasks[wanted]

    def __repr__(self) -> str:
        results = read_results(self.directory)
        missing = "adapted" if is_adapted(self.directory) else "not ended yet"
        found = self.config.summarize(results) if results else missing
        return f"<{self.config.model} in {self.directory}: {found}>"


def corpus_spec(
    data: str | os.PathLike[str] | Utterances, run_dir: Path, write: bool = True
) -> str:
    """The spec of a corpus; that of utterances names a manifest in the directory."""
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data)
    manifest, folder = new_manifest(data), run_dir / _CORPORA
    if write:
        manifest.write(folder)
    return f"manifest:{manifest.path(folder)}"


def _read(audio: Source) -> tuple[np.ndarray, int]:
    if isinstance(audio, (str, os.PathLike)):
        return read_audio(audio)
    return as_waveform(audio)


def _name(vocoder: Vocoder | None) -> str | None:
    return None if vocoder is None else os.fspath(vocoder)


def _folder(folder: Folder | None) -> Path | None:
    return None if folder is None else Path(folder)
