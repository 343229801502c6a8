"""Frames that a synthesiser predicts of recordings, for vocoders to be trained on."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np

from tfspeech.data.config import DataConfig
from tfspeech.errors import SpecError
from tfspeech.tasks.parallel_tts.data import ParallelTtsData
from tfspeech.tasks.parallel_tts.run import ParallelTtsRun
from tfspeech.tasks.parallel_tts.task import ParallelSynthesis
from tfspeech.tasks.pinned import pin_run, pinned_path, run_digest
from tfspeech.tasks.runs import load_config, load_task
from tfspeech.tasks.speech.data import RecordingData
from tfspeech.tasks.task import Data, RunConfig, Task
from tfspeech.tasks.vocoding.config import check_frames, conditioning_values
from tfspeech.tasks.vocoding.task import Vocoding


class PredictedFrames:
    """Frames of recordings of which a vocoder sees what a synthesiser predicts.

    The durations are those of the recordings, and so is ln F0: otherwise harmonics of
    different frequencies would be compared.

    Args of the constructor:
        synthesiser: The task of the synthesiser.
        sentences: The recordings, as its data.
        vocoder: The task of the vocoder.
        fingerprint: Of the synthesiser.

    Attributes:
        fingerprint: As given.

    Raises:
        SpecError: The frames are not those that the vocoder sees.
    """

    def __init__(
        self,
        synthesiser: ParallelSynthesis,
        sentences: ParallelTtsData,
        vocoder: Vocoding,
        fingerprint: str,
    ) -> None:
        config, own, given = vocoder.config, vocoder.features, synthesiser.features
        check_frames(config, own, given, synthesiser.predicted)
        self.fingerprint = f"{fingerprint} {config.conditioning}"
        self._synthesiser = synthesiser
        self._sentences = sentences
        # The last but one is ln F0.
        self._places, self._sources = (
            np.delete(conditioning_values(config, features), -2)
            for features in (own, given)
        )

    def __call__(self, index: int, frames: np.ndarray) -> np.ndarray:
        """The frames of the recording at a place; see `FrameChange`."""
        predicted = self._synthesiser.aligned_frames(self._sentences, index)
        changed = frames.copy()
        changed[:, self._places] = predicted[:, self._sources]
        return changed


def pin_synthesiser(config: RunConfig) -> RunConfig:
    """Pins the run where a configuration takes predicted frames from, if it does.

    Raises:
        RunError: There is none, or it is another than before; see `pin_run`.
        SpecError: It predicts no frames for given durations.
    """
    name = _frames_from(config)
    if not name:
        return config
    directory = pinned_path(name)
    synthesiser = load_config(directory)
    if not isinstance(synthesiser, ParallelTtsRun):
        raise SpecError(
            f"{directory} holds a run of {synthesiser.model}, which predicts no frames "
            "for the durations of a recording: train parallel_tts or dense_synthesis "
            "for --frames-from"
        )
    pinned = pin_run(name, "synthesiser")
    data = dataclasses.replace(config.data, frames_from=pinned)
    return dataclasses.replace(config, data=data)


def with_predicted_frames(config: RunConfig, task: Task, data: Data) -> Data:
    """The data of a training run, with predicted frames where it asks for them.

    Args:
        config: Of the run, resolved.
        task: Of the run.
        data: Of the run, which stays as it is.

    Raises:
        RunError: The synthesiser cannot be loaded.
        SpecError: Its frames are not those that the vocoder sees.
        CorpusError: The corpus is not for the synthesiser.
    """
    if name := _frames_from(config):
        return _changed(pinned_path(name), config.data, task, data)
    return data


def _frames_from(config: RunConfig) -> str:
    """The name of the synthesiser of a run, empty where it has none."""
    return getattr(config.data, "frames_from", "")


def _changed(
    run_dir: Path, wanted: DataConfig, vocoder: Vocoding, data: RecordingData
) -> RecordingData:
    """Returns recordings with the frames that the synthesiser of a run predicts."""
    config, synthesiser = load_task(run_dir)
    own = config.data if config.data.data == wanted.data else None
    own = own or config.data.of_corpus(wanted.data)
    own = dataclasses.replace(own, test_speakers=wanted.test_speakers)
    sentences = config.read_data(own)
    sentences.report.raise_if_fatal()
    fingerprint = f"{run_digest(run_dir)} {own!r}"
    try:
        change = PredictedFrames(synthesiser, sentences, vocoder, fingerprint)
    except SpecError as error:
        raise SpecError(f"{run_dir}: {error}") from error
    changed = copy.copy(data)
    changed.frame_change = change
    return changed
